"""A network's tensors as a file of safetensors."""

from pathlib import Path

from safetensors.torch import save
from torch import nn

from study.manifest import write_atomic

WEIGHTS = "model.safetensors"  # of a run


def write_weights(module: nn.Module, path: Path, notes: dict[str, str] | None = None) -> None:
    """Write all tensors of a module, whole or not at all; `notes` go into the file's head."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in module.state_dict().items()}
    write_atomic(path, save(tensors, notes))
