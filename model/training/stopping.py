"""A wish to stop early: SIGTERM (preemption, `scancel`) or a time budget that is nearly used up.

The engine looks at it between updates, saves a checkpoint and raises `study.command.Resumable`.
"""

import signal
import threading
import time


class StopRequest:
    """Context manager that remembers SIGTERM and the time budget in minutes (None = no limit).

    The last tenth of the budget, at most two minutes, is kept for saving.
    """

    def __init__(self, time_budget: float | None = None):
        self._deadline = None
        if time_budget is not None:
            usable = time_budget - min(2.0, 0.1 * time_budget)
            self._deadline = time.monotonic() + 60 * usable
        self._signalled = False
        self._previous = None

    def __enter__(self) -> "StopRequest":
        # Python delivers signals to the main thread only, and only it may install a handler.
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._remember)
        return self

    def __exit__(self, *exception) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _remember(self, number, frame) -> None:
        self._signalled = True

    def reason(self) -> str | None:
        """Why to stop at the next update boundary; None to go on."""
        if self._signalled:
            return "SIGTERM"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "time budget"
        return None
