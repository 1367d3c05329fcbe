"""Arithmetic per token."""

import pytest

from model.network.sizes import flops_per_token
from study.cells import Model

BASE = Model(
    layers=12,
    hidden=768,
    heads=12,
    ffn=3072,
    positions=512,
    dropout=0.1,
    attention_dropout=0.1,
    layer_norm_eps=1e-5,
    init_std=0.02,
    vocabulary_multiple=64,
)


def test_base_model_with_512_tokens():
    assert flops_per_token(BASE, 512, 50_265) == pytest.approx(601.5e6, rel=1e-4)


def test_its_parts():
    encoder = 6 * 12 * 12 * 768**2
    assert flops_per_token(BASE, 0, 50_265, target_share=0) == encoder == 509_607_936
    assert flops_per_token(BASE, 512, 50_265, target_share=0) - encoder == 56_623_104
