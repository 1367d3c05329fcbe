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
from model.samples.packing import Add, Counts
from model.samples.pairs import PairWriter, RandomPlaces, pair_units
from model.text.store import TokenStore

BALANCE = 4  # lead that one label may have over the other
WINDOW = 1 << 17  # chunk starts looked at at once, to bound memory


def pack(store: TokenStore, budget: int, add: Add, seed: int, corpora: np.ndarray | None) -> Counts:
    """All pairs of at most `budget` tokens; with the corpus of every document, int (D,), a random B
    is of A's corpus. Raises StudyError when no such pairs can be made.
    """
    units = pair_units(store, budget)
    others = RandomPlaces(units, seed, corpora)
    pairs = PairWriter(units, budget, seed, add)
    coin_key, cut_key = (key_of_stream(seed, f"pairs.{name}") for name in ("label", "cut"))
    base = lead = 0
    while base < len(units):
        # For every unit of a window, the chunk that would start there: its end, its cut, its coin.
        # A chunk holds at most `budget` units; all numbers count from the window's first unit.
        size = min(WINDOW, len(units) - base)
        offsets = units.starts(np.arange(base, min(base + size + budget, len(units)) + 1))
        documents, document_ends = units.documents_of(base, base + size)
        keys, index = offsets[:size], np.arange(size)
        stops = np.searchsorted(offsets, keys + budget, side="left")
        stops = np.minimum(stops, document_ends - base)
        cuts = index + 1 + below(draws(cut_key, keys), np.maximum(stops - index - 1, 1))
        coins = (draws(coin_key, keys) & 1) == 1
        firsts, labels, after, lead = _chunks(cuts, stops, coins, lead)

        # What A is, what follows it in its document, and what else B could be: units from a random
        # one on, until the budget is full.
        cuts, stops, documents = cuts[firsts], stops[firsts], documents[firsts]
        bounds = offsets[np.stack([firsts, cuts, cuts, stops], axis=1)]
        documents = np.stack([documents, documents], axis=1)
        random = np.flatnonzero(labels == RANDOM)
        documents[random, 1], begins = others.draw(documents[random, 0], bounds[random, 0])
        needs = budget - (bounds[random, 1] - bounds[random, 0])
        ends = units.filled(begins, units.firsts(documents[random, 1] + 1), needs)
        bounds[random, 2], bounds[random, 3] = units.starts(begins), units.starts(ends)
        pairs.add(bounds, documents, labels, forced=stops - firsts == 1)
        base += after
    return pairs.counts


def _chunks(
    cuts: np.ndarray, stops: np.ndarray, coins: np.ndarray, lead: int
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """From chunk to chunk through a window: which start is the next one depends on the label.

    Returns the starts of the chunks int64 (N,), their labels int8 (N,), the start of the one behind
    the window, and the lead: RANDOM labels minus NEXT labels so far.
    """
    cuts, stops, coins = cuts.tolist(), stops.tolist(), coins.tolist()
    firsts, labels, at = [], [], 0
    while at < len(cuts):
        stop, cut = stops[at], cuts[at]
        if stop - at == 1:
            random = True
        elif abs(lead) < BALANCE:
            random = coins[at]
        else:
            random = lead < 0
        lead += 1 if random else -1
        firsts.append(at)
        labels.append(RANDOM if random else NEXT)
        at = cut if random else stop
    return np.array(firsts, dtype=np.int64), np.array(labels, dtype=np.int8), at, lead
