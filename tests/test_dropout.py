"""Dropout on a CPU: rates, scale, determinism."""

import pytest
import torch

from model.network.dropout import dropout


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
