"""Dropout as a function of keys: rates, scale, independence, one function on all paths."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.network.chance import column_factors, site_factors, threshold, words
from model.network.dropout import Dropout, dropout, keep_mask
from model.samples.keyed import key_of_stream, token_keys

SITE = site_factors(3)[:, 0]


def some_keys(rows: int, length: int = 1, seed: int = 0, epoch: int = 0) -> torch.Tensor:
    """Keys of the tokens of rows of that length, one after the other."""
    key = key_of_stream(seed, "dropout")
    keys = token_keys(key, np.array([epoch]), np.arange(rows), length)
    return torch.from_numpy(keys).flatten()


def layer(rate: float, number: int = 0, training: bool = True) -> Dropout:
    return Dropout(rate, number).train(training)


def dropped(keys: torch.Tensor, number: int, columns: int, rate: float = 0.1) -> torch.Tensor:
    """1 where an element is dropped, less its rate, of unit variance."""
    kept = keep_mask(keys, site_factors(number)[:, 0], columns, rate, torch.float64)
    return (1 - kept - rate) / (rate * (1 - rate)) ** 0.5


def z_scores(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Correlations of the columns, in standard errors."""
    return one.T @ other / len(one) ** 0.5


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_drops_at_its_rate_and_keeps_the_mean(rate, dtype):
    x = dropout(torch.ones(2001, 100, dtype=dtype), some_keys(2001), SITE, rate)
    share = (x == 0).double().mean().item()
    spread = (rate * (1 - rate) / 200_100) ** 0.5
    assert x.dtype == dtype
    assert abs(share - rate) < 5 * spread
    kept = x[x != 0].double()
    assert kept.unique().numel() == 1
    assert kept[0].item() == pytest.approx(
        1 / (1 - rate), rel=1e-6 if dtype.itemsize == 4 else 4e-3
    )


def test_gradient_passes_where_kept():
    x = torch.randn(8, 64, requires_grad=True)
    y = dropout(x, some_keys(8), SITE, 0.5)
    y.sum().backward()
    assert torch.equal(x.grad == 0, y == 0)
    assert torch.allclose(x.grad[y != 0], torch.tensor(2.0))


def test_nothing_happens_in_evaluation_and_no_keys_are_needed():
    x = torch.randn(10)
    assert torch.equal(layer(0.5, training=False)(x, None), x)
    assert torch.equal(layer(0.0)(x, None), x)


def test_a_module_drops_by_key_and_site_alone():
    x, keys = torch.ones(30, 16), some_keys(30)
    one, other = layer(0.5, 3)(x, keys), layer(0.5, 4)(x, keys)
    assert not torch.equal(one, other)
    order = torch.randperm(30)
    assert torch.equal(layer(0.5, 3)(x, keys[order]), one[order])
    assert torch.equal(layer(0.5, 3)(x[:, :7], keys), one[:, :7])
    assert list(layer(0.5, 3).state_dict()) == []


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20),
    st.integers(0, 400),
    st.integers(1, 70),
    st.floats(1e-6, 0.999),
)
def test_words_are_those_of_the_formula(keys, number, columns, rate):
    """In Python's integers: low x place x channel + high x place, modulo 2^32."""
    one, other = site_factors(number)[:, 0].tolist()
    expected = [
        [
            (key % 2**32 * one * column + (key >> 32) * other + 2**31) % 2**32
            >= round(rate * 2**32)
            for column in column_factors(columns).tolist()
        ]
        for key in keys
    ]
    factors, keys = site_factors(number)[:, 0], torch.tensor(keys)
    assert keep_mask(keys, factors, columns, rate, torch.float32).bool().tolist() == expected
    found = words(keys, factors, column_factors(columns)) >= threshold(rate)
    assert found.tolist() == expected


def test_places_are_taken_one_by_one_or_together():
    keys = some_keys(6).view(2, 3)
    together = keep_mask(keys[:, None], site_factors(5, 4)[..., None], 7, 0.5, torch.float32)
    assert together.shape == (2, 4, 3, 7)
    for head in range(4):
        alone = keep_mask(keys, site_factors(5 + head)[:, 0], 7, 0.5, torch.float32)
        assert torch.equal(together[:, head], alone)


def test_compiled_dropout_is_the_same():
    x, keys = torch.randn(5, 12), some_keys(5)
    compiled = torch.compile(layer(0.3, 2), backend="aot_eager")
    assert torch.allclose(compiled(x, keys), layer(0.3, 2)(x, keys))


def test_every_column_and_row_loses_its_share():
    kept = keep_mask(some_keys(40, 100), SITE, 768, 0.1, torch.float64)
    assert abs(kept.mean() - 0.9) < 1e-3
    # Binomial shares: six standard deviations of the extreme of so many.
    assert (kept.mean(0) - 0.9).abs().max() < 6 * (0.09 / 4000) ** 0.5
    assert (kept.mean(1) - 0.9).abs().max() < 6 * (0.09 / 768) ** 0.5
    numbers = (1 - kept).sum(1)
    assert numbers.var().item() == pytest.approx(768 * 0.09, rel=0.1)  # five standard errors


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_columns_places_epochs_and_seeds_are_independent(rate):
    keys = some_keys(200, 100)
    one, other = dropped(keys, 3, 96, rate), dropped(keys, 4, 96, rate)
    others = [
        other,
        dropped(some_keys(200, 100, epoch=1), 3, 96, rate),
        dropped(some_keys(200, 100, seed=1), 3, 96, rate),
    ]
    for scores in (z_scores(one, one).fill_diagonal_(0), *(z_scores(one, two) for two in others)):
        assert scores.abs().max() < 6
        assert scores.std().item() == pytest.approx(1, abs=0.1)
    # Three at a time: what multiplies two columns tells nothing about a third.
    for column in (0, 40):
        product = one * one[:, column, None]
        product[:, column] = 0
        assert z_scores(product, other).abs().max() < 6


@pytest.mark.parametrize("distance", [1, 2, 3, 99, 100, 101])
def test_tokens_are_independent(distance):
    one = dropped(some_keys(200, 100), 3, 96)
    score = (one[distance:] * one[:-distance]).mean() * one[distance:].numel() ** 0.5
    assert score.abs() < 5


def test_a_literal_mask():
    keys = torch.tensor([0, 1, -(2**63), 0x0123_4567_89AB_CDEF])
    mask = keep_mask(keys, SITE, 6, 0.5, torch.float32)
    assert mask.int().tolist() == [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 0, 1, 0, 1],
        [0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
    ]
