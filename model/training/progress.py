"""The progress line: one that renews itself on a terminal, a plain one every 10 s elsewhere.

step 1200/31000 loss 5.31 lr 6.0e-04 41.2k tok/s util 38 % left 3h12
"""

import sys
import time

import torch

from model.training.hardware import device_name, matrix_peak
from study.execution import TrainingExecution

TERMINAL_SECONDS = 1.0
PLAIN_SECONDS = 10.0


class Progress:
    """Measures the pace of this attempt and prints it; utilisation where FLOPs are known."""

    def __init__(
        self,
        label: str,
        steps: int,
        start: int,
        *,
        flops_per_token: float | None,
        device: torch.device,
        dtype: torch.dtype,
        world: int,
    ):
        self.label, self.steps, self.start = label, steps, start
        self.flops_per_token = flops_per_token
        self.device, self.dtype, self.world = device, dtype, world
        self.terminal = sys.stderr.isatty()
        self.began = self.shown = time.monotonic()
        self.tokens = self.recent = 0

    def count(self, tokens: int) -> None:
        """Add one update's real tokens."""
        self.tokens += tokens
        self.recent += tokens

    @property
    def due(self) -> bool:
        """Whether it is time for the next line."""
        pause = TERMINAL_SECONDS if self.terminal else PLAIN_SECONDS
        return time.monotonic() - self.shown >= pause

    @property
    def seconds(self) -> float:
        """Wall-clock of this attempt."""
        return time.monotonic() - self.began

    @property
    def tokens_per_second(self) -> float:
        """Real tokens per second of this attempt, evaluations and checkpoints included."""
        return self.tokens / max(self.seconds, 1e-9)

    def seconds_left(self, step: int) -> float | None:
        """Wall-clock that the updates after `step` take at this attempt's pace, if it has one."""
        made = step - self.start
        return (self.steps - step) * self.seconds / made if made else None

    def facts(self, step: int) -> dict[str, float | int | None]:
        """How far the training is after update `step`, and how fast, for the journal's events."""
        left = self.seconds_left(step)
        return {
            "steps": self.steps,
            "tokens_per_second": round(self.tokens_per_second, 1),
            "seconds_left": None if left is None else round(left, 1),
        }

    def utilisation(self, tokens_per_second: float) -> float | None:
        """Share of the measured peak that these tokens need; None where FLOPs are unknown."""
        if self.flops_per_token is None:
            return None
        peak = matrix_peak(self.device, self.dtype) * self.world
        return self.flops_per_token * tokens_per_second / peak

    def announce(
        self,
        execution: TrainingExecution,
        *,
        parameters: int,
        tokens: int,
        parts: int,
        passes: float,
    ) -> None:
        """Say in one line what is about to be done; an update has `parts` micro-batches."""
        device = device_name(self.device) or "CPU"
        compiled = ", compiled" if execution.compile else ""
        cut = f"{parts} micro-batch" + ("es" if parts > 1 else "")
        line = (
            f"{self.label} trains {short_count(parameters)} parameters on {self.world} x {device} "
            f"({execution.precision}, {execution.mode}{compiled}): {self.steps} updates of "
            f"{short_count(tokens)} tokens, {cut} each, {passes:.3g} passes over the data"
        )
        if self.flops_per_token is not None:
            line += f", {self.flops_per_token * tokens * self.steps:.1e} FLOPs"
        line += f", going on after update {self.start}" if self.start else ""
        print(line.strip(), file=sys.stderr, flush=True)

    def show(self, step: int, loss: float, learning_rate: float) -> None:
        """Print the line of update `step`."""
        pace = self.recent / max(time.monotonic() - self.shown, 1e-9)
        used = self.utilisation(pace)
        line = (
            f"{self.label} step {step}/{self.steps} loss {loss:.2f} lr {learning_rate:.1e} "
            f"{short_count(pace)} tok/s "
        )
        line += "" if used is None else f"util {100 * used:.0f} % "
        line = f"{line}left {short_time(self.seconds_left(step) or 0)}".strip()
        print(
            f"\r{line}\x1b[K" if self.terminal else line,
            end="" if self.terminal else "\n",
            file=sys.stderr,
            flush=True,
        )
        self.shown, self.recent = time.monotonic(), 0

    def close(self) -> None:
        """Leave the terminal's cursor on a fresh line."""
        if self.terminal and self.tokens:
            print(file=sys.stderr)


def short_count(value: float) -> str:
    """950, 41.2k, 1.34M."""
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    return f"{value / 1e3:.1f}k" if value >= 1e3 else f"{value:.0f}"


def short_time(seconds: float) -> str:
    """45s, 12m05, 3h12."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}"
