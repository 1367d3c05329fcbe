"""What a training carries on besides weights and optimiser, and what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

COUNTED = ("tokens", "masked", "samples", "padded")  # figures of an update that add up


@dataclass
class TrainingResult:
    """What became of a training; `speed` is what may differ between equal runs."""

    step: int  # updates done
    diverged: int | None  # the first update that was not finite; training stopped there
    curve: list[tuple[int, dict[str, float]]]  # (step, figures of the evaluation)
    totals: dict[str, int]  # tokens, masked, samples, padded: sums over all updates
    epochs: float | None  # the last update's epoch
    speed: dict[str, Any] = field(default_factory=dict)


@dataclass
class State:
    """What the loop carries from update to update, besides weights and optimiser."""

    window: Tensor  # (terms,) float64: losses summed since the last log point
    bad: Tensor  # int64: the first update that was not finite, 0 = none; on the device
    step: int = 0
    totals: dict[str, int] = field(default_factory=dict)
    curve: list[list] = field(default_factory=list)
    epoch: float | None = None
    seconds: float = 0.0  # of earlier attempts, up to the checkpoint

    def advance(self, losses: Tensor, figures: Mapping[str, float]) -> None:
        """Count one update; nothing here waits for the device."""
        self.step += 1
        self.window += losses
        first = (self.bad == 0) & ~torch.isfinite(losses).all()
        self.bad = torch.where(first, self.step, self.bad)
        for name in COUNTED:
            if name in figures:
                self.totals[name] = self.totals.get(name, 0) + int(figures[name])
        self.epoch = figures.get("epoch", self.epoch)
