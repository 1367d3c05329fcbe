"""What the fine-tuning networks of all task kinds share: an encoder from a pre-trained model.

In: a micro-batch (dict of tensors) with ids (B, T) int64, lengths (B,) int64 (may be left out when
no row is padded), segments (B, T) int64 where the pre-trained encoder has them, in training keys of
dropout (B, T) int64 and weights float32 (0 = padding row), and what the task's kind adds
(`model.tasks.kinds`). Out: `predict` gives fp32
tensors and needs no targets; `forward` gives the kind's losses of them, fp32 sums by term, which
the engine divides by the update's counts of the same names.

RoBERTa (arXiv 1907.11692) sections 3.3 and 5. All heads start from fresh weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from model.network.encoder import Encoder
from model.network.heads import ClassificationHead
from study.cells import Model
from study.errors import StudyError
from study.recipes import RecipeTask

Tensors = dict[str, Tensor]
Loss = Callable[[RecipeTask, Tensors, Tensors], Tensors]


@dataclass(frozen=True)
class EncoderSpec:
    """What an encoder is built from: that of the pre-training, perhaps with other dropout."""

    network: Model
    vocabulary_size: int
    segments: bool = False
    pad: int = 1


class FineTuningModel(nn.Module):
    """An encoder that `load_encoder` fills; subclasses add heads and `predict`.

    `loss` takes the task, what is predicted and the micro-batch. `pretrained` are the beginnings of
    the names of all tensors that pre-training gives.
    """

    pretrained: tuple[str, ...] = ("encoder.",)

    def __init__(self, task: RecipeTask, spec: EncoderSpec, loss: Loss):
        super().__init__()
        self.task, self.loss = task, loss
        self.config = spec.network
        self.encoder = Encoder(self.config, spec.vocabulary_size, spec.segments, spec.pad)

    def forward(self, micro: Tensors) -> Tensors:
        """Losses of the micro-batch by term."""
        return self.loss(self.task, self.predict(micro), micro)

    def hidden(self, micro: Tensors, wanted_BK: Tensor | None = None) -> Tensor:
        """Hidden vectors (B, T, H) of the micro-batch, or (B, K, H) of the tokens at places."""
        more = map(micro.get, ("lengths", "segments", "keys"))
        return self.encoder(micro["ids"], *more, wanted_BK)


class HeadModel(FineTuningModel):
    """BERT's head on `<s>`: as many outputs as the task has `labels`, one where it has none."""

    def __init__(self, task, spec, loss):
        super().__init__(task, spec, loss)
        self.head = ClassificationHead(self.config, task.outputs)

    def predict(self, micro: Tensors) -> Tensors:
        """{"logits": (B, outputs)}."""
        first_BH = self.hidden(micro, torch.zeros_like(micro["ids"][:, :1]))
        return {"logits": self.head(first_BH, micro.get("keys")).float()}


def load_encoder(module: FineTuningModel, path: str | Path) -> list[str]:
    """Copy the encoder of a pre-trained `model.safetensors` into `module`, in place, and whatever
    else `module.pretrained` names.

    Returns the names of the tensors that are *new*, that is, keep their fresh weights. Raises
    StudyError naming the file and the tensor when such a tensor is missing there, unknown here or
    of another shape.
    """
    own = module.state_dict()
    wanted = {name for name in own if name.startswith(module.pretrained)}
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            stored = {name for name in names if name.startswith(module.pretrained)}
            for name in sorted(wanted ^ stored):
                state = "missing" if name in wanted else "not part of this network"
                raise StudyError(f"{path}: tensor {name}: {state}")
            with torch.no_grad():
                for name in sorted(wanted):
                    tensor = file.get_tensor(name)
                    if tensor.shape != own[name].shape:
                        raise StudyError(
                            f"{path}: tensor {name}: expected shape {tuple(own[name].shape)}, "
                            f"found {tuple(tensor.shape)}"
                        )
                    own[name].copy_(tensor)
    except (OSError, SafetensorError) as error:
        raise StudyError(f"{path}: not a readable safetensors file ({error})") from None
    return sorted(name for name in own if name not in wanted)
