"""Exact sums beside sums of integers: parameters of any size, alone and in two micro-batches."""

import math

import pytest
import torch

from model.training.distributed import Ranks
from model.training.gradients import PIECE, UNIT, ExactGradients
from model.training.precision import Precision

CPU = torch.device("cpu")
SIZES = (3, PIECE - 4, 1, 5, 2 * PIECE + 7, 2, PIECE, 4)


class Layers(torch.nn.Module):
    """Parameters that fill a piece, exceed it and share one; the fourth never has a gradient."""

    def __init__(self):
        super().__init__()
        layers = [torch.nn.Parameter(torch.zeros(size)) for size in SIZES]
        self.layers = torch.nn.ParameterList(layers)


def gradients_of(number: int) -> list[torch.Tensor | None]:
    draw = torch.Generator().manual_seed(number)
    found = [
        torch.randn(size, generator=draw) * 10.0 ** (place - 7) for place, size in enumerate(SIZES)
    ]
    found[0][:] = torch.tensor([-0.0, -1e-14, 2.0**-41])
    found[3] = None
    return found


def summed(parts: list[list[torch.Tensor | None]], losses: list[list[float]], name: str = "fp32"):
    """Gradients and losses of an update of these micro-batches; None for what diverged."""
    module, precision = Layers(), Precision(name, CPU)
    exact = ExactGradients(module, len(losses[0]), Ranks(CPU), precision)
    exact.begin(len(parts))
    scale = precision.scaled(torch.ones(())).item()
    for part, values in zip(parts, losses, strict=True):
        for parameter, gradient in zip(module.layers, part, strict=True):
            parameter.grad = None if gradient is None else gradient * scale
        exact.add(torch.tensor(values))
    found = exact.finish()
    return [parameter.grad / scale for parameter in module.layers], found.tolist()


@pytest.mark.parametrize("name", ["fp32", "fp16"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_sums_are_those_of_integers(count, name):
    parts = [gradients_of(number) for number in range(count)]
    found, losses = summed(parts, [[0.5, number + 2.0**-42] for number in range(count)], name)
    assert losses == [0.5 * count, sum(range(count))]
    for place, size in enumerate(SIZES):
        total = torch.zeros(size, dtype=torch.int64)
        for part in parts:
            if part[place] is not None:
                total += (part[place].double() * UNIT).round().long()
        wanted = total.float() / UNIT
        assert torch.equal(found[place], wanted)
        assert not (found[place].signbit() & (wanted == 0)).any()


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("gradient", "loss", "losses_are_lost", "gradient_is_lost"),
    [
        (math.inf, 1.0, True, True),
        (math.nan, 1.0, True, True),
        (2.0**23, 1.0, True, True),
        (1.0, math.nan, True, False),
        (1.0, 2.0**23, True, True),
        (1.0, 1.0, False, False),
    ],
)
def test_what_fixed_point_does_not_hold_is_a_divergence(
    count, gradient, loss, losses_are_lost, gradient_is_lost
):
    parts = [gradients_of(number) for number in range(count)]
    parts[-1][4][-1] = gradient
    found, losses = summed(parts, [[1.0, 1.0]] * (count - 1) + [[1.0, loss]])
    assert all(map(math.isnan, losses)) == losses_are_lost
    assert bool(torch.cat(found).isinf().all()) == gradient_is_lost


def test_an_overflow_in_fp16_loses_the_gradient_and_keeps_the_losses():
    part = gradients_of(0)
    part[4][-1] = math.inf
    found, losses = summed([part], [[1.0, 2.0]], "fp16")
    assert losses == [1.0, 2.0]
    assert torch.cat(found).isinf().all()
