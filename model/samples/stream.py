"""The endless order of samples, and which of them an update takes (design: invariant 1).

In: the lengths of all samples (memory-mapped) and their sum. Out: sample numbers and epochs of any
update. The samples come epoch after epoch, each epoch in its own keyed order. With unit "tokens",
update u takes the samples whose last real token in that stream lies in (u·budget, (u+1)·budget],
budget = sequences x length, so that every format gets the same number of tokens per update; with
unit "sequences" it takes `sequences` samples. Neither the order nor where samples end is held: 8
bytes per BLOCK samples, up to where the training is in its epoch.
"""

from array import array
from bisect import bisect_right
from functools import lru_cache

import numpy as np

from model.samples.keyed import Order
from study.errors import StudyError

CACHED_EPOCHS = 2  # an update usually touches one epoch or the seam of two
BLOCK = 1 << 12  # samples of an epoch between two counts of tokens
SPAN = 16  # blocks that are counted at once


class Epoch:
    """The order of samples in an epoch, and where in it so many tokens are reached.

    The latter by a count of tokens per BLOCK samples. Counts are made when they are asked for, from
    the epoch's begin on, and kept; the ends of the samples inside a block are not.
    """

    def __init__(self, order: Order, lengths: np.ndarray):
        """lengths int (N,): tokens of each sample; `order` has N elements."""
        self.order, self._lengths = order, lengths
        self._before = array("q", [0])  # tokens before each block, and so far
        self._ends = lru_cache(2)(self._ends_in)

    def samples_within(self, tokens: int) -> int:
        """Number of the order's first samples that end at this token of the epoch or before it."""
        while self._before[-1] <= tokens:
            self._count_further()
        block = bisect_right(self._before, tokens) - 1
        return block * BLOCK + int(np.searchsorted(self._ends(block), tokens, side="right"))

    def _count_further(self) -> None:
        costs = self._costs(len(self._before) - 1, SPAN)
        if not len(costs):
            raise StudyError(
                f"samples: lengths of {self._before[-1]} tokens in all, below their figure"
            )
        blocks = np.add.reduceat(costs, np.arange(0, len(costs), BLOCK))
        self._before.extend((self._before[-1] + np.cumsum(blocks)).tolist())

    def _ends_in(self, block: int) -> np.ndarray:
        """Tokens of the epoch up to the end of each sample of a block, int64."""
        return self._before[block] + np.cumsum(self._costs(block, 1))

    def _costs(self, block: int, blocks: int) -> np.ndarray:
        """Tokens of the samples of some blocks, int64."""
        stop = min((block + blocks) * BLOCK, len(self._lengths))
        return self._lengths[self.order[np.arange(block * BLOCK, stop)]].astype(np.int64)


class SampleStream:
    """The endless order of samples and where updates begin and end in it.

    With unit "tokens", a budget of 10 and samples of 5, 7 and 8 tokens (20 an epoch), whose order
    is 1 0 2 in the first epoch and 2 1 0 in the second:

        sample      1   0   2    2   1   0
        last token  7  12  20   28  35  40
        update      0   1   1    2   3   3
    """

    def __init__(
        self, lengths: np.ndarray, tokens: int, length: int, sequences: int, unit: str, seed: int
    ):
        """lengths int (N,): real tokens, `tokens` in all; `length`: the longest possible input."""
        self.unit, self.seed = unit, seed
        self._lengths = lengths
        # One sample costs its tokens, or one; an epoch and an update have so much to spend.
        if unit == "tokens":
            self.epoch_cost, self.budget = tokens, sequences * length
        else:
            self.epoch_cost, self.budget = len(lengths), sequences
        self._epoch = lru_cache(CACHED_EPOCHS)(self._make_epoch)

    def update(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples of update `index` and the epoch of each, int64 (n,), in stream order."""
        low, high = index * self.budget, (index + 1) * self.budget
        samples, epochs = [], []
        for epoch in range(low // self.epoch_cost, -(-high // self.epoch_cost)):
            first, stop = (self._place(epoch, cost) for cost in (low, high))
            samples.append(self._epoch(epoch).order[np.arange(first, stop)])
            epochs.append(np.full(stop - first, epoch, dtype=np.int64))
        return np.concatenate(samples), np.concatenate(epochs)

    def passes(self, index: int) -> float:
        """Epochs over the data that are done after update `index`."""
        return (index + 1) * self.budget / self.epoch_cost

    def _place(self, epoch: int, cost: int) -> int:
        """How many samples of an epoch the stream has after so much cost in all."""
        own = cost - epoch * self.epoch_cost
        if own <= 0:
            return 0
        if own >= self.epoch_cost:
            return len(self._lengths)
        return own if self.unit == "sequences" else self._epoch(epoch).samples_within(own)

    def _make_epoch(self, epoch: int) -> Epoch:
        order = Order(self.seed, "order", epoch, len(self._lengths))
        return Epoch(order, self._lengths)
