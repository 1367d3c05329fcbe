"""Arms of a benchmark that take turns, update by update, each in a process of its own.

Nothing that one side sets in its process (memory, threads, library modes) is there for the other,
and whatever else the machine does hits all alike.
"""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Pause = Callable[[], None]


@dataclass(frozen=True)
class Turn:
    """One update of one arm."""

    seconds: float
    cpu_seconds: float  # of all threads of its process: other programs disturb them little


class Arm:
    """A training under way in another process."""

    def __init__(self, train: Callable[..., None], *arguments):
        """`train(pause, *arguments)` calls `pause()` after every update and never ends."""
        context = multiprocessing.get_context("spawn")
        self._pipe, others_end = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(others_end, train, arguments), daemon=True
        )
        self._process.start()

    def turn(self) -> Turn:
        """Make one update, the first time all before it too; RuntimeError says why it cannot."""
        self._pipe.send("go on")
        found = self._pipe.recv()
        if isinstance(found, str):
            raise RuntimeError(found)
        return found

    def end(self) -> None:
        """Stop the process."""
        self._process.terminate()
        self._process.join()


def _serve(pipe, train: Callable[..., None], arguments: tuple) -> None:
    """The arm's process."""
    began = (0.0, 0.0)

    def wait() -> None:
        nonlocal began
        pipe.recv()
        began = time.perf_counter(), time.process_time()

    def pause() -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        pipe.send(Turn(time.perf_counter() - began[0], time.process_time() - began[1]))
        wait()

    wait()
    try:
        train(pause, *arguments)
    except (RuntimeError, torch.OutOfMemoryError) as error:
        pipe.send(str(error).strip().splitlines()[0])
