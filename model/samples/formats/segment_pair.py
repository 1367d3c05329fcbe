"""SEGMENT-PAIR: chunks of whole sentences cut in two, as BERT's builder makes them (section 4.2).

A chunk is filled up to at least the budget or the document's end and cut at a uniform sentence
boundary. NEXT: B is the rest of the chunk. RANDOM: B starts at a random sentence of a random other
document and is as long as the budget allows; the rest of the chunk is used again. Three sentences
in two documents, with a budget of 4:

    document 0   10 11 12  13 14          document 1   20 21
    first chunk  sentences 0 and 1 (5 tokens), cut between them
      NEXT       A = 10 11 12, B = 13 14, cut to 4: A loses a token; the next chunk is sentence 2
      RANDOM     A = 10 11 12, B = 20 21, cut likewise; the next chunk is sentence 1, all of it A

The next chunk depends on the label, so a fair coin is tossed until one label is BALANCE ahead, and
then the other one is given.
"""

import numpy as np

from model.samples.index import NEXT, RANDOM
from model.samples.keyed import below, draws, key_of_stream
from model.samples.packing import Packed
from model.samples.pairs import finish_pairs, pair_units, random_places
from model.samples.units import Units
from model.text.store import TokenStore

BALANCE = 4  # lead that one label may have over the other
WINDOW = 1 << 17  # chunk starts looked at at once, to bound memory


def pack(store: TokenStore, budget: int, seed: int, corpora: np.ndarray | None) -> Packed:
    """All pairs of at most `budget` tokens; with the corpus of every document, int (D,), a random B
    is of A's corpus. Raises StudyError when no such pairs can be made.
    """
    units = pair_units(store, budget)

    # What A is, and what follows it in its document.
    chunks, labels = _chunks(units, budget, seed)
    firsts, cuts, stops = chunks.T
    keys = units.offsets[firsts]
    documents = units.document_of(firsts)

    # What else B could be: units from a random one on, until the budget is full.
    others, begins = random_places(units, documents, keys, seed, corpora)
    needs = np.maximum(budget - (units.offsets[cuts] - keys), 1)
    ends = np.searchsorted(units.offsets, units.offsets[begins] + needs, side="left")
    ends = np.minimum(ends, units.documents[others + 1])

    random = labels == RANDOM
    parts = np.stack(
        [firsts, cuts, np.where(random, begins, cuts), np.where(random, ends, stops)], axis=1
    )
    documents = np.stack([documents, np.where(random, others, documents)], axis=1)
    return finish_pairs(units, parts, documents, labels, stops - firsts == 1, budget, seed)


def _chunks(units: Units, budget: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Units (first, cut, stop) of each chunk, int64 (N,3), and its label, int8 (N,)."""
    coin_key = key_of_stream(seed, "pairs.label")
    cut_key = key_of_stream(seed, "pairs.cut")
    chunks, labels = [], []
    at = lead = 0  # lead: RANDOM labels minus NEXT labels so far
    while at < len(units):
        # For every unit of a window, the chunk that would start there: its end, its cut, its coin.
        base = at
        index = np.arange(base, min(base + WINDOW, len(units)))
        keys = units.offsets[index]
        stops = np.searchsorted(units.offsets, keys + budget, side="left")
        stops = np.minimum(stops, units.documents[units.document_of(index) + 1])
        cuts = index + 1 + below(draws(cut_key, keys), np.maximum(stops - index - 1, 1))
        coins = ((draws(coin_key, keys) & 1) == 1).tolist()
        stops, cuts = stops.tolist(), cuts.tolist()

        # From chunk to chunk: which start is the next one depends on the label.
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
