"""SEGMENT-PAIR and SENTENCE-PAIR: two parts and a next-sentence label (paper section 4.2).

In: units, the token budget of both parts together, a seed. Out: `Pairs`. Labels: NEXT = B follows A
in A's document, RANDOM = B comes from another document. A label is *forced* to RANDOM where nothing
follows A, that is at the end of a document: a piece of a cut sentence is followed by the next one.
The others are drawn so that both labels are equally frequent all the same:

- SENTENCE-PAIR makes exactly half of all samples NEXT, chosen by keyed draws among the free ones;
- SEGMENT-PAIR, whose next chunk depends on the label, tosses a fair coin until one label is BALANCE
  ahead, and then gives the other one.

If so many documents have a single sentence that this is not enough, RANDOM stays the more frequent
one, as in BERT's builder: no sample is dropped for its label. Draws are keyed by the position of A
in the store.
"""

from dataclasses import dataclass

import numpy as np

from model.samples.index import NEXT, RANDOM
from model.samples.keyed import below, draws, key_of_stream
from model.samples.units import Units
from study.errors import StudyError

BALANCE = 4  # lead that one label may have over the other
WINDOW = 1 << 17  # chunk starts looked at at once, to bound memory


@dataclass(frozen=True)
class Pairs:
    """starts, sizes, documents int64 (N,2) and labels int8 (N,) as in `Samples`; and counts."""

    starts: np.ndarray
    sizes: np.ndarray
    documents: np.ndarray
    labels: np.ndarray
    figures: dict


def segment_pairs(units: Units, budget: int, seed: int, corpora: np.ndarray | None = None) -> Pairs:
    """Chunks of whole sentences cut in two, as BERT's builder makes them.

    A chunk is filled up to at least `budget` tokens or the document's end and cut at a uniform
    sentence boundary. NEXT: B is the rest of the chunk. RANDOM: B starts at a random sentence of a
    random other document and is as long as the budget allows; the rest of the chunk is used again.
    With the corpus of every document, int (D,), that document is one of the same corpus.

    Raises StudyError when no such pairs can be made.
    """
    _check(units)
    chunks, labels = _chunks(units, budget, seed)
    firsts, cuts, stops = chunks.T
    keys = units.offsets[firsts]
    documents = units.document_of(firsts)
    others, begins = _random_places(units, documents, keys, seed, corpora)
    needs = np.maximum(budget - (units.offsets[cuts] - keys), 1)
    ends = np.searchsorted(units.offsets, units.offsets[begins] + needs, side="left")
    ends = np.minimum(ends, units.documents[others + 1])
    random = labels == RANDOM
    parts = np.stack(
        [firsts, cuts, np.where(random, begins, cuts), np.where(random, ends, stops)], axis=1
    )
    documents = np.stack([documents, np.where(random, others, documents)], axis=1)
    return _finish(units, parts, documents, labels, stops - firsts == 1, budget, seed)


def sentence_pairs(
    units: Units, budget: int, seed: int, corpora: np.ndarray | None = None
) -> Pairs:
    """Every sentence once as A; B is its next sentence, or a random one of another document.

    With the corpus of every document, int (D,), that document is one of the same corpus.

    Raises StudyError when no such pairs can be made.
    """
    _check(units)
    firsts = np.arange(len(units), dtype=np.int64)
    documents = units.document_of(firsts)
    keys = units.offsets[:-1]
    others, begins = _random_places(units, documents, keys, seed, corpora)
    forced = firsts + 1 == units.documents[documents + 1]
    labels = np.full(len(units), RANDOM, dtype=np.int8)
    labels[_smallest(keys, ~forced, len(units) // 2, seed, "pairs.label")] = NEXT
    begins = np.where(labels == RANDOM, begins, firsts + 1)
    parts = np.stack([firsts, firsts + 1, begins, begins + 1], axis=1)
    documents = np.stack([documents, np.where(labels == RANDOM, others, documents)], axis=1)
    return _finish(units, parts, documents, labels, forced, budget, seed)


def _check(units: Units) -> None:
    """Raise StudyError unless both labels are possible."""
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


def _chunks(units: Units, budget: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Units (first, cut, stop) of each chunk, int64 (N,3), and its label, int8 (N,)."""
    coin_key = key_of_stream(seed, "pairs.label")
    cut_key = key_of_stream(seed, "pairs.cut")
    chunks, labels = [], []
    at = lead = 0  # lead: RANDOM labels minus NEXT labels so far
    while at < len(units):
        base = at
        index = np.arange(base, min(base + WINDOW, len(units)))
        keys = units.offsets[index]
        stops = np.searchsorted(units.offsets, keys + budget, side="left")
        stops = np.minimum(stops, units.documents[units.document_of(index) + 1])
        cuts = index + 1 + below(draws(cut_key, keys), np.maximum(stops - index - 1, 1))
        coins = ((draws(coin_key, keys) & 1) == 1).tolist()
        stops, cuts = stops.tolist(), cuts.tolist()
        while at < base + len(index):
            stop, cut = stops[at - base], cuts[at - base]
            if stop - at == 1:
                random = True
            elif abs(lead) < BALANCE:
                random = coins[at - base]
            else:
                random = lead < 0
            lead += 1 if random else -1
            chunks.append((at, cut, stop))
            labels.append(RANDOM if random else NEXT)
            at = cut if random else stop
    return np.array(chunks, dtype=np.int64), np.array(labels, dtype=np.int8)


def _random_places(
    units: Units,
    documents: np.ndarray,
    keys: np.ndarray,
    seed: int,
    corpora: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """For each sample a uniform document other than its own, and a uniform unit of that one.

    With `corpora` a document of the same corpus, if that has another one.
    """
    if corpora is None:
        corpora = np.zeros(len(units.documents) - 1, dtype=np.uint8)
    order = np.argsort(corpora, kind="stable")  # documents, corpus by corpus
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


def _smallest(
    keys: np.ndarray, eligible: np.ndarray, count: int, seed: int, stream: str
) -> np.ndarray:
    """Indices of `count` eligible samples (all if there are fewer), chosen by keyed draws."""
    candidates = np.flatnonzero(eligible)
    order = np.argsort(draws(key_of_stream(seed, stream), keys[candidates]), kind="stable")
    return candidates[order[:count]]


def _finish(
    units: Units,
    parts: np.ndarray,
    documents: np.ndarray,
    labels: np.ndarray,
    forced: np.ndarray,
    budget: int,
    seed: int,
) -> Pairs:
    """Truncate the pairs and count; `parts` are units (A, A end, B, B end)."""
    bounds = units.offsets[parts]
    whole = bounds[:, 1::2] - bounds[:, 0::2]
    starts, sizes = truncate(bounds[:, 0::2], whole, budget, bounds[:, 0], seed)
    figures = {
        "next": int((labels == NEXT).sum()),
        "random": int((labels == RANDOM).sum()),
        "forced": int(forced.sum()),
        "truncated_tokens": int(whole.sum() - sizes.sum()),
        "store_tokens": int(units.offsets[-1]),
        "shown_tokens": count_shown(starts, sizes),
    }
    return Pairs(starts, sizes, documents, labels, figures)


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
