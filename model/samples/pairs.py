"""Two parts and a next-sentence label: what SEGMENT-PAIR and SENTENCE-PAIR share (section 4.2).

In: units, the token budget of both parts together, a seed. Out: the index arrays of the pairs.
Labels: NEXT = B follows A in A's document, RANDOM = B comes from another document. A label is
*forced* to RANDOM where nothing follows A, that is at the end of a document: a piece of a cut
sentence is followed by the next one. The others are drawn so that both labels are equally frequent
all the same, each format in its way. If so many documents have a single sentence that this is not
enough, RANDOM stays the more frequent one, as in BERT's builder: no sample is dropped for its
label. Draws are keyed by the position of A in the store.
"""

import numpy as np

from model.samples.index import NEXT, RANDOM
from model.samples.keyed import below, draws, key_of_stream
from model.samples.packing import Packed
from model.samples.units import Units, units_of
from model.text.store import TokenStore
from study.errors import StudyError


def pair_units(store: TokenStore, budget: int) -> Units:
    """The units of a store for pairs; StudyError unless both labels are possible."""
    units = units_of(store, budget, parts=2)
    documents = len(units.documents) - 1
    if documents < 2:
        raise StudyError(
            f"pair formats draw B from another document: expected at least 2, found {documents}"
        )
    if (np.diff(units.documents) < 2).all():
        raise StudyError(
            "pair formats need a next sentence, but no document has two sentences, or one that is "
            "longer than an input"
        )
    return units


def random_places(
    units: Units,
    documents: np.ndarray,
    keys: np.ndarray,
    seed: int,
    corpora: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """For each sample a uniform document other than its own, and a uniform unit of that one.

    documents int64 (N,): of A; keys int64 (N,): its position. With `corpora`, the corpus of every
    document, the other is of the same corpus, if that has another one.
    """
    # Documents lie in `order`, corpus by corpus; each is drawn from its corpus's range, in which
    # its own place is skipped: corpora 0 1 0 0 give order 0 2 3 1, and to document 2, of rank 1
    # in the range 0 to 2, a draw of 0 or 1 gives the documents 0 or 3.
    if corpora is None:
        corpora = np.zeros(len(units.documents) - 1, dtype=np.uint8)
    order = np.argsort(corpora, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    counts = np.bincount(corpora)
    own = corpora[documents]
    alone = counts[own] == 1
    first = np.where(alone, 0, (np.cumsum(counts) - counts)[own])
    size = np.where(alone, len(order), counts[own])
    drawn = first + below(draws(key_of_stream(seed, "pairs.document"), keys), size - 1)
    others = order[drawn + (drawn >= rank[documents])]
    count = units.documents[others + 1] - units.documents[others]
    within = below(draws(key_of_stream(seed, "pairs.place"), keys), count)
    return others, units.documents[others] + within


def finish_pairs(
    units: Units,
    parts: np.ndarray,
    documents: np.ndarray,
    labels: np.ndarray,
    forced: np.ndarray,
    budget: int,
    seed: int,
) -> Packed:
    """Truncate the pairs and count; `parts` int64 (N,4) are units (A, A end, B, B end).

    documents int64 (N,2), labels int8 (N,), forced boolean (N,).
    """
    bounds = units.offsets[parts]
    whole = bounds[:, 1::2] - bounds[:, 0::2]
    starts, sizes = truncate(bounds[:, 0::2], whole, budget, bounds[:, 0], seed)
    arrays = {
        "starts": starts,
        "sizes": sizes.astype(np.int32),
        "documents": documents.astype(np.int32),
        "lengths": sizes.sum(axis=1),
        "labels": labels,
    }
    return arrays, {
        "split_sentences": units.split,
        "next": int((labels == NEXT).sum()),
        "random": int((labels == RANDOM).sum()),
        "forced": int(forced.sum()),
        "truncated_tokens": int(whole.sum() - sizes.sum()),
        "store_tokens": int(units.offsets[-1]),
        "shown_tokens": count_shown(starts, sizes),
    }


def count_shown(starts: np.ndarray, sizes: np.ndarray) -> int:
    """How many tokens of the store stand in some part of some sample, each counted once."""
    order = np.argsort(starts, axis=None, kind="stable")
    begins, ends = starts.ravel()[order], (starts + sizes).ravel()[order]
    covered = np.maximum.accumulate(ends)  # up to here, by this part and those that begin before it
    fresh = np.maximum(begins[1:], covered[:-1])
    return int(sizes.ravel()[order[0]] + np.maximum(ends[1:] - fresh, 0).sum())


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
