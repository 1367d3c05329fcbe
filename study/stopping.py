"""A wish to stop early: a polite signal, or a time budget that is nearly used up.

SIGTERM comes from preemption and `scancel`, SIGINT from Ctrl-C, SIGHUP from a closed terminal; all
mean the same. The engine looks at it between updates, saves a checkpoint and raises
`study.command.Resumable`.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from typing import IO

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopRequest:
    """Context manager that remembers a signal and the time budget in minutes (None = no limit).

    The last tenth of the budget, at most two minutes, is kept for saving. Signals that were ignored
    before (nohup) still are.
    """

    def __init__(self, time_budget: float | None = None):
        self._deadline = None
        if time_budget is not None:
            usable = time_budget - min(2.0, 0.1 * time_budget)
            self._deadline = time.monotonic() + 60 * usable
        self._signalled: str | None = None
        self._previous: dict = {}

    def __enter__(self) -> "StopRequest":
        # Python delivers signals to the main thread only, and only it may install a handler.
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._signalled == "SIGTERM" and "RANK" not in os.environ:
            end_slurm_job()

    def _remember(self, number, frame) -> None:
        self._signalled = signal.Signals(number).name

    def reason(self) -> str | None:
        """Why to stop at the next update boundary; None to go on."""
        if self._signalled:
            return self._signalled
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "time budget"
        return None


def end_slurm_job() -> None:
    """End the job of the cluster in which this process was told to stop, now that all is saved.

    At preemption SLURM tells what srun has started, but not the script that did: in a job that
    holds several trainings it would start the next one, while others wait for the node.
    """
    if "SLURM_STEP_ID" in os.environ:
        command = ["scancel", "--batch", "--signal=TERM", os.environ["SLURM_JOB_ID"]]
        with contextlib.suppress(OSError):
            subprocess.run(command, capture_output=True, check=False)


def start_group(command: list[str], output: IO[str]) -> subprocess.Popen:
    """Start a command as a process group of its own, with all that it prints in a file.

    Ctrl-C reaches it once, from here (`signal_group`), and as SIGINT, for which both Snakemake and
    the shells of its jobs wait until the jobs have saved and ended.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        process_group=0,
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    """Undo what a script does to its background commands, which makes them deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def signal_group(process: subprocess.Popen, number: signal.Signals) -> None:
    """Send a signal to whatever is left of a group that `start_group` started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def leave_signals_to_parent() -> None:
    """Ignore the signals of a wish to stop: a helper process lives until its parent has saved."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
