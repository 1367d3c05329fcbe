"""FULL-SENTENCES and DOC-SENTENCES: whole sentences packed up to the limit (paper section 4.2).

In: units and the budget in tokens. Out: the unit ranges of the blocks and their sizes. Every unit
is in exactly one block; a unit that does not fit starts the next block.
"""

import numpy as np

from model.samples.units import Units

WINDOW = 1 << 18  # units looked at at once, to bound memory


def pack(
    units: Units, budget: int, separators: str, cross_documents: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Greedy blocks of at most `budget` tokens and separators.

    Returns the blocks' first units int64 (N+1,), with the number of units at the end, and the
    length of each block's content int64 (N,): its tokens and the separators inside it.
    """
    firsts, contents = [], []
    block = 0
    while block < len(units):
        # A block holds at most `budget` units, so the last one of a window ends inside the margin.
        stop = min(block + WINDOW, len(units))
        begins, ends = _positions(units, block, min(stop + budget, len(units)), separators)
        nexts = np.searchsorted(ends, begins[: stop - block] + budget, side="right")
        if not cross_documents:
            document = units.document_of(np.arange(block, stop))
            nexts = np.minimum(nexts, units.documents[document + 1] - block)
        chosen = _follow(nexts)
        firsts.append(chosen + block)
        contents.append(ends[nexts[chosen] - 1] - begins[chosen])
        block += int(nexts[chosen[-1]])
    if not firsts:
        return np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.append(np.concatenate(firsts), len(units)), np.concatenate(contents)


def _positions(
    units: Units, first: int, stop: int, separators: str
) -> tuple[np.ndarray, np.ndarray]:
    """Begin and end of units first..stop-1 in the text with separators, int64 each."""
    index = np.arange(first, stop)
    # One separator between documents; with "sentence" one after every sentence as well. A piece
    # of a cut sentence that has another piece after it fills its block, so that counting one
    # there too changes no block.
    shift = units.document_of(index)
    if separators == "sentence":
        shift = shift + index
    return units.offsets[first:stop] + shift, units.offsets[first + 1 : stop + 1] + shift


def _follow(nexts: np.ndarray) -> np.ndarray:
    """The chain 0, nexts[0], nexts[nexts[0]], … inside the array, int64."""
    steps, chain, at = nexts.tolist(), [], 0
    while at < len(steps):
        chain.append(at)
        at = steps[at]
    return np.array(chain, dtype=np.int64)
