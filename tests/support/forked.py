"""Processes for tests without the price of importing torch again: forks of the test process."""

import atexit
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from signals import heed_signals

from study.command import EXIT_RESUMABLE, RANKS_FOLDER, Resumable


class Child:
    """A fork that runs `function` and ends with 0, 75 (Resumable) or 1 (any other exception)."""

    def __init__(self, function: Callable[[], None], **environment: str):
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        try:
            heed_signals()
            os.environ.update(environment)
            torch.set_num_threads(1)
            function()
            code = 0
        except Resumable:
            code = EXIT_RESUMABLE
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def wait(self) -> int:
        """Exit code, or minus the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def start_world(size: int, function: Callable[[], None]) -> list[Child]:
    """`size` ranks of gloo that run `function`, with the variables that model.launch sets."""
    folder = tempfile.mkdtemp(prefix="ranks-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shared = {"WORLD_SIZE": str(size), RANKS_FOLDER: folder}
    return [Child(function, RANK=str(rank), LOCAL_RANK=str(rank), **shared) for rank in range(size)]


def run_world(size: int, function: Callable[[], None]) -> None:
    """Run `function` on `size` ranks; all must succeed."""
    codes = [child.wait() for child in start_world(size, function)]
    assert codes == [0] * size


def kill_at(call: int) -> None:
    """Kill this process at the n-th fsync or rename: before it if n is even, after it if odd."""
    seen = 0

    def watched(real):
        def wrapper(*arguments):
            nonlocal seen
            here, seen = seen, seen + 1
            if here == call // 2 and call % 2 == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            outcome = real(*arguments)
            if here == call // 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return outcome

        return wrapper

    os.fsync = watched(os.fsync)
    Path.replace = watched(Path.replace)
