"""One timer for Snakemake's scheduler, where it starts one more in every pass.

What happens without it, and since when it is known: docs/snakemake-timers.md. It goes once no
release that requirements.txt may name needs it.
"""

import threading
import time

# Releases that start the timers and were tested with one. In any other one nothing is touched.
RELEASES = ("9.27.1",)
METHOD = "_schedule_reevalutation"
LOOKS = ("threading", "Timer", "start")  # the names that its code uses, in order


def keep_one_timer(scheduler: type, release: str) -> bool:
    """Give Snakemake's JobScheduler a single timer; whether this release is one that it is for.

    The method asks for a pass of the scheduler's loop in `delay` seconds. While one is awaited that
    is due no later, another is not asked for: the pass asks again where it leaves jobs waiting.
    """
    method = getattr(scheduler, METHOD, None)
    code = getattr(method, "__code__", None)
    known = code is not None and code.co_names == LOOKS and code.co_argcount == 2
    if release not in RELEASES or not known:
        return False

    def ask_for_pass(self, delay: float) -> None:
        due = time.monotonic() + delay
        if getattr(self, "_pass_due", due + 1) <= due:
            return
        self._pass_due = due

        def wake() -> None:
            # First: a pass that this wakes may at once ask for the next.
            if self._pass_due == due:
                self._pass_due = float("inf")
            self._open_jobs.release()

        timer = threading.Timer(delay, wake)
        timer.daemon = True  # nobody waits for it when the last job has ended
        timer.start()

    setattr(scheduler, METHOD, ask_for_pass)
    return True
