"""Dropout as a function of keys: rates, scale, independence, one function on all paths."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.network.dropout import Dropout, dropout, keep_mask, keyed_keep, site_keys


def some_keys(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-(2**31), 2**31, shape, generator=generator, dtype=torch.int32)


def site(number: int) -> torch.Tensor:
    return torch.tensor(number, dtype=torch.int32)


def layer(rate: float, number: int = 0, training: bool = True) -> Dropout:
    return Dropout(rate, number).train(training)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_drops_at_its_rate_and_keeps_the_mean(rate, dtype):
    x = dropout(torch.ones(2001, 100, dtype=dtype), some_keys(2001), rate)
    dropped = (x == 0).double().mean().item()
    spread = (rate * (1 - rate) / 200_100) ** 0.5
    assert x.dtype == dtype
    assert abs(dropped - rate) < 5 * spread
    kept = x[x != 0].double()
    assert kept.unique().numel() == 1
    assert kept[0].item() == pytest.approx(
        1 / (1 - rate), rel=1e-6 if dtype.itemsize == 4 else 4e-3
    )


def test_gradient_passes_where_kept():
    x = torch.randn(8, 64, requires_grad=True)
    y = dropout(x, some_keys(8), 0.5)
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


@given(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20),
    st.integers(1, 70),
    st.floats(1e-6, 0.999),
    st.sampled_from([torch.float32, torch.bfloat16, torch.float64]),
)
def test_both_ways_of_working_it_out_are_one_function(keys, columns, rate, dtype):
    keys = torch.tensor(keys, dtype=torch.int32)
    mask = keep_mask(keys, columns, rate, dtype)
    assert mask.dtype == dtype
    assert torch.equal(mask, keyed_keep(keys, columns, rate).to(dtype))


def test_masks_of_many_pieces_are_one_function():
    keys = some_keys(3, 5000)
    mask = keep_mask(keys, 100, 0.1, torch.float32)
    assert torch.equal(mask.bool(), keyed_keep(keys, 100, 0.1))


def test_compiled_dropout_is_the_same():
    x, keys = torch.randn(5, 12), some_keys(5)
    compiled = torch.compile(layer(0.3, 2), backend="aot_eager")
    assert torch.allclose(compiled(x, keys), layer(0.3, 2)(x, keys))


def test_keys_drop_the_rate_of_every_column_and_row():
    keep = keyed_keep(site_keys(some_keys(4000), site(3)), 768, 0.1).double()
    assert abs(keep.mean() - 0.9) < 1e-3
    # Binomial shares: six standard deviations of the extreme of so many.
    assert (keep.mean(0) - 0.9).abs().max() < 6 * (0.09 / 4000) ** 0.5
    assert (keep.mean(1) - 0.9).abs().max() < 6 * (0.09 / 768) ** 0.5


def test_keys_drop_columns_rows_and_sites_independently():
    keys = some_keys(4000)
    one, other = (
        keyed_keep(site_keys(keys, site(number)), 256, 0.1).double() - 0.9 for number in (3, 4)
    )
    standard_error = 0.09 / (4000 * 256) ** 0.5
    assert (one * other).mean().abs() < 5 * standard_error
    for distance in (1, 2, 3, 4, 8, 64):
        assert (one[:, distance:] * one[:, :-distance]).mean().abs() < 6 * standard_error
        assert (one[distance:] * one[:-distance]).mean().abs() < 6 * standard_error


def test_a_literal_keyed_mask():
    keys = torch.tensor([0, 1, -5], dtype=torch.int32)
    assert keyed_keep(site_keys(keys, site(0)), 6, 0.5).int().tolist() == [
        [1, 0, 1, 0, 0, 0],
        [0, 1, 0, 0, 1, 1],
        [1, 0, 1, 1, 0, 1],
    ]
    both = site_keys(keys, torch.tensor([0, 7], dtype=torch.int32))
    assert torch.equal(both[:, 0], site_keys(keys, site(0)))
    assert torch.equal(both[:, 1], site_keys(keys, site(7)))
