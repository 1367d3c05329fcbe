"""Index arrays -> token ids: the framed inputs of some samples, all at once.

In: the store, samples, the special ids, row numbers (B,). Out: numpy arrays ids int64 (B,T) with
separators inserted and rows padded to T, and segments int64 (B,T) (0 for `<s> A </s>`, 1 for
`B </s>`, 0 for pads). Separators cut parts into pieces, which are copied from the store one after
the other into what a row has besides its start and a separator behind each piece. A block of three
sentences in two documents, [10 11 12] [13 14] | [20 21], tokens 4 to 10 of the store:

    pieces     4..8                   9..10
    behind                         6         9      columns: sums of sizes, each with its separator
    input  <s> 10 11 12 13 14 </s> 20 21 </s>
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

    def will_need(self, rows: np.ndarray) -> None:
        """Have the tokens of the samples `rows` read in advance."""
        starts = self.samples.starts[rows]
        self.store.will_need(starts.ravel(), (starts + self.samples.sizes[rows]).ravel())

    def ids(self, rows: np.ndarray, padded: int) -> np.ndarray:
        """Inputs of the samples `rows`, int64 (len(rows), padded)."""
        starts = self.samples.starts[rows]
        row, starts, stops = self._pieces(starts, starts + self.samples.sizes[rows])
        lengths = self.samples.lengths[rows].astype(np.int64)
        text = np.arange(padded) < lengths[:, None]
        ids = np.where(text, self.vocabulary.separator, self.vocabulary.pad)
        ids[:, 0] = self.vocabulary.start

        before = np.cumsum(lengths - 1) - (lengths - 1)  # the same sum up to each row
        behind = np.cumsum(stops - starts + 1) - before[row]
        text[:, 0] = text[row, behind] = False
        ids[text] = self.store.read(starts, stops)
        return ids

    def segments(self, rows: np.ndarray, padded: int) -> np.ndarray:
        """Segment ids of the samples `rows`, int64 (len(rows), padded); all 0 for single blocks."""
        lengths = np.asarray(self.samples.lengths[rows])[:, None]
        columns = np.arange(padded)
        if not self.samples.pairs:
            return np.zeros((len(rows), padded), dtype=np.int64)
        second = np.asarray(self.samples.sizes[rows, 0])[:, None] + 2
        return ((columns >= second) & (columns < lengths)).astype(np.int64)

    def _pieces(
        self, starts: np.ndarray, stops: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, starts and stops (N,) of the pieces of the parts between these tokens, int64 (B,P).

        A part is cut at the boundaries strictly inside it. Where two lie there, a piece is empty.
        """
        height, parts = starts.shape
        row = np.repeat(np.arange(height), parts)
        starts, stops = starts.ravel(), stops.ravel()
        rows, begins = [row], [starts]
        for boundaries in self._boundaries:
            first = np.searchsorted(boundaries, starts, side="right")
            count = np.searchsorted(boundaries, stops, side="left") - first
            if count.any():
                rows.append(np.repeat(row, count))
                within = np.arange(len(rows[-1])) - np.repeat(np.cumsum(count) - count, count)
                begins.append(boundaries[np.repeat(first, count) + within])
        if len(rows) == 1:
            return row, starts, stops
        row, begins = np.concatenate(rows), np.concatenate(begins)
        order = np.lexsort((begins, row))
        row, begins = row[order], begins[order]
        ends = np.append(begins[1:], 0)
        ends[np.append(row[1:] != row[:-1], True)] = stops
        return row, begins, ends
