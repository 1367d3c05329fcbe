"""Weights to start from: transformers' under our names, and what a network takes over of ours.

In: a model.safetensors that transformers wrote (`layout.py`), or the weights of a pre-training.
Out: the same under our names, with which our network gives the same logits; a network filled with
them. Where a network has no segments, or draws its own, the row of segment 0, which all of its
tokens would have, is added to every position.
"""

from collections.abc import Collection, Mapping

import torch
from safetensors.torch import load_file
from torch import Tensor

from model.network.layout import PARTS, Layout
from model.network.pretraining import PretrainingModel
from study.errors import StudyError

WORDS, POSITIONS, SEGMENTS = (f"encoder.{t}.weight" for t in ("words", "positions", "segments"))


def from_transformers(layout: Layout) -> dict[str, Tensor]:
    """The tensors of a file under our names, fp32; the positions begin with that of a first token.

    Raises StudyError naming the file and the tensor of a decoder that is not tied.
    """
    tensors = load_file(layout.path)
    for name, twin in layout.tied():
        if not torch.equal(tensors[name], tensors[twin]):
            raise StudyError(f"{layout.path}: tensor {name}: differs from {twin}, its twin here")
    ours = {
        name: torch.cat([tensors[part] for part in parts]).float()
        for name, parts in layout.names.items()
    }
    ours[POSITIONS] = ours[POSITIONS][layout.sizes.first_position :].contiguous()
    return ours


def take_over(
    network: PretrainingModel, tensors: Mapping[str, Tensor], fresh: Collection[str], where: str
) -> list[str]:
    """Fill the network, but for its `fresh` parts, and return the names of what stays as drawn.

    `where` is named by the StudyError about a tensor that is missing or of another shape.
    """
    own = network.state_dict()
    kept = sorted(n for n in own if n.startswith(tuple(PARTS[part] for part in fresh)))
    tensors = dict(tensors)
    if SEGMENTS in tensors and (SEGMENTS not in own or SEGMENTS in kept):
        tensors[POSITIONS] = tensors[POSITIONS] + tensors[SEGMENTS][0]
    # Filler rows of the word table are nobody's words.
    entries = len(network.mlm.bias)
    if "mlm.bias" in tensors and len(tensors["mlm.bias"]) == entries:
        tensors[WORDS] = tensors[WORDS][:entries]
    with torch.no_grad():
        for name in (name for name in own if name not in kept):
            target = own[name][:entries] if name == WORDS else own[name]
            if name not in tensors:
                raise StudyError(f"{where}: tensor {name}: missing")
            if target.shape != tensors[name].shape:
                found = f"found {tuple(tensors[name].shape)}"
                expected = f"expected shape {tuple(target.shape)}"
                raise StudyError(f"{where}: tensor {name}: {expected}, {found}")
            target.copy_(tensors[name])
    return kept
