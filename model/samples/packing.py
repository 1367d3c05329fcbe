"""Blocks of whole sentences: what FULL-SENTENCES and DOC-SENTENCES share (paper section 4.2).

In: a store and the budget in tokens. Out: the index arrays of the blocks. Every unit (`units_of`)
is in exactly one block; a unit that does not fit starts the next block. Three sentences in two
documents, with a separator between documents (`|`), and blocks of at most 6:

    text        10 11 12  13 14 | 20 21
    begins       0         3      6         places in this text, separators counted
    ends                3     5        8
    blocks      10 11 12  13 14             from 0 to 6 at most: the third would end at 8
                                  20 21     from 6 to 12 at most
"""

from collections.abc import Callable

import numpy as np

from model.samples.units import separator_offsets, units_of
from model.text.store import TokenStore

WINDOW = 1 << 18  # units looked at at once, to bound memory

# Takes index arrays (model/samples/index.py) of further samples, with lengths without the frame.
Add = Callable[[dict[str, np.ndarray]], None]
Counts = dict[str, int]


def pack_sentences(
    store: TokenStore, budget: int, separators: str, cross_documents: bool, add: Add
) -> Counts:
    """Greedy blocks of at most `budget` tokens and separators."""
    units = units_of(store, budget, parts=1)
    boundaries = separator_offsets(store, separators)
    block = 0
    while block < len(units):
        # A block holds at most `budget` units, so the last one of a window ends inside the margin.
        stop = min(block + WINDOW, len(units))
        offsets = units.starts(np.arange(block, min(stop + budget, len(units)) + 1))
        begins, ends = places(offsets, boundaries)
        nexts = np.searchsorted(ends, begins[: stop - block] + budget, side="right")
        documents, document_ends = units.documents_of(block, stop)
        if not cross_documents:
            nexts = np.minimum(nexts, document_ends - block)
        chosen = _follow(nexts)
        stops = nexts[chosen]
        bounds = offsets[np.append(chosen, stops[-1])]
        add(block_arrays(bounds, documents[chosen], ends[stops - 1] - begins[chosen]))
        block += int(stops[-1])
    return {"split_sentences": len(units.long)}


def block_arrays(
    offsets: np.ndarray, documents: np.ndarray, lengths: np.ndarray
) -> dict[str, np.ndarray]:
    """Index arrays of consecutive blocks: token offsets int64 (N+1,), the document of each block's
    first token (N,), its tokens and the separators inside it (N,).
    """
    return {
        "starts": offsets[:-1, None],
        "sizes": np.diff(offsets)[:, None],
        "documents": documents[:, None],
        "lengths": lengths,
    }


def places(offsets: np.ndarray, boundaries: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Begin and end of the units between these offsets in the text with separators, int64 each."""
    begins, ends = offsets[:-1], offsets[1:]
    for offsets_of_separators in boundaries:
        low, high = np.searchsorted(offsets_of_separators, offsets[[0, -1]], side="left")
        near = offsets_of_separators[low:high]
        # One that stands at a unit's begin lies before it, one at its end behind it.
        begins = begins + low + np.searchsorted(near, offsets[:-1], side="right")
        ends = ends + low + np.searchsorted(near, offsets[1:], side="left")
    return begins, ends


def _follow(nexts: np.ndarray) -> np.ndarray:
    """The chain 0, nexts[0], nexts[nexts[0]], … inside the array, int64."""
    steps, chain, at = nexts.tolist(), [], 0
    while at < len(steps):
        chain.append(at)
        at = steps[at]
    return np.array(chain, dtype=np.int64)
