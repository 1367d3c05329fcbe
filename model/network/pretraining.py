"""The pre-training network: a micro-batch -> sums of its losses.

In: a micro-batch (dict of tensors): ids (B, T) int64, lengths (B,) int64 (may be left out when no
row is padded), keys of dropout (B, T) int64, segments (B, T) int64 where the format has them,
positions and labels (B, K) int64, weights (B, K) float32 (0 = unused slot); with next-sentence
prediction also nsp (B,) int64 (0 = B follows A) and nsp_weights (B,) float32.
Or samples packed end to end (attention.py): ids, places and keys (P,) int64, offsets (S + 1,)
int32, segments (P,); positions in the packed tokens, labels and weights (K,); nsp and
nsp_weights (S,).
Out: {"mlm": sum over target slots} and, with next-sentence prediction, {"nsp": sum over pairs}:
fp32 scalars in nats, not yet divided by the update's number of targets (engine's business). With
next-sentence prediction and out of training also {"nsp_accuracy": 100 x pairs that are told right}.

RoBERTa (arXiv 1907.11692) section 2.3. The head runs on the target positions only.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

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

    @property
    def measures(self) -> dict[str, str]:
        """What `forward` returns out of training, each with the loss term whose targets it sums."""
        terms = {term: term for term in self.terms}
        return terms if self.nsp is None else {**terms, "nsp_accuracy": "nsp"}

    def forward(self, micro: dict[str, Tensor]) -> dict[str, Tensor]:
        """Sums of the weighted losses, fp32 scalars by term; in evaluation mode all `measures`."""
        hidden_MH, first_SH = self._hidden(micro)
        labels_M, weights_M = micro["labels"].flatten(), micro["weights"].flatten()
        if hidden_MH.device.type == "cpu" and not torch.compiler.is_compiling():
            used = weights_M.nonzero().flatten()
            hidden_MH, labels_M, weights_M = (
                part.index_select(0, used) for part in (hidden_MH, labels_M, weights_M)
            )
        logits_MW = self.mlm(hidden_MH, self.encoder.words.weight)
        losses = {"mlm": weighted_cross_entropy(logits_MW, labels_M, weights_M)}
        if self.nsp is not None:
            logits_S2 = self.nsp(first_SH)
            losses["nsp"] = weighted_cross_entropy(logits_S2, micro["nsp"], micro["nsp_weights"])
            if not self.training:
                right_S = logits_S2.argmax(1) == micro["nsp"]
                losses["nsp_accuracy"] = 100 * (right_S * micro["nsp_weights"]).sum()
        return losses

    def _hidden(self, micro: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Hidden vectors of the targets (M, H) and, for the next-sentence head, of every sample's
        first token (S, H).
        """
        wanted, segments = micro["positions"], micro.get("segments")
        if "offsets" in micro:
            names = ("ids", "places", "offsets", "keys")
            packed = [micro[name] for name in names]
            if self.nsp is None:
                return self.encoder.packed(*packed, segments, wanted), None
            # Empty places for samples begin behind the last token.
            first_S = micro["offsets"][:-1].clamp(max=len(micro["ids"]) - 1)
            hidden = self.encoder.packed(*packed, segments, torch.cat([wanted, first_S]))
            return hidden[: len(wanted)], hidden[len(wanted) :]
        if self.nsp is not None:
            wanted = functional.pad(wanted, (1, 0))  # a first token, at place 0
        hidden_BKH = self.encoder(
            micro["ids"], micro.get("lengths"), segments, micro.get("keys"), wanted
        )
        if self.nsp is None:
            return hidden_BKH.flatten(0, 1), None
        return hidden_BKH[:, 1:].flatten(0, 1), hidden_BKH[:, 0]
