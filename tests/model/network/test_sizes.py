"""Parameters and memory of a network: by formula as by hand, and as torch counts them."""

import pytest
import torch
from network_toy import config as network
from torch.autograd.graph import saved_tensors_hooks

from model.network.pretraining import PretrainingModel
from model.network.sizes import (
    activation_bytes,
    checkpoint_bytes,
    encoder_parameters,
    pretraining_parameters,
    state_bytes,
)
from model.stages.throughput import make_micro
from study.recipes import Measured


def test_parameters_are_those_of_the_network():
    for segments, nsp in ((False, False), (True, False), (True, True)):
        model = PretrainingModel(network(), 100, segments, nsp)
        counted = sum(parameter.numel() for parameter in model.parameters())
        assert pretraining_parameters(network(), 100, segments, nsp) == counted
        encoder = sum(parameter.numel() for parameter in model.encoder.parameters())
        assert encoder_parameters(network(), 100, segments) == encoder
    laptop = network(layers=2, hidden=128, heads=2, ffn=512, positions=128)
    assert pretraining_parameters(laptop, 8192, True, True) == 1_503_746


def test_memory_by_its_formula():
    assert checkpoint_bytes(1000, 2) == 12_000
    assert state_bytes(1000, 2, "fp32", "fast") == 16_000
    assert state_bytes(1000, 2, "bf16", "fast") == 18_000
    assert state_bytes(1000, 2, "fp32", "exact") == 28_000
    base = network(layers=12, hidden=768, heads=12, ffn=3072, positions=512)
    shape = {"tokens": 1, "length": 512, "target_share": 0, "precision": "bf16"}
    assert activation_bytes(base, 30_000, **shape, device="cuda") == 12 * 34 * 768


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_activations_are_about_what_backward_keeps(dropout):
    sizes = network(
        hidden=64, ffn=256, positions=64, dropout=dropout, attention_dropout=dropout, layers=4
    )
    form = Measured(nsp=False, segments=False, length=64)
    model = PretrainingModel(sizes, 1000)
    own = {parameter.data_ptr() for parameter in model.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.data_ptr() not in own:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    micro = make_micro(form, 1000, 0.15, 16, torch.Generator())
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = model(micro)  # alive, or the memory of its tensors would be counted once only
    stated = activation_bytes(
        sizes,
        1000,
        tokens=16 * 64,
        length=64,
        target_share=0.15,
        precision="fp32",
        device="cpu",
    )
    assert losses["mlm"] > 0
    assert sum(kept.values()) == pytest.approx(stated, rel=0.1)
