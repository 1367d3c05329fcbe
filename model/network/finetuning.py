"""Fine-tuning networks: a task's micro-batch -> sums of its losses, or predictions.

In: a micro-batch (dict of tensors) with ids (B, T) int64, lengths (B,) int64 (may be left out when
no row is padded), segments (B, T) int64 where the pre-trained encoder has them, weights float32
(0 = padding row) and, by model:
  ClassificationModel  labels (B,) int64                       term "classification"
  RegressionModel      values (B,) float32                     term "regression"
  SpanModel            context (B, T) bool or 0/1, starts, ends (B,) int64, span_weights (B,)
                       float32, answerable (B,) 0/1            terms "span", "answerability"
  ChoiceModel          ids (B * choices, T) grouped by question, labels and weights (B,)
                                                               term "choice"
Out: `forward` gives fp32 sums by term, which the engine divides by the update's counts of the same
names; `predict` gives fp32 tensors and needs no labels.

RoBERTa (arXiv 1907.11692) sections 3.3 and 5: the classification head on `<s>`, BERT's span heads
with a separate binary answerability classifier for SQuAD 2.0 (losses summed), and a scalar per
choice for RACE. All heads start from fresh weights.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from model.network.config import NetworkConfig
from model.network.encoder import Encoder
from model.network.heads import ClassificationHead, SpanHead
from model.network.pretraining import weighted_cross_entropy
from study.errors import StudyError

# Finite, so that a padding row (no context at all) has a finite loss to multiply by weight 0.
OUTSIDE_CONTEXT = -1e9


class FineTuningModel(nn.Module):
    """An encoder that `load_encoder` fills; subclasses add their heads.

    `pretrained` are the beginnings of the names of all tensors that pre-training gives.
    """

    terms: tuple[str, ...]
    pretrained: tuple[str, ...] = ("encoder.",)

    def __init__(
        self,
        config: Mapping | NetworkConfig,
        vocabulary_size: int,
        segments: bool = False,
        pad: int = 1,
    ):
        super().__init__()
        self.config = NetworkConfig.of(config)
        self.encoder = Encoder(self.config, vocabulary_size, segments, pad)

    def hidden(self, micro: dict[str, Tensor]) -> Tensor:
        """Hidden vectors (B, T, H) of the micro-batch."""
        return self.encoder(micro["ids"], micro.get("lengths"), micro.get("segments"))


class ClassificationModel(FineTuningModel):
    """One of `labels` classes per row."""

    terms = ("classification",)

    def __init__(self, config, vocabulary_size, segments=False, pad=1, *, labels: int):
        super().__init__(config, vocabulary_size, segments, pad)
        self.head = ClassificationHead(self.config, labels)

    def forward(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"classification": weighted sum of cross-entropies}."""
        logits_BC = self.head(self.hidden(micro))
        return {
            "classification": weighted_cross_entropy(logits_BC, micro["labels"], micro["weights"])
        }

    def predict(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"logits": (B, C)}."""
        return {"logits": self.head(self.hidden(micro)).float()}


class RegressionModel(FineTuningModel):
    """One real number per row."""

    terms = ("regression",)

    def __init__(self, config, vocabulary_size, segments=False, pad=1):
        super().__init__(config, vocabulary_size, segments, pad)
        self.head = ClassificationHead(self.config, 1)

    def forward(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"regression": weighted sum of squared errors}."""
        errors_B = self.predict(micro)["values"] - micro["values"]
        return {"regression": (errors_B.square() * micro["weights"]).sum()}

    def predict(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"values": (B,)}."""
        return {"values": self.head(self.hidden(micro)).squeeze(-1).float()}


class SpanModel(FineTuningModel):
    """First and last token of the answer inside the context; with `answerability` also yes/no."""

    def __init__(self, config, vocabulary_size, segments=False, pad=1, *, answerability: bool):
        super().__init__(config, vocabulary_size, segments, pad)
        self.span = SpanHead(self.config)
        self.answerability = ClassificationHead(self.config, 1) if answerability else None
        self.terms = ("span", "answerability") if answerability else ("span",)

    def forward(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"span": sum of (start + end)/2 cross-entropies where span_weights, "answerability"}."""
        found = self.predict(micro)
        start = weighted_cross_entropy(found["start"], micro["starts"], micro["span_weights"])
        end = weighted_cross_entropy(found["end"], micro["ends"], micro["span_weights"])
        losses = {"span": (start + end) / 2}
        if self.answerability is not None:
            losses["answerability"] = functional.binary_cross_entropy_with_logits(
                found["answerable"],
                micro["answerable"].float(),
                weight=micro["weights"],
                reduction="sum",
            )
        return losses

    def predict(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"start", "end": (B, T), -1e9 outside the context} and, where it has the classifier,
        {"answerable": (B,)}: log-odds that the context answers the question."""
        hidden_BTH = self.hidden(micro)
        outside_BT = ~micro["context"].bool()
        start_BT, end_BT = (
            logits_BT.float().masked_fill(outside_BT, OUTSIDE_CONTEXT)
            for logits_BT in self.span(hidden_BTH)
        )
        found = {"start": start_BT, "end": end_BT}
        if self.answerability is not None:
            found["answerable"] = self.answerability(hidden_BTH).squeeze(-1).float()
        return found


class ChoiceModel(FineTuningModel):
    """One of `choices` rows per question, by a scalar per row."""

    terms = ("choice",)

    def __init__(self, config, vocabulary_size, segments=False, pad=1, *, choices: int = 4):
        super().__init__(config, vocabulary_size, segments, pad)
        self.choices = choices
        self.head = ClassificationHead(self.config, 1)

    def forward(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"choice": weighted sum over questions of cross-entropies}."""
        logits_BC = self.predict(micro)["logits"]
        return {"choice": weighted_cross_entropy(logits_BC, micro["labels"], micro["weights"])}

    def predict(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"logits": (questions, choices)}."""
        return {"logits": self.head(self.hidden(micro)).view(-1, self.choices).float()}


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
            found = {name for name in names if name.startswith(module.pretrained)}
            for name in sorted(wanted ^ found):
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
