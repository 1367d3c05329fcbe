"""What a training writes down as it goes.

`log.jsonl`: scalars that equal runs share (losses, learning rate, counts), a line per log point and
evaluation; cut back to the checkpoint on resume, so a run that was killed ends with the same bytes.
`events.jsonl`: one line per start, stop and log point of every attempt, and every ten seconds or so
between them, with host, time and pace; only ever appended to, and its last line is what
`study.standing` reads. `tensorboard/`: the same scalars and the pace, for looking at, as experiment
trackers get them (`trackers/` has their files).
"""

import json
import math
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.training.trackers import Reporter
from study.manifest import write_atomic
from study.run import if_known

PACE_SECONDS = 9.0  # a progress line comes every 10 s, on a terminal every second


class Journal:
    """The first rank's logs; on other ranks (`active` false) it writes nothing."""

    def __init__(
        self, run_directory: Path, active: bool, tensorboard: bool, trackers: Sequence[str] = ()
    ):
        self.directory, self.active = Path(run_directory), active
        self._trackers, self._reporters = trackers if active else (), []
        self.links: dict[str, str] = {}  # by tracker, where its run has an address
        self.lines: list[str] = []
        self._tensorboard = tensorboard and active
        self._writer = None
        self._told = 0.0
        if active:
            self.directory.mkdir(parents=True, exist_ok=True)

    def start(self, step: int, label: str = "", **facts: Any) -> None:
        """Begin an attempt after `step`: the log becomes `lines`, those of the checkpoint.

        `label` is what trackers call the training.
        """
        if not self.active:
            return
        write_atomic(self.directory / "log.jsonl", "".join(self.lines))
        if self._tensorboard:
            # Imported late: it costs a second that short runs without it need not pay.
            from torch.utils.tensorboard import SummaryWriter

            folder = str(self.directory / "tensorboard")
            self._writer = SummaryWriter(folder, purge_step=step + 1)
        self.event(
            "start",
            step=step,
            host=if_known(socket.gethostname),
            pid=os.getpid(),
            slurm_job=os.environ.get("SLURM_JOB_ID"),
            **facts,
        )
        names = self._trackers
        self._reporters = [Reporter(name, self.directory, label, self.links) for name in names]

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """Append a line of scalars to the log; what is not finite becomes null."""
        line = json.dumps({"step": step, **{k: finite(v) for k, v in scalars.items()}}) + "\n"
        self.lines.append(line)
        if self.active:
            with (self.directory / "log.jsonl").open("a") as file:
                file.write(line)
        self.scalars(step, scalars)

    def scalars(self, step: int, scalars: dict[str, float | None]) -> None:
        """Send scalars to TensorBoard and the trackers only."""
        known = {name: value for name, value in scalars.items() if finite(value) is not None}
        for reporter in self._reporters:
            reporter.send(step, known)
        if self._writer is not None:
            for name, value in scalars.items():
                if value is not None:
                    self._writer.add_scalar(name, value, step)

    def event(self, event: str, **facts: Any) -> None:
        """Append an event with the time to `events.jsonl`."""
        if self.active:
            self._told = time.time()
            record = {"event": event, "time": round(self._told, 3), **facts}
            with (self.directory / "events.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")

    def pace(self, step: int, **facts: Any) -> None:
        """Append how far the training is, where the last event is old: whoever looks sees it."""
        if time.time() - self._told >= PACE_SECONDS:
            self.event("pace", step=step, **facts)

    def close(self) -> None:
        """Flush TensorBoard's file, and wait for the trackers."""
        for reporter in self._reporters:
            reporter.close()
        if self._writer is not None:
            self._writer.close()


def finite(value: Any) -> Any:
    """The value; None if it is a float that JSON cannot hold."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
