"""Sums of gradients over micro-batches and ranks: exact (same bits for any split) or fast (DDP).

In: backward passes that leave one micro-batch's gradient in `.grad`. Out: the update's gradient in
`.grad` and its loss by term (float64), equal on all ranks.

Exact: floating-point addition depends on order, integer addition does not. Each micro-batch's
gradient is rounded to a multiple of 2^-40 and summed in int64, so how micro-batches are dealt to
ranks cannot show in the result. One all-reduce carries gradients, losses and alarms.
"""

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from model.training.distributed import Ranks
from model.training.precision import Precision

FRACTION_BITS = 40
LIMIT = 2.0**22  # on the sum of the norms of an update's micro-batches; int64 holds 2^23
PIECE = 65_536  # elements converted at a time: the scratch buffers stay in the cache
ALARMS = 3  # at the end of the buffer: loss not finite, gradient not finite, out of range


class LoneGradient:
    """The bits of ExactGradients where one process has one micro-batch: nothing is to be summed.

    It is rounded where it lies, which saves 1 to 8 % of such an update on a CPU.
    """

    def __init__(self, module: nn.Module, precision: Precision):
        self.wrapped, self.precision = module, precision  # what to call in the forward pass
        self.factor = 1.0  # on every loss before backward
        self.bound = LIMIT  # on the norm of a micro-batch
        self.parameters = [p for p in module.parameters() if p.requires_grad]

    def begin(self, count: int) -> list[tuple[int, float]]:
        """Start an update of `count` micro-batches; this rank's (micro-batch, weight) pairs."""
        _forget(self.parameters)
        return [(0, 1.0)]

    def micro_batch(self, last: bool):
        """Context around one forward and backward pass."""
        return nullcontext()

    def add(self, losses: Tensor) -> None:
        """Add the micro-batch's gradient and its losses (terms,)."""
        self.outcome = self._keep(losses)

    def finish(self) -> Tensor:
        """The update's losses (terms,) float64, NaN if it diverged; its gradient is in `.grad`.

        A loss or a gradient beyond what fixed point holds is a divergence like one that is not
        finite: such an update has no sum.
        """
        losses, usable = _outcome(self.outcome, self.precision)
        for parameter in self.parameters:
            if not usable:
                parameter.grad = torch.full_like(parameter, torch.inf)
            elif parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        return losses

    def _keep(self, losses: Tensor) -> Tensor:
        """Round the gradient and keep it; (terms + ALARMS,) int64: losses in fixed point, alarms.

        A norm bounds every element, and is not finite as soon as one element is not.
        """
        scale, begin, squares = self.precision.scale, 0, losses.new_zeros(())
        for parameter in self.parameters:
            if parameter.grad is not None:
                flat = parameter.grad.reshape(-1)
                squares += torch.dot(flat, flat)
                self._round(flat, begin, scale)
                parameter.grad = flat.view_as(parameter)
            begin += parameter.numel()
        norm, loss = squares.sqrt() / scale, losses.abs().max()
        in_range = (norm <= self.bound) & (loss <= self.bound)
        good_loss, good_norm = torch.isfinite(loss), torch.isfinite(norm)
        alarms = torch.stack([~good_loss, ~good_norm, good_loss & good_norm & ~in_range])
        fixed = (losses.double() * 2.0**FRACTION_BITS).round().long()
        return torch.cat([fixed, alarms.long()])

    def _round(self, flat: Tensor, begin: int, scale: float) -> None:
        """Round a parameter's gradient, in place."""
        for piece in flat.split(PIECE):
            # A rounded fp32 number passes through int64 unchanged, so the detour can be left out;
            # adding 0 makes -0 the 0 that an integer would be.
            piece.mul_(2.0**FRACTION_BITS / scale).round_()
            piece.mul_(scale / 2.0**FRACTION_BITS).add_(0.0)


class ExactGradients(LoneGradient):
    """Fixed-point sums over micro-batches and ranks."""

    def __init__(self, module: nn.Module, terms: int, ranks: Ranks, precision: Precision):
        super().__init__(module, precision)
        self.ranks = ranks
        sizes = [p.numel() for p in self.parameters]
        self.size, device = sum(sizes), ranks.device
        self.fixed = torch.zeros(self.size + terms + ALARMS, dtype=torch.int64, device=device)
        self.total = torch.zeros(self.size, device=device)
        pairs = zip(self.total.split(sizes), self.parameters, strict=True)
        self.views = [piece.view_as(p) for piece, p in pairs]
        self.scaled = torch.empty(min(PIECE, self.size), device=device)
        self.rounded = torch.empty_like(self.scaled, dtype=torch.int64)

    def begin(self, count: int) -> list[tuple[int, float]]:
        """Start an update of `count` micro-batches; this rank's (micro-batch, weight) pairs."""
        self.bound = LIMIT / count
        self.fixed.zero_()
        _forget(self.parameters)
        return [(index, 1.0) for index in self.ranks.dealt(count)]

    def add(self, losses: Tensor) -> None:
        """Add the micro-batch's gradient and its losses (terms,)."""
        self.fixed[self.size :] += self._keep(losses)
        _forget(self.parameters)

    def finish(self) -> Tensor:
        """As LoneGradient.finish, after one all-reduce."""
        self.ranks.sum(self.fixed)
        losses, usable = _outcome(self.fixed[self.size :], self.precision)
        if usable:
            scale = self.precision.scale
            self.total.copy_(self.fixed[: self.size]).mul_(scale / 2.0**FRACTION_BITS)
        else:
            self.total.fill_(torch.inf)
        for parameter, view in zip(self.parameters, self.views, strict=True):
            parameter.grad = view
        return losses

    def _round(self, flat: Tensor, begin: int, scale: float) -> None:
        """Add a parameter's gradient, rounded, to the sums from place `begin` on."""
        for piece in flat.split(PIECE):
            # In fp32 already, scaling by a power of two and rounding to whole numbers lose nothing.
            scaled, rounded = self.scaled[: len(piece)], self.rounded[: len(piece)]
            torch.mul(piece, 2.0**FRACTION_BITS / scale, out=scaled).round_()
            self.fixed[begin : begin + len(piece)] += rounded.copy_(scaled)
            begin += len(piece)


def _outcome(fixed: Tensor, precision: Precision) -> tuple[Tensor, bool]:
    """Losses of an update, NaN if it diverged, and whether its gradient is usable.

    `fixed` (terms + ALARMS,) int64: losses in fixed point, how often each alarm rang.
    """
    bad_loss, bad_norm, out_of_range = fixed[-ALARMS:].tolist()
    losses = fixed[:-ALARMS].double() / 2.0**FRACTION_BITS
    if bad_loss or out_of_range or (bad_norm and not precision.skips_overflow):
        losses.fill_(torch.nan)
    return losses, not (bad_norm or out_of_range)


def _forget(parameters: list[Tensor]) -> None:
    for parameter in parameters:
        parameter.grad = None


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
