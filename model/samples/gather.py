"""Index arrays -> token ids: the framed inputs of some samples, all at once.

In: the store, samples, the special ids, row numbers (B,). Out: numpy arrays ids int64 (B,T) with
separators inserted and rows padded to T, and segments int64 (B,T) (0 for `<s> A </s>`, 1 for
`B </s>`, 0 for pads). A row begins as separators up to its length; the text is then copied over
them piece by piece, and leaves one between two pieces. A block of three sentences in two documents,
[10 11 12] [13 14] | [20 21], from token 4 of the store on, with separators between documents:

    cuts     4              9       11
    pieces      4..8          9..10
    columns     1..5          7..8
    input    <s> 10 11 12 13 14 </s> 20 21 </s>
"""

from itertools import pairwise

import numpy as np

from model.samples.index import Samples
from model.samples.units import separator_offsets
from model.text.store import TokenStore
from model.text.tokenizer import Vocabulary


class Gatherer:
    """Makes inputs of samples; holds views of the store, no copy of it."""

    def __init__(self, store: TokenStore, samples: Samples, vocabulary: Vocabulary):
        self.store, self.samples, self.vocabulary = store, samples, vocabulary
        # A pair has no separators but those of its frame.
        self._boundaries = [] if samples.pairs else separator_offsets(store, samples.separators)

    def will_need(self, rows: np.ndarray) -> None:
        """Have the tokens of the samples `rows` read in advance."""
        starts = self.samples.starts[rows]
        self.store.will_need(starts.ravel(), (starts + self.samples.sizes[rows]).ravel())

    def ids(self, rows: np.ndarray, padded: int) -> np.ndarray:
        """Inputs of the samples `rows`, int64 (len(rows), padded)."""
        starts = self.samples.starts[rows]
        lengths = self.samples.lengths[rows]
        real = np.arange(padded) < lengths[:, None]
        ids = np.where(real, self.vocabulary.separator, self.vocabulary.pad)
        ids[:, 0] = self.vocabulary.start

        blocks = self._cuts(starts.ravel(), (starts + self.samples.sizes[rows]).ravel())
        parts = starts.shape[1]
        for number, cuts in enumerate(blocks):
            row, part = divmod(number, parts)
            if part == 0:
                column = 1
            for begin, end in pairwise(cuts):
                ids[row, column : column + end - begin] = self.store.read(begin, end)
                column += end - begin + 1
        return ids

    def segments(self, rows: np.ndarray, padded: int) -> np.ndarray:
        """Segment ids of the samples `rows`, int64 (len(rows), padded); all 0 for single blocks."""
        lengths = np.asarray(self.samples.lengths[rows])[:, None]
        columns = np.arange(padded)
        if not self.samples.pairs:
            return np.zeros((len(rows), padded), dtype=np.int64)
        second = np.asarray(self.samples.sizes[rows, 0])[:, None] + 2
        return ((columns >= second) & (columns < lengths)).astype(np.int64)

    def _cuts(self, starts: np.ndarray, stops: np.ndarray) -> list[list[int]]:
        """Token offsets at which each block, from start to stop int64 (N,), is cut to pieces: both
        ends, and the boundaries strictly inside. Where two lie there, a piece is empty.
        """
        cuts = [list(ends) for ends in zip(starts.tolist(), stops.tolist(), strict=True)]
        for boundaries in self._boundaries:
            first = np.searchsorted(boundaries, starts, side="right")
            last = np.searchsorted(boundaries, stops, side="left")
            for block in np.flatnonzero(last > first).tolist():
                cuts[block] += boundaries[first[block] : last[block]].tolist()
                cuts[block].sort()
        return cuts
