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

from model.samples.packing import Packed, block_arrays, places
from model.samples.units import separator_offsets
from model.text.store import TokenStore


def pack(store: TokenStore, budget: int, separators: str) -> Packed:
    """Blocks of `budget` tokens and separators, but for the last and those at whose edge a
    separator was left out. `split_sentences` counts the sentences that a cut goes through.
    """
    boundaries = separator_offsets(store, separators)

    # From places in the text with separators to tokens: `pieces` are what separators stand between.
    pieces = boundaries[0]
    begins, ends = places(pieces, boundaries)
    cuts = np.arange(begins[0], ends[-1], budget)
    piece = np.searchsorted(begins, cuts, side="right") - 1
    starts = np.minimum(pieces[piece] + cuts - begins[piece], pieces[piece + 1])

    offsets = np.append(starts, pieces[-1])
    firsts, stops = places(offsets, boundaries)
    documents = np.searchsorted(boundaries[-1], starts, side="right") - 1
    sentences = np.searchsorted(store.sentences, starts, side="right") - 1
    inside = store.sentences[sentences] < starts
    arrays = block_arrays(offsets, documents, stops - firsts)
    return arrays, {"split_sentences": len(np.unique(sentences[inside]))}
