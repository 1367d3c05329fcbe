"""Fine-tuning networks that compare the rows of a unit: pronouns (WSC) and questions (QNLI).

In: a micro-batch as in `model.network.finetuning`, whose rows (R) belong to units (U), and
  members (U, C) int64   the rows of each unit, -1 where it has fewer than C; the first is the right
                         one. Training only; so are the weights (U,) float32 of the units.
  positions, targets (R, K) int64, shares (R, K) float32   PronounModel: the masked tokens of the
                         row's candidate, and one over their number (0 in unused slots)
Out: `forward` gives {"wsc": sum over units} or {"ranking": sum over units}, fp32; `predict` gives
{"scores": (R,)} fp32 and needs neither members nor weights.

RoBERTa (arXiv 1907.11692) section 5.1. A candidate for a pronoun scores the mean log-probability,
in nats, of its masked tokens by the pre-trained masked-language head; a sentence scores a scalar.

Legend: R rows, T tokens, U units, C rows of the largest unit, K masked tokens, W rows of the word
table.
"""

import torch
from torch import Tensor
from torch.nn import functional

from model.network.finetuning import FineTuningModel
from model.network.heads import ClassificationHead, MaskedLanguageHead
from model.network.pretraining import targets, weighted_cross_entropy

# Finite, so that an absent row times 0 is 0.
ABSENT = -1e9


class PronounModel(FineTuningModel):
    """The referent of a pronoun among candidates; nothing but the pre-trained tensors.

    `margin` (alpha, beta) chooses the margin loss, None cross-entropy over the candidates.
    """

    terms = ("wsc",)
    pretrained = ("encoder.", "mlm.")

    def __init__(
        self,
        config,
        vocabulary_size,
        segments=False,
        pad=1,
        *,
        margin: tuple[float, float] | None = None,
    ):
        super().__init__(config, vocabulary_size, segments, pad)
        self.mlm = MaskedLanguageHead(self.config, vocabulary_size)
        self.margin = margin

    def forward(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"wsc": weighted sum over pronouns of the loss}."""
        scores_UC = by_unit(self.predict(micro)["scores"], micro["members"])
        if self.margin is None:
            return {"wsc": first_of_unit_loss(scores_UC, micro["weights"])}
        present_UC = micro["members"] >= 0
        return {"wsc": margin_loss(scores_UC, present_UC, micro["weights"], *self.margin)}

    def predict(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"scores": (R,)}: mean log-probability of the masked tokens, in nats."""
        vectors = targets(self.hidden(micro), micro["positions"])
        logits_MW = self.mlm(vectors, self.encoder.words.weight).float()
        losses_M = functional.cross_entropy(logits_MW, micro["targets"].flatten(), reduction="none")
        return {"scores": -(losses_M.view(micro["shares"].shape) * micro["shares"]).sum(1)}


class RankingModel(FineTuningModel):
    """A scalar per row; trained so that the first row of a unit scores highest."""

    terms = ("ranking",)

    def __init__(self, config, vocabulary_size, segments=False, pad=1):
        super().__init__(config, vocabulary_size, segments, pad)
        self.head = ClassificationHead(self.config, 1)

    def forward(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"ranking": weighted sum over units of cross-entropies}."""
        scores_UC = by_unit(self.predict(micro)["scores"], micro["members"])
        return {"ranking": first_of_unit_loss(scores_UC, micro["weights"])}

    def predict(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """{"scores": (R,)}."""
        return {"scores": self.head(self.hidden(micro)).squeeze(-1).float()}


def by_unit(scores_R: Tensor, members_UC: Tensor) -> Tensor:
    """Scores (R,) as (U, C), -1e9 where a unit has no row."""
    # index_select has a deterministic backward pass on every device.
    scores_UC = scores_R.index_select(0, members_UC.clamp(min=0).flatten()).view(members_UC.shape)
    return scores_UC.masked_fill(members_UC < 0, ABSENT)


def first_of_unit_loss(scores_UC: Tensor, weights_U: Tensor) -> Tensor:
    """Weighted sum of softmax cross-entropies of every unit's first row against all of its rows.

    With two rows it is the logistic loss of the difference of their scores.
    """
    first_U = torch.zeros(len(scores_UC), dtype=torch.int64, device=scores_UC.device)
    return weighted_cross_entropy(scores_UC, first_U, weights_U)


def margin_loss(
    scores_UC: Tensor, present_UC: Tensor, weights_U: Tensor, alpha: float, beta: float
) -> Tensor:
    """Weighted sum over units and their candidates (all rows but the first) of
    -query + alpha * max(0, candidate - query + beta), all log-probabilities in nats.

    As its authors have it: -query counts once for every candidate.
    """
    query_U1, candidates = scores_UC[:, :1], scores_UC[:, 1:]
    losses = alpha * (candidates - query_U1 + beta).clamp(min=0) - query_U1
    return ((losses * present_UC[:, 1:]).sum(1) * weights_U).sum()
