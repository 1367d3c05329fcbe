"""Index arrays -> token ids: the framed inputs of some samples, all at once.

In: the store, samples, the special ids, row numbers (B,). Out: numpy arrays ids int64 (B,T) with
separators inserted and rows padded to T, and segments int64 (B,T) (0 for `<s> A </s>`, 1 for
`B </s>`, 0 for pads). No Python loop over tokens or rows: the tokens of all rows stand in one flat
array, row after row. A block of three sentences in two documents, [10 11 12] [13 14] | [20 21],
after a row of two tokens:

    source     tokens of the store        .  .  10 11 12 13 14    20 21
    row        which input they are of    0  0   1  1  1  1  1     1  1
    within     place in their part        0  1   0  1  2  3  4     5  6
    separators inserted before them       0  0   0  0  0  0  0     1  1
    column     1 + within + separators    1  2   1  2  3  4  5     7  8
    input                             <s> .  .  10 11 12 13 14 </s> 20 21 </s>
"""

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

    def ids(self, rows: np.ndarray, padded: int) -> np.ndarray:
        """Inputs of the samples `rows`, int64 (len(rows), padded)."""
        starts = np.asarray(self.samples.starts[rows])
        sizes = np.asarray(self.samples.sizes[rows]).astype(np.int64)
        lengths = np.asarray(self.samples.lengths[rows])

        # The frame: separators up to each row's length, of which the text then covers all but those
        # at the ends of parts and between its documents or sentences.
        real = np.arange(padded) < lengths[:, None]
        ids = np.where(real, self.vocabulary.separator, self.vocabulary.pad).astype(np.int64)
        ids[:, 0] = self.vocabulary.start

        # The text, part by part.
        begin = np.ones(len(rows), dtype=np.int64)  # column of the part's first token
        for part in range(starts.shape[1]):
            start, size = starts[:, part], sizes[:, part]
            row = np.repeat(np.arange(len(rows)), size)
            first = np.cumsum(size) - size
            within = np.arange(len(row)) - first[row]
            source = start[row] + within
            column = begin[row] + within + self._separators_before(start, size, first, source)
            ids[row, column] = self.store.take(source)
            begin = begin + size + 1
        return ids

    def segments(self, rows: np.ndarray, padded: int) -> np.ndarray:
        """Segment ids of the samples `rows`, int64 (len(rows), padded); all 0 for single blocks."""
        lengths = np.asarray(self.samples.lengths[rows])[:, None]
        columns = np.arange(padded)
        if not self.samples.pairs:
            return np.zeros((len(rows), padded), dtype=np.int64)
        second = np.asarray(self.samples.sizes[rows, 0])[:, None] + 2
        return ((columns >= second) & (columns < lengths)).astype(np.int64)

    def _separators_before(
        self, start: np.ndarray, size: np.ndarray, first: np.ndarray, source: np.ndarray
    ) -> np.ndarray | int:
        """Separators inserted in a block before each of its tokens.

        start, size (B,) are the blocks, first (B,) the place of their first tokens in `source`
        (tokens of all blocks, one after the other).
        """
        total = 0
        for boundaries in self._boundaries:
            # Boundaries strictly inside each block, spread to one entry each.
            low = np.searchsorted(boundaries, start, side="right")
            count = np.searchsorted(boundaries, start + size, side="left") - low
            row = np.repeat(np.arange(len(start)), count)
            inside = low[row] + np.arange(len(row)) - (np.cumsum(count) - count)[row]

            # A mark at the token behind each; their running sum, which starts anew in each block.
            marks = np.zeros(len(source), dtype=np.int64)
            marks[first[row] + boundaries[inside] - start[row]] = 1
            before = np.cumsum(marks)
            total = total + before - np.repeat(before[first], size)
        return total
