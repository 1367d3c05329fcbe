"""SENTENCE-PAIR: a sentence and its next one, or a random one of another document (section 4.2).

Every sentence is A once. Exactly half of all samples are NEXT, chosen by keyed draws among those
that are not forced. Three sentences in two documents:

    document 0   10 11 12  13 14          document 1   20 21
    A = 10 11 12   NEXT: B = 13 14, RANDOM: B = 20 21
    A = 13 14      forced: B = 20 21
    A = 20 21      forced: B = 10 11 12 or 13 14
"""

import numpy as np

from model.samples.index import NEXT, RANDOM
from model.samples.keyed import draws, key_of_stream
from model.samples.packing import Packed
from model.samples.pairs import finish_pairs, pair_units, random_places
from model.text.store import TokenStore


def pack(store: TokenStore, budget: int, seed: int, corpora: np.ndarray | None) -> Packed:
    """All pairs of at most `budget` tokens; with the corpus of every document, int (D,), a random B
    is of A's corpus. Raises StudyError when no such pairs can be made.
    """
    units = pair_units(store, budget)
    firsts = np.arange(len(units), dtype=np.int64)
    documents = units.document_of(firsts)
    keys = units.offsets[:-1]

    others, begins = random_places(units, documents, keys, seed, corpora)
    forced = firsts + 1 == units.documents[documents + 1]
    labels = np.full(len(units), RANDOM, dtype=np.int8)
    labels[_smallest(keys, ~forced, len(units) // 2, seed, "pairs.label")] = NEXT
    begins = np.where(labels == RANDOM, begins, firsts + 1)
    parts = np.stack([firsts, firsts + 1, begins, begins + 1], axis=1)
    documents = np.stack([documents, np.where(labels == RANDOM, others, documents)], axis=1)
    return finish_pairs(units, parts, documents, labels, forced, budget, seed)


def _smallest(
    keys: np.ndarray, eligible: np.ndarray, count: int, seed: int, stream: str
) -> np.ndarray:
    """Indices of `count` eligible samples (all if there are fewer), chosen by keyed draws."""
    candidates = np.flatnonzero(eligible)
    order = np.argsort(draws(key_of_stream(seed, stream), keys[candidates]), kind="stable")
    return candidates[order[:count]]
