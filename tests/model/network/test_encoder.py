"""The encoder: initial weights, padding, dropout, limits."""

from functools import partial

import network_toy as toy
import pytest
import torch
from torch.nn import functional

from model.network.attention import Packed, Padded, Unpadded
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


def test_sinusoidal_positions_start_as_waves_of_twice_the_deviation():
    """The waves of 8 positions and width 4: 2 pi tokens, and 2 pi x sqrt(8 / pi) = 10.03."""
    changes = {"position_init": "sinusoidal", "positions": 8, "hidden": 4, "heads": 1}
    table = encoder(init_std=0.25, **changes).positions.weight
    expected = [
        [0.0000, 0.7071, 0.0000, 0.7071],
        [0.5950, 0.3820, 0.4147, 0.5727],
        [0.6430, -0.2943, 0.6718, 0.2207],
    ]
    assert torch.allclose(table[:3], torch.tensor(expected), atol=1e-4)
    wide = {"position_init": "sinusoidal", "positions": 128, "hidden": 256}
    waves, normal = encoder(**wide), encoder(positions=128, hidden=256)
    assert waves.positions.weight.std().item() == pytest.approx(0.04, rel=0.05)
    assert torch.equal(waves.words.weight, normal.words.weight)
    # A step by one is the same rotation of every pair of columns, wherever it is made.
    near = waves.positions.weight @ waves.positions.weight.T
    for step in (1, 2, 5):
        diagonal = near.diagonal(step)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5)


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
        outputs.append(model(ids, found["lengths"], keys=found["keys"]))
    assert torch.equal(outputs[0][0, :9], outputs[1][0, :9])
    assert torch.equal(outputs[0][1], outputs[1][1])
    assert not torch.equal(outputs[0][0, 9:], outputs[1][0, 9:])


def test_full_rows_need_no_lengths():
    model = toy.randomise(encoder()).eval()
    ids = toy.inputs(lengths=(24, 24))["ids"]
    assert torch.equal(model(ids), model(ids, torch.tensor([24, 24])))


@pytest.mark.parametrize("rate", [0.0, 0.3])
@pytest.mark.parametrize("layout", ["padded", "unpadded", "packed"])
def test_the_wanted_tokens_alone_are_those_of_all(layout, rate):
    """The last layer is worked out for them only, and much padding is left out: the same vectors,
    the same gradients.
    """
    model = toy.randomise(encoder(dropout=rate, attention_dropout=rate))
    found = toy.inputs(lengths=(24, 23 if layout == "padded" else 9))
    chosen = Unpadded.of(found["lengths"], 24, found["keys"])
    assert (chosen is None) == (layout == "padded")
    places = torch.tensor([[0, 23, 5, 5], [8, 0, 3, 0]])
    if layout != "packed":
        run = partial(model, found["ids"], found["lengths"], keys=found["keys"])
        picked = run().gather(1, places[..., None].expand(-1, -1, 32))
    else:
        ids, keys = (torch.cat([found[name][0], found[name][1, :9]]) for name in ("ids", "keys"))
        inside = torch.cat([torch.arange(24), torch.arange(9)])
        run = partial(model.packed, ids, inside, torch.tensor([0, 24, 33], dtype=torch.int32), keys)
        places = (places + torch.tensor([[0], [24]])).flatten()
        picked = run()[places]
    outcomes = []
    for hidden in (run(wanted=places), picked):
        model.zero_grad()
        hidden.square().sum().backward()
        outcomes.append([hidden, *(p.grad for p in model.parameters() if p.grad is not None)])
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_an_empty_row_is_finite(training):
    model = encoder().train(training)
    found = toy.inputs(lengths=(24, 0))
    hidden = model(found["ids"], found["lengths"], keys=found["keys"])
    hidden.sum().backward()
    assert torch.isfinite(hidden).all()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("only", ["dropout", "attention_dropout"])
def test_each_dropout_is_on_in_training(only):
    rates = {"dropout": 0.0, "attention_dropout": 0.0, only: 0.1}
    model = toy.randomise(encoder(**rates)).train()
    found = toy.inputs()
    one, again, other = (
        model(found["ids"], found["lengths"], keys=keys)
        for keys in (found["keys"], found["keys"], found["keys"] + 1)
    )
    assert torch.equal(one, again)
    assert (one - other).var() > 1e-4
    model.eval()
    assert (model(found["ids"], found["lengths"]) - one).var() > 1e-4


def test_attention_dropout_keeps_the_expectation():
    attention = toy.randomise(encoder(layers=1)).layers[0].attention
    found = toy.inputs(lengths=(24, 9) * 4000)
    lengths, keys = found["lengths"], found["keys"]
    x = torch.randn(2, 24, 32, generator=torch.Generator().manual_seed(0)).repeat(4000, 1, 1)
    with torch.no_grad():
        drawn = attention.train()(x, Padded.of(lengths, 24, keys))
        expected = attention.eval()(x[:2], Padded.of(lengths[:2], 24, None))
    mean = drawn.view(4000, 2, 24, 32).mean(0)
    assert torch.allclose(mean, expected, atol=0.05)


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_padded_rows_end_to_end_are_the_padded_rows(rate):
    """A GPU takes padded rows as packed samples, each followed by a dummy of its padding."""
    attention = toy.randomise(encoder(layers=1, attention_dropout=rate)).layers[0].attention
    found = toy.inputs(lengths=(24, 13, 5, 1, 0))
    lengths, keys = found["lengths"], found["keys"]
    packed = Packed.of_rows(lengths, 24, keys)
    assert packed.offsets.dtype == torch.int32
    assert packed.offsets.tolist() == [0, 24, 24, 37, 48, 53, 72, 73, 96, 96, 120]
    x = torch.randn(5, 24, 32, generator=torch.Generator().manual_seed(0))
    gradients = []
    for layout in (Padded.of(lengths, 24, keys), packed):
        own = x.clone().requires_grad_()
        mixed = attention(own.view(120, 32) if layout is packed else own, layout)
        real = mixed.view(5, 24, 32)[torch.arange(24) < lengths[:, None]]
        real.square().sum().backward()
        gradients.append((real, own.grad))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_rows_end_to_end_need_no_keys_where_nothing_is_dropped():
    layout = Packed.of_rows(torch.tensor([2, 3]), 3, None)
    assert layout.keys.shape == (6,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_without_dropout_is_the_library_s(dtype):
    found = toy.inputs()
    qkv = torch.randn(3, 24, 3 * 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    mixed = Padded.of(found["lengths"], 24, None).attend(qkv, 4, 0.0, 0)
    q, k, v = qkv.double().view(3, 24, 3, 4, 8).permute(2, 0, 3, 1, 4)
    inside = (torch.arange(24) < found["lengths"][:, None])[:, None, None]
    expected = functional.scaled_dot_product_attention(q, k, v, attn_mask=inside)
    error = (mixed.double() - expected.transpose(1, 2).reshape(3, 24, 32)).norm()
    assert error / expected.norm() < (1e-6 if dtype == torch.float32 else 1e-2)


def test_too_long_input_is_one_line():
    with pytest.raises(StudyError, match="25 tokens: the network has 24 positions"):
        encoder()(torch.zeros(1, 25, dtype=torch.long))
