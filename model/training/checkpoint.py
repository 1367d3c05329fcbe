"""Checkpoints: everything that the next update depends on, in one file, written atomically.

A file is a line with the SHA-256 of the rest, a line of JSON (the numbers of the training state),
then safetensors bytes (weights, optimiser moments). The two newest are kept, so that a damaged one
costs minutes, not the run. They lie in the run directory, which is named by the recipe's key: a
changed recipe finds none.
"""

import copy
import hashlib
import json
import shutil
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from model.training.optimiser import ScheduledOptimiser
from study.errors import StudyError
from study.manifest import write_atomic

FOLDER = "checkpoints"
KEPT = 2


class CheckpointWriter:
    """Writes the checkpoints of a run in a thread of its own, while the training goes on.

    Left, it has written all of them. What goes wrong there is raised by the next call.
    """

    def __init__(self, run_directory: Path):
        self.run_directory = run_directory
        self.thread = ThreadPoolExecutor(1, "checkpoint")
        self.writing: Future | None = None

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        self.thread.shutdown()
        if error is None:
            self.wait()

    def write(self, step: int, tensors: dict[str, Tensor], numbers: dict) -> None:
        """Begin to write the checkpoint of `step`, of copies; waits for the one before."""
        self.wait()
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
        arguments = (self.run_directory, step, copies, copy.deepcopy(numbers))
        self.writing = self.thread.submit(_write, *arguments)

    def wait(self) -> None:
        """Go on when what was begun is on disk; raises OSError where it could not be written."""
        writing, self.writing = self.writing, None
        if writing is not None:
            writing.result()


def _write(run_directory: Path, step: int, tensors: dict[str, Tensor], numbers: dict):
    """Write the checkpoint of `step`, tensors on the CPU; a crash leaves the earlier ones whole."""
    payload = json.dumps(numbers).encode() + b"\n"
    payload += save(tensors)
    digest = hashlib.sha256(payload).hexdigest().encode()
    folder = Path(run_directory) / FOLDER
    write_atomic(folder / f"step-{step:09d}", digest + b"\n" + payload)
    for old in _paths(run_directory)[KEPT:]:
        old.unlink()


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and numbers of one checkpoint; StudyError if its bytes are not those written."""
    digest, _, payload = path.read_bytes().partition(b"\n")
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise StudyError(f"{path}: damaged (its SHA-256 differs from its first line)")
    numbers, _, tensors = payload.partition(b"\n")
    return load(tensors), json.loads(numbers)


def newest_checkpoint(run_directory: Path) -> Path | None:
    """The newest checkpoint that is whole; tells on stderr about each that is not."""
    for path in _paths(run_directory):
        try:
            read_checkpoint(path)
        except StudyError as error:
            print(f"notice: {error}; going back to the one before", file=sys.stderr)
            path.unlink()
        else:
            return path
    return None


def forget_checkpoints(run_directory: Path) -> None:
    """Delete the checkpoints of a run whose result is published."""
    shutil.rmtree(Path(run_directory) / FOLDER, ignore_errors=True)


def _paths(run_directory: Path) -> list[Path]:
    """Checkpoints, newest first."""
    paths = (Path(run_directory) / FOLDER).glob("step-" + 9 * "[0-9]")
    return sorted(filter(Path.is_file, paths), reverse=True)


def training_tensors(module: nn.Module, optimiser: ScheduledOptimiser) -> dict[str, Tensor]:
    """Weights, buffers and optimiser moments by name; a tied weight appears once."""
    return {**_module_tensors(module), **optimiser.tensors()}


def _module_tensors(module: nn.Module) -> dict[str, Tensor]:
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return {f"module.{name}": tensor for name, tensor in tensors}


def restore_tensors(
    tensors: dict[str, Tensor], module: nn.Module, optimiser: ScheduledOptimiser, path: Path
) -> None:
    """Put a checkpoint's tensors back; StudyError if the module has others."""
    own = _module_tensors(module)
    saved = {name for name in tensors if name.startswith("module.")}
    if saved != set(own) or any(own[name].shape != tensors[name].shape for name in own):
        raise StudyError(
            f"{path}: holds tensors of another model; delete {path.parent} to start anew"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
    optimiser.restore({name: tensors[name] for name in tensors.keys() - saved})
