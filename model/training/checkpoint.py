"""Checkpoints: everything that the next update depends on, in one file, written atomically.

A file is a line with the SHA-256 of the rest, a line of JSON (the numbers of the training state),
then safetensors bytes (weights, optimiser moments). The two newest are kept, so that a damaged one
costs minutes, not the run. They lie in the run directory, which is named by the recipe's key: a
changed recipe finds none.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from model.training.optimiser import ScheduledOptimiser
from study.errors import StudyError
from study.manifest import write_atomic

FOLDER = "checkpoints"
KEPT = 2


def write_checkpoint(run_directory: Path, step: int, tensors: dict[str, Tensor], numbers: dict):
    """Write the checkpoint of `step`; a crash leaves the earlier ones as they were."""
    payload = json.dumps(numbers).encode() + b"\n"
    payload += save({name: tensor.detach().cpu() for name, tensor in tensors.items()})
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
