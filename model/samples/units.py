"""What formats pack: sentences, those longer than the input cut into pieces, and separators.

In: a token store. Out: `Units`, the sentences (or pieces of over-long ones) in order, which
partition the tokens of the store; and the offsets at which an input of one part has separators.
Only the over-long sentences stand in memory, everything else is looked up in the store's files.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model.text.store import TokenStore

WINDOW = 1 << 18  # units looked at at once, to bound memory


@dataclass(frozen=True)
class Units:
    """The units of a store: numbers of units and of documents, where units begin in the tokens.

    long int64 (L,): the sentences that are cut; further int64 (L+1,): pieces beyond their first
    ones in all before each of them. Sentences of 3, 9 and 2 tokens and a budget of 4:

        unit       0     1   2   3     4     5 (the end)
        sentence   0     1   1   1     2     3
        piece      0     0   1   2     0     0
        starts     0     3   7   11    12    14       (in pairs 3 5 7 9 11: pieces of 4 / 2)
        long       1     further  0 2
    """

    store: TokenStore
    budget: int
    parts: int
    long: np.ndarray
    further: np.ndarray

    def __len__(self) -> int:
        return len(self.store.sentences) - 1 + int(self.further[-1])

    @cached_property
    def _heads(self) -> np.ndarray:
        """The first unit of each long sentence."""
        return self.long + self.further[:-1]

    def starts(self, units: np.ndarray) -> np.ndarray:
        """Token offset at which each unit begins, int64; unit U is the end of the tokens."""
        sentences, pieces = self._sentences(units)
        return self.store.sentences[sentences] + pieces * self.budget // self.parts

    def firsts(self, documents: np.ndarray) -> np.ndarray:
        """The first unit of each document, int64; document D is the end of the units."""
        return self._firsts(self.store.documents[documents])

    def documents_of(self, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each of the units first..stop-1 the document, and the unit at which that ends."""
        ends, _ = self._sentences(np.array([first, stop - 1]))
        low, high = np.searchsorted(self.store.documents, ends, side="right") - 1
        documents = np.arange(low, high + 2)
        bounds = self.firsts(documents)
        counts = np.diff(np.clip(bounds, first, stop))
        return np.repeat(documents[:-1], counts), np.repeat(bounds[1:], counts)

    def filled(self, firsts: np.ndarray, stops: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Ends of the fewest units from each of `firsts` on that hold so many tokens, or `stops`.

        int64 (N,) all; one unit is taken at least. A few steps from place to place, for a search in
        all sentences would read more pages of their file.
        """
        targets, ends, short = self.starts(firsts) + tokens, firsts.copy(), np.arange(len(firsts))
        while len(short):
            ends[short] += 1
            short = short[ends[short] < stops[short]]
            short = short[self.starts(ends[short]) < targets[short]]
        return ends

    def _firsts(self, sentences: np.ndarray) -> np.ndarray:
        """The first unit of each sentence."""
        return sentences + self.further[np.searchsorted(self.long, sentences, side="left")]

    def _sentences(self, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sentence of each unit, and which piece of it the unit is."""
        if not len(self.long):
            return units, np.zeros_like(units)
        before = np.searchsorted(self._heads, units, side="right")  # long ones, or inside the last
        last = np.maximum(before - 1, 0)
        sentences = units - self.further[before]
        inside = (before > 0) & (sentences <= self.long[last])
        return (
            np.where(inside, self.long[last], sentences),
            np.where(inside, units - self._heads[last], 0),
        )


def units_of(store: TokenStore, budget: int, parts: int) -> Units:
    """The units of a store for inputs of `budget` tokens in `parts` parts (1, or 2 in pairs).

    A sentence that cannot stand in such an input whole, beside at least one token of each other
    part, becomes pieces of budget / parts tokens and one with the rest: `parts` pieces in a row
    fill an input exactly, and no token is lost.
    """
    long, pieces = [], []
    for start in range(0, len(store.sentences) - 1, WINDOW):
        sizes = np.diff(store.sentences[start : start + WINDOW + 1])
        cut = np.flatnonzero(sizes > budget - (parts - 1))
        long.append(start + cut)
        pieces.append(-(-sizes[cut] * parts // budget))
        store.forget()
    further = np.concatenate(pieces) - 1
    return Units(
        store=store,
        budget=budget,
        parts=parts,
        long=np.concatenate(long),
        further=np.concatenate([[0], np.cumsum(further)]),
    )


def separator_offsets(store: TokenStore, separators: str) -> list[np.ndarray]:
    """Token offsets, sorted int64 arrays, with a separator before them wherever they lie strictly
    inside a block: one for every array that holds the offset.

    "document": where documents begin; "sentence": where sentences begin, and those once more.
    """
    documents = store.document_tokens
    return [documents] if separators == "document" else [store.sentences, documents]
