"""Dropout on a CPU: rates, scale, determinism."""

import pytest
import torch

from model.network.dropout import dropout, keyed_keep, site_keys


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_drops_at_its_rate_and_keeps_the_mean(rate, dtype):
    torch.manual_seed(0)
    x = dropout(torch.ones(200_001, dtype=dtype), rate, training=True)
    dropped = (x == 0).double().mean().item()
    spread = (rate * (1 - rate) / 200_001) ** 0.5
    assert abs(dropped - rate) < 5 * spread
    kept = x[x != 0].double()
    assert kept.unique().numel() == 1
    assert kept[0].item() == pytest.approx(
        1 / (1 - rate), rel=1e-4 if dtype.itemsize == 4 else 4e-3
    )


def test_neighbouring_elements_are_independent():
    torch.manual_seed(1)
    dropped = (dropout(torch.ones(400_000), 0.5, training=True) == 0).double() - 0.5
    for distance in (1, 2, 3, 4, 8):
        covariance = (dropped[distance:] * dropped[:-distance]).mean().item()
        assert abs(covariance) < 5 * 0.25 / 400_000**0.5


def test_the_generator_decides():
    x = torch.ones(1000)
    torch.manual_seed(2)
    first, second = dropout(x, 0.3, training=True), dropout(x, 0.3, training=True)
    torch.manual_seed(2)
    assert torch.equal(first, dropout(x, 0.3, training=True))
    assert not torch.equal(first, second)


def test_gradient_passes_where_kept():
    torch.manual_seed(3)
    x = torch.randn(64, requires_grad=True)
    y = dropout(x, 0.5, training=True)
    y.sum().backward()
    assert torch.equal(x.grad == 0, y == 0)
    assert torch.allclose(x.grad[y != 0], torch.tensor(2.0))


def test_nothing_happens_in_evaluation():
    x = torch.randn(10)
    assert torch.equal(dropout(x, 0.5, training=False), x)
    assert torch.equal(dropout(x, 0.0, training=True), x)


def site(number: int) -> torch.Tensor:
    return torch.tensor(number, dtype=torch.int32)


def test_keys_drop_the_rate_of_every_column_and_row():
    keys = torch.randint(-(2**31), 2**31, (4000,), generator=torch.Generator().manual_seed(0))
    keep = keyed_keep(site_keys(keys.to(torch.int32), site(3)), 768, 0.1).double()
    assert abs(keep.mean() - 0.9) < 1e-3
    # Binomial shares: six standard deviations of the extreme of so many.
    assert (keep.mean(0) - 0.9).abs().max() < 6 * (0.09 / 4000) ** 0.5
    assert (keep.mean(1) - 0.9).abs().max() < 6 * (0.09 / 768) ** 0.5


def test_keys_drop_columns_rows_and_sites_independently():
    keys = torch.randint(-(2**31), 2**31, (4000,), generator=torch.Generator().manual_seed(0))
    keys = keys.to(torch.int32)
    one, other = (
        keyed_keep(site_keys(keys, site(number)), 256, 0.1).double() - 0.9 for number in (3, 4)
    )
    standard_error = 0.09 / (4000 * 256) ** 0.5
    assert (one * other).mean().abs() < 5 * standard_error
    assert (one[:, 1:] * one[:, :-1]).mean().abs() < 5 * standard_error
    assert (one[1:] * one[:-1]).mean().abs() < 5 * standard_error


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
