"""SENTENCE-PAIR: a sentence and its next one, or a random one of another document (section 4.2).

Every sentence is A once. Exactly half of all samples are NEXT, chosen by keyed draws among those
that are not forced. Three sentences in two documents:

    document 0   10 11 12  13 14          document 1   20 21
    A = 10 11 12   NEXT: B = 13 14, RANDOM: B = 20 21
    A = 13 14      forced: B = 20 21
    A = 20 21      forced: B = 10 11 12 or 13 14
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from model.samples.index import NEXT, RANDOM
from model.samples.keyed import draws, key_of_stream
from model.samples.packing import Add, Counts
from model.samples.pairs import PairWriter, RandomPlaces, pair_units
from model.samples.units import Units
from model.text.store import TokenStore

WINDOW = 1 << 18  # sentences looked at at once, to bound memory
BUCKETS = 16  # bits of a draw that are counted first


@dataclass(frozen=True)
class Window:
    """N units in a row: token offsets (N+2,), where each and the next one begin and end; their
    documents (N,), whether each is the last one of its document (N,), the draw of its label (N,).
    """

    offsets: np.ndarray
    documents: np.ndarray
    forced: np.ndarray
    draws: np.ndarray


def pack(store: TokenStore, budget: int, add: Add, seed: int, corpora: np.ndarray | None) -> Counts:
    """All pairs of at most `budget` tokens; with the corpus of every document, int (D,), a random B
    is of A's corpus. Raises StudyError when no such pairs can be made.
    """
    units = pair_units(store, budget)
    others = RandomPlaces(units, seed, corpora)
    pairs = PairWriter(units, budget, seed, add)

    def eligible() -> Iterator[np.ndarray]:
        return (window.draws[~window.forced] for window in _windows(units, seed))

    threshold, ties = smallest(eligible, len(units) // 2)
    for window in _windows(units, seed):
        following = ~window.forced & (window.draws < threshold)
        equal = np.flatnonzero(~window.forced & (window.draws == threshold))[:ties]
        following[equal] = True
        ties -= len(equal)

        # B is the next unit, or a random one.
        begins, ends, next_ends = (window.offsets[i : len(following) + i] for i in range(3))
        bounds = np.stack([begins, ends, ends, next_ends], axis=1)
        documents = np.stack([window.documents, window.documents], axis=1)
        random = np.flatnonzero(~following)
        documents[random, 1], drawn = others.draw(documents[random, 0], begins[random])
        bounds[random, 2], bounds[random, 3] = units.starts(drawn), units.starts(drawn + 1)
        labels = np.where(following, NEXT, RANDOM).astype(np.int8)
        pairs.add(bounds, documents, labels, window.forced)
    return pairs.counts


def _windows(units: Units, seed: int) -> Iterator[Window]:
    key = key_of_stream(seed, "pairs.label")
    for first in range(0, len(units), WINDOW):
        stop = min(first + WINDOW, len(units))
        offsets = units.starts(np.minimum(np.arange(first, stop + 2), len(units)))
        documents, ends = units.documents_of(first, stop)
        forced = np.arange(first, stop) + 1 == ends
        yield Window(offsets, documents, forced, draws(key, offsets[:-2]))


def smallest(windows: Callable[[], Iterator[np.ndarray]], count: int) -> tuple[int, int]:
    """Which of some int64 numbers, window by window, are the `count` smallest: those below the
    first number returned, and so many of those that are equal to it, first come first served.

    All numbers, if there are fewer. They are counted by their high bits and then looked at again:
    only those of one bucket are held.
    """
    buckets = np.zeros(1 << BUCKETS, dtype=np.int64)
    for numbers in windows():
        buckets += np.bincount(_bucket(numbers), minlength=len(buckets))
    below = np.cumsum(buckets)
    bucket = int(np.searchsorted(below, count, side="left"))
    if bucket == len(buckets):
        return np.iinfo(np.int64).max, count
    left = count - int(below[bucket] - buckets[bucket])
    held = np.sort(np.concatenate([n[_bucket(n) == bucket] for n in windows()]))
    threshold = held[left - 1]
    return int(threshold), left - int(np.searchsorted(held, threshold, side="left"))


def _bucket(numbers: np.ndarray) -> np.ndarray:
    """The bucket of each number, 0 to 2**BUCKETS - 1, in their order."""
    return (numbers >> (64 - BUCKETS)) + (1 << (BUCKETS - 1))
