"""BLOCKS: running text cut into inputs of one length, wherever a cut falls (not in the paper).

What most public scripts for masked language models do, as GPT's: all documents one after the other,
a separator between two, cut every `budget` places. A separator on which a cut falls is left out:
the frame has one there. Three sentences in two documents, and blocks of 4:

    text      10 11 12 13 14  |  20 21
    place      0  1  2  3  4  5   6  7
    cuts       0           4
    blocks    10 11 12 13
                          14  |  20 21
"""

import numpy as np

from model.samples.packing import Add, Counts, block_arrays, places
from model.samples.units import separator_offsets
from model.text.store import TokenStore

WINDOW = 1 << 20  # places in the text looked at at once, to bound memory


def pack(store: TokenStore, budget: int, add: Add, separators: str) -> Counts:
    """Blocks of `budget` tokens and separators, but for the last and those at whose edge a
    separator was left out. `split_sentences` counts the sentences that a cut goes through.
    """
    boundaries = separator_offsets(store, separators)
    pieces = boundaries[0]  # what separators stand between
    (cut,), _ = places(pieces[:2], boundaries)
    _, (end,) = places(pieces[-2:], boundaries)
    steps = max(1, WINDOW // budget)
    start = first = split = 0  # token and piece into which the next cut falls
    last_split = -1
    while cut < end:
        # From places in the text with separators to tokens; so many places hold no more tokens. The
        # last cut begins the first block of the next window.
        cuts = np.arange(cut, min(cut + steps * budget + 1, end), budget)
        last = np.searchsorted(pieces, start + steps * budget, side="right")
        near = pieces[first : last + 1]
        begins, _ = places(near, boundaries)
        piece = np.searchsorted(begins, cuts, side="right") - 1
        offsets = np.minimum(near[piece] + cuts - begins[piece], near[piece + 1])
        if cuts[-1] + budget >= end:
            cut, offsets = end, np.append(offsets, pieces[-1])
        else:
            cut, start, first = cuts[-1], offsets[-1], first + piece[-1]

        starts = offsets[:-1]
        firsts, stops = places(offsets, boundaries)
        documents = np.searchsorted(boundaries[-1], starts, side="right") - 1
        add(block_arrays(offsets, documents, stops - firsts))
        sentences = np.searchsorted(store.sentences, starts, side="right") - 1
        inside = np.unique(sentences[store.sentences[sentences] < starts])
        split += int(np.count_nonzero(inside != last_split))
        last_split = max([last_split, *inside[-1:]])
    return {"split_sentences": split}
