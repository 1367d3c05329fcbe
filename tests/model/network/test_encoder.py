"""The encoder: initial weights, padding, dropout, limits."""

import network_toy as toy
import pytest
import torch

from model.network.attention import Padded
from model.network.encoder import Encoder
from study.errors import StudyError


def encoder(seed=0, segments=False, **changes) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(toy.config(**changes), toy.VOCABULARY, segments=segments, pad=toy.PAD)


def test_initial_weights():
    model = encoder(hidden=256, heads=4, segments=True)
    for name, tensor in model.named_parameters():
        if name.endswith("bias"):
            assert tensor.abs().max() == 0, name
        elif "norm" in name:
            assert torch.equal(tensor, torch.ones_like(tensor)), name
        else:
            assert tensor.std().item() == pytest.approx(0.02, rel=0.1), name
            assert abs(tensor.mean().item()) < 5 * 0.02 / tensor.numel() ** 0.5, name
    assert model.words.weight.shape == (128, 256)
    assert model.words.weight[toy.PAD].abs().max() == 0
    assert model.positions.weight.shape == (24, 256)


def test_a_padded_row_equals_the_row_alone():
    model = toy.randomise(encoder()).eval()
    found = toy.inputs(lengths=(9, 24))
    padded = model(found["ids"], found["lengths"])
    alone = model(found["ids"][:1, :9], torch.tensor([9]))
    assert torch.allclose(padded[0, :9], alone[0], atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_what_stands_at_pads_changes_no_real_token(training):
    # With attention dropout a CPU takes another path than without.
    model = toy.randomise(encoder()).train(training)
    found = toy.inputs(lengths=(9, 24))
    changed = found["ids"].clone()
    changed[0, 9:] = 7
    outputs = []
    for ids in (found["ids"], changed):
        torch.manual_seed(0)
        outputs.append(model(ids, found["lengths"]))
    assert torch.equal(outputs[0][0, :9], outputs[1][0, :9])
    assert torch.equal(outputs[0][1], outputs[1][1])
    assert not torch.equal(outputs[0][0, 9:], outputs[1][0, 9:])


def test_full_rows_need_no_lengths():
    model = toy.randomise(encoder()).eval()
    ids = toy.inputs(lengths=(24, 24))["ids"]
    assert torch.equal(model(ids), model(ids, torch.tensor([24, 24])))


@pytest.mark.parametrize("training", [True, False])
def test_an_empty_row_is_finite(training):
    model = encoder().train(training)
    found = toy.inputs(lengths=(24, 0))
    hidden = model(found["ids"], found["lengths"])
    hidden.sum().backward()
    assert torch.isfinite(hidden).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("only", ["dropout", "attention_dropout"])
def test_each_dropout_is_on_in_training(only):
    rates = {"dropout": 0.0, "attention_dropout": 0.0, only: 0.1}
    model = toy.randomise(encoder(**rates)).train()
    found = toy.inputs()
    outputs = torch.stack([model(found["ids"], found["lengths"]) for _ in range(8)])
    assert outputs.var(0).mean() > 1e-4
    model.eval()
    assert torch.equal(model(found["ids"], found["lengths"]), model(found["ids"], found["lengths"]))


def test_attention_dropout_keeps_the_expectation():
    attention = toy.randomise(encoder(layers=1)).layers[0].attention
    x = torch.randn(2, 24, 32, generator=torch.Generator().manual_seed(0))
    layout = Padded((torch.arange(24) < torch.tensor([[24], [9]]))[:, None, None])
    torch.manual_seed(0)
    with torch.no_grad():
        mean = torch.stack([attention.train()(x, layout) for _ in range(4000)]).mean(0)
        assert torch.allclose(mean, attention.eval()(x, layout), atol=0.05)


def test_too_long_input_is_one_line():
    with pytest.raises(StudyError, match="25 tokens: the network has 24 positions"):
        encoder()(torch.zeros(1, 25, dtype=torch.long))
