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
    sound: Tensor  # int64: updates before the first whose losses were not finite; on the device
    step: int = 0
    totals: dict[str, int] = field(default_factory=dict)
    curve: list[list] = field(default_factory=list)
    epoch: float | None = None
    seconds: float = 0.0  # of earlier attempts, up to the checkpoint

    def advance(self, losses: Tensor, figures: Mapping[str, float]) -> None:
        """Count one update; nothing here waits for the device."""
        self.step += 1
        self.window += losses
        # What was not finite once stays in the window, until a log point finds it.
        self.sound += self.window.sum().abs() < torch.inf
        for name in COUNTED:
            if name in figures:
                self.totals[name] = self.totals.get(name, 0) + int(figures[name])
        self.epoch = figures.get("epoch", self.epoch)

    @property
    def diverged(self) -> int | None:
        """The first update that was not finite, if there was one; waits for the device."""
        sound = int(self.sound)
        return sound + 1 if sound < self.step else None
