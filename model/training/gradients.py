"""Sums of gradients over micro-batches and ranks: exact (same bits for any split) or fast (DDP).

In: backward passes that leave one micro-batch's gradient in `.grad`. Out: the update's gradient in
`.grad` and its loss by term (float64), equal on all ranks.

Exact: floating-point addition depends on order, integer addition does not. Each micro-batch's
gradient is rounded to a multiple of 2^-40 and summed in int64, so how micro-batches are dealt to
ranks cannot show in the result. One all-reduce carries gradients, losses and alarms.
"""

import math
from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors
from torch.nn.parallel import DistributedDataParallel

from model.training.distributed import Ranks
from model.training.precision import Precision

FRACTION_BITS = 40
UNIT = 2.0**FRACTION_BITS
LIMIT = 2.0**22  # on the sum of the norms of an update's micro-batches; int64 holds 2^23
PIECE = 65_536  # elements converted at a time: the scratch buffers stay in the cache
ALARMS = 3  # at the end of the buffer: loss not finite, gradient not finite, out of range


class ExactGradients:
    """Fixed-point sums over micro-batches and ranks.

    Where one process has one micro-batch nothing is to be summed: its gradient is rounded to the
    same bits without the way through integers.
    """

    factor = 1.0  # on every loss before backward

    def __init__(self, module: nn.Module, terms: int, ranks: Ranks, precision: Precision):
        self.wrapped, self.precision = module, precision  # what to call in the forward pass
        self.ranks = ranks
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        sizes = [p.numel() for p in self.parameters]
        self.size, device = sum(sizes), ranks.device
        self.total = torch.zeros(self.size, device=device)
        pairs = zip(self.total.split(sizes), self.parameters, strict=True)
        self.views = [piece.view_as(p) for piece, p in pairs]
        self.runs = _runs(sizes)
        self.fixed = torch.zeros(self.size + terms + ALARMS, dtype=torch.int64, device=device)
        self.outcome = self.fixed[self.size :]
        self.rounded = torch.empty(min(PIECE, self.size), dtype=torch.int64, device=device)
        self.zero = torch.zeros((), device=device)

    def begin(self, count: int) -> list[tuple[int, float]]:
        """Start an update of `count` micro-batches; this rank's (micro-batch, weight) pairs."""
        self.alone = count == 1 and self.ranks.world == 1
        self.bound = LIMIT / count  # on the norm of a micro-batch, and on its losses
        (self.outcome if self.alone else self.fixed).zero_()
        for parameter in self.parameters:
            parameter.grad = None
        return [(index, 1.0) for index in self.ranks.dealt(count)]

    def micro_batch(self, last: bool):
        """Context around one forward and backward pass."""
        return nullcontext()

    def add(self, losses: Tensor) -> None:
        """Add the micro-batch's gradient and its losses (terms,); waits for the device."""
        scale, squares = self.precision.scale, losses.new_zeros(())
        for begin, piece in self._taken():
            squares += torch.dot(piece, piece)
            # In fp32 already, scaling by a power of two and rounding to whole numbers lose nothing.
            scaled = (piece * (UNIT / scale)).round_()
            end = begin + len(piece)
            if self.alone:
                # What passing through int64 would give; to 0 is added, for -0 is no integer.
                torch.add(self.zero, scaled, alpha=scale / UNIT, out=self.total[begin:end])
            else:
                self.fixed[begin:end].add_(self.rounded[: len(piece)].copy_(scaled))
        # A norm bounds every element, and is not finite as soon as one element is not.
        norm = math.sqrt(squares.item()) / scale
        outcome = _in_fixed_point(losses.tolist(), norm, self.bound)
        self.outcome.add_(torch.tensor(outcome, device=self.outcome.device))

    def finish(self) -> Tensor:
        """The update's losses (terms,) float64, NaN if it diverged; its gradient is in `.grad`.

        A loss or a gradient beyond what fixed point holds is a divergence like one that is not
        finite: such an update has no sum.
        """
        self.ranks.sum(self.fixed)
        *losses, bad_loss, bad_norm, out_of_range = self.outcome.tolist()
        if bad_loss or out_of_range or (bad_norm and not self.precision.skips_overflow):
            losses = [math.nan] * len(losses)
        if bad_norm or out_of_range:
            self.total.fill_(torch.inf)
        elif not self.alone:
            self.total.copy_(self.fixed[: self.size]).mul_(self.precision.scale / UNIT)
        for parameter, view in zip(self.parameters, self.views, strict=True):
            parameter.grad = view
        losses = [loss / UNIT for loss in losses]
        return torch.tensor(losses, dtype=torch.float64, device=self.total.device)

    def _taken(self) -> Iterator[tuple[int, Tensor]]:
        """The micro-batch's gradient, end to end, in pieces (n,) and where each begins; `.grad` is
        None then.
        """
        begin = 0
        for run in self.runs:
            gradients = []
            for parameter in self.parameters[run]:
                gradient, parameter.grad = parameter.grad, None
                gradients.append(torch.zeros_like(parameter) if gradient is None else gradient)
            for piece in _flatten_dense_tensors(gradients).split(PIECE):
                yield begin, piece
                begin += len(piece)


def _runs(sizes: list[int]) -> list[slice]:
    """Parameters side by side that together fill at most a piece; a larger one is a run itself.

    With pieces of 10, sizes 3, 4, 5, 25 and 1 make the runs 0:2 (7), 2:3 (5), 3:4 (25), 4:5 (1).
    """
    runs, start = [], 0
    for stop in range(1, len(sizes) + 1):
        if stop == len(sizes) or sum(sizes[start : stop + 1]) > PIECE:
            runs.append(slice(start, stop))
            start = stop
    return runs


def _in_fixed_point(losses: list[float], norm: float, bound: float) -> list[int]:
    """A micro-batch's losses in fixed point, 0 for those that have none, and its alarms."""
    good_losses, good_norm = all(map(math.isfinite, losses)), math.isfinite(norm)
    in_range = max(map(abs, losses)) <= bound and norm <= bound
    fixed = [round(loss * UNIT) if abs(loss) <= bound else 0 for loss in losses]
    return [*fixed, not good_losses, not good_norm, good_losses and good_norm and not in_range]


class FastGradients:
    """DDP: fp32 sums in `.grad`, reduced while the last micro-batch's backward pass runs."""

    def __init__(self, module: nn.Module, terms: int, ranks: Ranks, precision: Precision):
        self.ranks = ranks
        self.factor = float(ranks.world)  # DDP averages over ranks; we want the sum
        self.wrapped = module
        if ranks.world > 1:
            self.wrapped = DistributedDataParallel(
                module,
                process_group=ranks.group,
                broadcast_buffers=False,
                gradient_as_bucket_view=True,
            )
        self.losses = torch.zeros(terms, dtype=torch.float64, device=ranks.device)

    def begin(self, count: int) -> list[tuple[int, float]]:
        """Start an update of `count` micro-batches; this rank's (micro-batch, weight) pairs.

        A rank without one runs the first with weight 0, because all ranks must join the reduction.
        """
        self.wrapped.zero_grad(set_to_none=True)
        self.losses.zero_()
        return [(index, 1.0) for index in self.ranks.dealt(count)] or [(0, 0.0)]

    def micro_batch(self, last: bool):
        """Context around one forward and backward pass."""
        return nullcontext() if last or self.ranks.world == 1 else self.wrapped.no_sync()

    def add(self, losses: Tensor) -> None:
        """Add the micro-batch's losses (terms,); its gradient is in `.grad` already."""
        self.losses += losses

    def finish(self) -> Tensor:
        """The update's losses (terms,) float64; its gradient is in `.grad`."""
        return self.ranks.sum(self.losses.clone())
