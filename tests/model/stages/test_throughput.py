"""Throughput: what is measured on a GPU is the packed shape that is trained there."""

import pytest
import torch
from network_toy import config
from training_toy import OPTIMISER

from model.network.pretraining import PretrainingModel
from model.stages.throughput import PAD, make_update
from study.recipes import parse_recipe


def recipe(device: str, paired: bool) -> dict:
    return {
        "stage": "throughput",
        "version": 1,
        "vocabulary_size": 60,
        "format": {"length": 16, "nsp": paired, "segments": paired},
        "model": config(positions=16, dropout=0.0, attention_dropout=0.0).in_recipe(),
        "rate": 0.15,
        "sequences": 5,
        "optimiser": OPTIMISER.in_recipe(),
        "execution": {
            "device": device,
            "precision": "fp32",
            "mode": "fast",
            "compile": False,
            "micro_batch_tokens": 32,
            "threads": 1,
        },
    }


@pytest.mark.parametrize("paired", [False, True])
def test_packed_on_a_gpu_and_padded_on_a_cpu_are_the_same_update(paired):
    packed, padded = (
        make_update(parse_recipe(recipe(device, paired), "throughput"), 5)
        for device in ("cuda", "cpu")
    )
    assert packed.counts == padded.counts
    assert [len(micro["ids"]) for micro in packed.micro_batches] == [32, 32, 16]
    torch.manual_seed(0)
    model = PretrainingModel(
        parse_recipe(recipe("cpu", paired), "throughput").model, 60, paired, paired, PAD
    )
    for one, other in zip(packed.micro_batches, padded.micro_batches, strict=True):
        ours, theirs = model(one), model(other)
        for term in model.terms:
            torch.testing.assert_close(ours[term], theirs[term], rtol=1e-5, atol=1e-5)
