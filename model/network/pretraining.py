"""The pre-training network: a micro-batch -> sums of its losses.

In: a micro-batch (dict of tensors): ids (B, T) int64, lengths (B,) int64 (may be left out when no
row is padded), keys of dropout (B, T) int32, segments (B, T) int64 where the format has them,
positions and labels (B, K) int64, weights (B, K) float32 (0 = unused slot); with next-sentence
prediction also nsp (B,) int64 (0 = B follows A) and nsp_weights (B,) float32.
Or samples packed end to end (attention.py): ids and places (P,) int64, keys (P,) int32, offsets
(S + 1,) int32, segments (P,); positions in the packed tokens, labels and weights (K,); nsp and
nsp_weights (S,).
Out: {"mlm": sum over target slots} and, with next-sentence prediction, {"nsp": sum over pairs}:
fp32 scalars in nats, not yet divided by the update's number of targets (engine's business).

RoBERTa (arXiv 1907.11692) section 2.3. The head runs on the target positions only.
"""

import torch
from torch import Tensor, nn

from model.network.cross_entropy import weighted_cross_entropy
from model.network.encoder import Encoder
from model.network.heads import MaskedLanguageHead, NextSentenceHead
from study.cells import Model


class PretrainingModel(nn.Module):
    """Encoder, tied masked-language head and, where `nsp`, the next-sentence head.

    `config` are its sizes, `vocabulary_size` the number of *real* entries (the
    word table is padded here), `pad` the padding id.
    """

    def __init__(
        self,
        config: Model,
        vocabulary_size: int,
        segments: bool = False,
        nsp: bool = False,
        pad: int = 1,
    ):
        super().__init__()
        self.encoder = Encoder(config, vocabulary_size, segments, pad)
        self.mlm = MaskedLanguageHead(config, vocabulary_size)
        self.nsp = NextSentenceHead(config) if nsp else None

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the loss terms that `forward` returns."""
        return ("mlm",) if self.nsp is None else ("mlm", "nsp")

    def forward(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """Sums of the weighted losses, fp32 scalars by term."""
        hidden_MH, first_SH = self._hidden(micro)
        logits_MW = self.mlm(hidden_MH, self.encoder.words.weight)
        losses = {
            "mlm": weighted_cross_entropy(
                logits_MW, micro["labels"].flatten(), micro["weights"].flatten()
            )
        }
        if self.nsp is not None:
            logits_S2 = self.nsp(first_SH)
            losses["nsp"] = weighted_cross_entropy(logits_S2, micro["nsp"], micro["nsp_weights"])
        return losses

    def _hidden(self, micro: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Hidden vectors of the targets (M, H) and of every sample's first token (S, H)."""
        if "offsets" not in micro:
            more = map(micro.get, ("lengths", "segments", "keys"))
            hidden_BTH = self.encoder(micro["ids"], *more)
            return targets(hidden_BTH, micro["positions"]), hidden_BTH[:, 0]
        names = ("ids", "places", "offsets", "keys")
        hidden_PH = self.encoder.packed(*map(micro.get, names), micro.get("segments"))
        # Empty places for samples begin behind the last token.
        first_S = micro["offsets"][:-1].clamp(max=len(hidden_PH) - 1)
        return hidden_PH[micro["positions"]], hidden_PH[first_S]


def targets(hidden_BTH: Tensor, positions_BK: Tensor) -> Tensor:
    """The hidden vectors at the target positions, (B * K, H)."""
    B, T, H = hidden_BTH.shape
    first = torch.arange(B, device=positions_BK.device)[:, None] * T
    return hidden_BTH.reshape(B * T, H).index_select(0, (positions_BK + first).flatten())
