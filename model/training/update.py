"""One optimiser update as data: what a batch source hands to the training engine.

Pre-training and fine-tuning sources both make Updates, so that one engine trains both. Legend:
B rows of a micro-batch, T its padded length, K its target slots.
"""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Update:
    """All micro-batches of one update and the numbers its losses are divided by.

    micro_batches: dicts of CPU tensors, all with "ids" int64 (B,T) and "lengths" int64 (B,) (real
        tokens per row, 0 = empty padding row); the other entries depend on the source.
    counts: targets per loss term over ALL micro-batches, e.g. {"mlm": 5000, "nsp": 32}; the loss
        of the update is the sum over its terms of (sum of target losses) / counts[term].
    figures: what is logged beside the loss, e.g. real tokens, masked tokens, samples.
    """

    micro_batches: list[dict[str, Tensor]]
    counts: dict[str, int]
    figures: dict[str, float] = field(default_factory=dict)
