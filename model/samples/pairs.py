"""Two parts and a next-sentence label: what SEGMENT-PAIR and SENTENCE-PAIR share (section 4.2).

In: units, the token budget of both parts together, a seed. Out: the index arrays of the pairs.
Labels: NEXT = B follows A in A's document, RANDOM = B comes from another document. A label is
*forced* to RANDOM where nothing follows A, that is at the end of a document: a piece of a cut
sentence is followed by the next one. The others are drawn so that both labels are equally frequent
all the same, each format in its way. If so many documents have a single sentence that this is not
enough, RANDOM stays the more frequent one, as in BERT's builder: no sample is dropped for its
label. Draws are keyed by the position of A in the store.
"""

from collections import Counter

import numpy as np

from model.array_file import forget
from model.samples.index import NEXT, RANDOM
from model.samples.keyed import below, draws, key_of_stream
from model.samples.packing import Add, Counts
from model.samples.units import Units, units_of
from model.text.store import TokenStore
from study.errors import StudyError

WINDOW = 1 << 20  # documents or samples looked at at once, to bound memory
SPAN = 1 << 28  # tokens whose covers are counted at once, likewise


def pair_units(store: TokenStore, budget: int) -> Units:
    """The units of a store for pairs; StudyError unless both labels are possible."""
    units = units_of(store, budget, parts=2)
    documents = len(store.documents) - 1
    if documents < 2:
        raise StudyError(
            f"pair formats draw B from another document: expected at least 2, found {documents}"
        )
    if len(units) == documents:
        raise StudyError(
            "pair formats need a next sentence, but no document has two sentences, or one that is "
            "longer than an input"
        )
    return units


class RandomPlaces:
    """Draws for each sample a uniform document other than its own, and a uniform unit of that one.

    With `corpora`, the corpus of every document, the other is of the same corpus, if that has
    another one. Documents are ranked corpus by corpus; each is drawn from its corpus's range, in
    which its own rank is skipped: corpora 0 1 0 0 rank the documents 0 2 3 1, and to document 2, of
    rank 1 in the range 0 to 2, a draw of 0 or 1 gives the documents 0 or 3. Documents of a corpus
    lie in few runs, shard by shard, so that runs are ranked and not documents:

        run        0    1    2            documents  0    1    2 3
        corpus     0    1    0            ranks      0    3    1 2
    """

    def __init__(self, units: Units, seed: int, corpora: np.ndarray | None):
        self._units, self._seed = units, seed
        self._documents = len(units.store.documents) - 1
        self._begins = np.zeros(1, dtype=np.int64) if corpora is None else _runs(corpora)
        corpus = np.zeros(1, np.uint8) if corpora is None else corpora[self._begins]
        self._corpus = corpus.astype(np.int64)  # of each run
        sizes = np.diff(self._begins, append=self._documents)
        self._order = np.argsort(self._corpus, kind="stable")
        ends = np.cumsum(sizes[self._order])
        self._ranked = ends - sizes[self._order]  # first rank of each run, in order of ranks
        self._ranks = np.empty_like(ends)  # first rank of each run
        self._ranks[self._order] = self._ranked
        self._counts = np.bincount(self._corpus, sizes).astype(np.int64)  # documents of each corpus

    def draw(self, documents: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The other document and the unit for each sample, int64 (N,) each.

        documents int64 (N,): of A; keys int64 (N,): its position.
        """
        run = np.searchsorted(self._begins, documents, side="right") - 1
        rank = self._ranks[run] + documents - self._begins[run]
        own = self._corpus[run]
        alone = self._counts[own] == 1
        first = np.where(alone, 0, (np.cumsum(self._counts) - self._counts)[own])
        size = np.where(alone, self._documents, self._counts[own])
        key = key_of_stream(self._seed, "pairs.document")
        drawn = first + below(draws(key, keys), size - 1)
        drawn += drawn >= rank
        place = np.searchsorted(self._ranked, drawn, side="right") - 1
        others = self._begins[self._order[place]] + drawn - self._ranked[place]
        starts = self._units.firsts(others)
        count = self._units.firsts(others + 1) - starts
        within = below(draws(key_of_stream(self._seed, "pairs.place"), keys), count)
        return others, starts + within


def _runs(values: np.ndarray) -> np.ndarray:
    """Where runs of equal values begin, int64; at least one value."""
    begins = [np.zeros(1, dtype=np.int64)]
    for start in range(0, len(values) - 1, WINDOW):
        window = values[start : start + WINDOW + 1]
        begins.append(start + 1 + np.flatnonzero(window[1:] != window[:-1]))
    return np.concatenate(begins)


class PairWriter:
    """Truncates pairs to `budget`, hands them to `add` and counts them."""

    def __init__(self, units: Units, budget: int, seed: int, add: Add):
        self._units, self._budget, self._seed, self._add = units, budget, seed, add
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counts:
        """What all pairs so far are."""
        names = ("next", "random", "forced", "truncated_tokens")
        return {
            "split_sentences": len(self._units.long),
            **{name: self._counts[name] for name in names},
            "store_tokens": self._units.store.size,
        }

    def add(
        self, bounds: np.ndarray, documents: np.ndarray, labels: np.ndarray, forced: np.ndarray
    ) -> None:
        """Take pairs: bounds int64 (N,4), token offsets of A, its end, B and its end.

        documents int64 (N,2), labels int8 (N,), forced boolean (N,).
        """
        whole = bounds[:, 1::2] - bounds[:, 0::2]
        starts, sizes = truncate(bounds[:, 0::2], whole, self._budget, bounds[:, 0], self._seed)
        self._add(
            {
                "starts": starts,
                "sizes": sizes,
                "documents": documents,
                "lengths": sizes.sum(axis=1),
                "labels": labels,
            }
        )
        self._counts.update(
            next=int((labels == NEXT).sum()),
            random=int((labels == RANDOM).sum()),
            forced=int(forced.sum()),
            truncated_tokens=int(whole.sum() - sizes.sum()),
        )


def count_shown(starts: np.ndarray, sizes: np.ndarray, tokens: int) -> int:
    """How many of a store's tokens stand in some part of some sample, each counted once.

    starts and sizes int (N,2); A's starts are sorted. Span by span of the tokens, parts open and
    close; a token is shown where more have been opened than closed. Parts of tokens 1 to 3 and 2 to
    4 of six:

        opened - closed   0  1  1  0 -1 -1
        running sum       0  1  2  2  1  0
    """
    shown, one = 0, np.int32(1)  # of the array's type, or numpy's `at` is 20 times as slow
    for low in range(0, tokens, SPAN):
        high = min(low + SPAN, tokens)
        change = np.zeros(high - low + 1, dtype=np.int32)
        for row in range(0, len(starts), WINDOW):
            rows = slice(row, row + WINDOW)
            first, last = starts[rows][[0, -1], 0]
            beside = first >= high or last + sizes[rows, 0].max() <= low
            for part in (1,) if beside else (0, 1):
                begins, ends = starts[rows, part], starts[rows, part] + sizes[rows, part]
                inside = np.flatnonzero((begins < high) & (ends > low))
                np.add.at(change, np.maximum(begins[inside], low) - low, one)
                np.subtract.at(change, np.minimum(ends[inside], high) - low, one)
            forget(starts, sizes)
        shown += int(np.count_nonzero(np.cumsum(change, out=change)[:-1]))
    return shown


def truncate(
    starts: np.ndarray, sizes: np.ndarray, budget: int, keys: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shorten pairs to `budget`: token by token from the longer part, front or back at random.

    starts and sizes int64 (N,2), keys int64 (N,); returns new starts and sizes. Between equals B
    gives first, as in BERT's builder.
    """
    a, b = sizes.T
    excess = np.maximum(a + b - budget, 0)
    cut_a = np.clip(a - b, 0, excess)
    cut_b = np.clip(b - a, 0, excess)
    rest = excess - cut_a - cut_b
    cuts = np.stack([cut_a + rest // 2, cut_b + (rest + 1) // 2], axis=1)
    fronts = np.stack([_front(cuts[:, part], keys, seed, part) for part in (0, 1)], axis=1)
    return starts + fronts, sizes - cuts


def _front(cuts: np.ndarray, keys: np.ndarray, seed: int, part: int) -> np.ndarray:
    """How many of the cut tokens come off the front: a fair coin, one bit of a draw, for each."""
    fronts = np.zeros(len(cuts), dtype=np.int64)
    for word in range(-(-int(cuts.max(initial=0)) // 64)):
        bits = np.clip(cuts - 64 * word, 0, 64)
        some = np.flatnonzero(bits)
        drawn = draws(key_of_stream(seed, "pairs.truncate", part, word), keys[some])
        fronts[some] += np.bitwise_count(
            drawn.view(np.uint64) >> (64 - bits[some]).astype(np.uint64)
        )
    return fronts
