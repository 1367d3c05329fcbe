"""The processes that train together: started alone, by `model.launch`, or by `torchrun`.

Every rank holds the whole model; the micro-batches of an update are dealt out in turn. NCCL
carries tensors on GPUs, gloo those in host memory.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from study.command import RANKS_FOLDER, Resumable
from study.run import Run, open_run
from study.stopping import StopRequest

# Another process may hold the run directory for as long as a whole training takes.
PATIENCE = timedelta(days=7)
# A GPU that answers no longer than this is lost: its job fails and is started again.
GPU_PATIENCE = timedelta(minutes=30)
_gpu_groups: list[dist.ProcessGroup] = []  # of `open_ranks`, at most one


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train together."""

    device: torch.device
    rank: int = 0
    world: int = 1
    group: dist.ProcessGroup | None = None  # carries tensors on `device`; None: the default one

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def dealt(self, count: int) -> range:
        """Which of `count` micro-batches this rank was dealt: every `world`-th."""
        return range(self.rank, count, self.world)

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over the ranks, in place."""
        if self.world > 1:
            dist.all_reduce(tensor, group=self.group if tensor.is_cuda else None)
        return tensor

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set on some rank; all ranks get the same answer."""
        if self.world == 1:
            return list(flags)
        counts = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(counts)
        return [count > 0 for count in counts.tolist()]

    def wait(self) -> None:
        """Return when every rank has come here."""
        self.any(True)

    def tell(self, value: Any) -> Any:
        """The first rank's value, on every rank."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]


def current_ranks(device: str) -> Ranks:
    """This process's ranks: those of `open_ranks`, or itself alone."""
    chosen = _own_device(device)
    if not dist.is_initialized():
        return Ranks(chosen)
    group = _gpu_groups[0] if _gpu_groups and device == "cuda" else None
    return Ranks(chosen, dist.get_rank(), dist.get_world_size(), group)


@contextmanager
def open_ranks(device: str) -> Iterator[Ranks]:
    """Join the processes that were started together; one started alone is a world of one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield current_ranks(device)
        return
    meeting = {}
    if RANKS_FOLDER in os.environ and "MASTER_ADDR" not in os.environ:
        store = dist.FileStore(f"{os.environ[RANKS_FOLDER]}/store", world)
        meeting = {"store": store, "rank": int(os.environ["RANK"]), "world_size": world}
    dist.init_process_group("gloo", timeout=PATIENCE, **meeting)
    if device == "cuda":
        own = _own_device(device)
        _gpu_groups[:] = [dist.new_group(backend="nccl", timeout=GPU_PATIENCE, device_id=own)]
    try:
        yield current_ranks(device)
    except Resumable:
        dist.destroy_process_group()
        raise
    # The connections of a rank that failed end with its process, after its last words.
    dist.destroy_process_group()


def _own_device(device: str) -> torch.device:
    if device == "cpu":
        return torch.device("cpu")
    chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(chosen)
    return chosen


@dataclass(frozen=True)
class SharedRun:
    """A run directory that the ranks share. `run` is open on the first rank, None on the others."""

    directory: Path
    run: Run | None
    adopted: bool  # an earlier process finished it: nothing is left to do


@contextmanager
def open_shared_run(
    manifest_path: str, recipe: dict, ranks: Ranks, stop: StopRequest
) -> Iterator[SharedRun]:
    """The first rank locks the run directory and adopts a finished result; the others are told.

    Raises Resumable on every rank when `stop` asks the first one to wait for the lock no longer.
    """
    if not ranks.first:
        message = ranks.tell(None)
        if isinstance(message, str):
            raise Resumable(message)
        directory, adopted = message
        yield SharedRun(Path(directory), None, adopted)
        return
    with ExitStack() as stack:
        try:
            run = stack.enter_context(open_run(manifest_path, recipe, stop.reason))
        except Resumable as reason:
            ranks.tell(str(reason))
            raise
        adopted = run.adopt() is not None
        ranks.tell((str(run.directory), adopted))
        yield SharedRun(run.directory, run, adopted)
