"""What formats pack: sentences, those longer than the input cut into pieces, and separators.

In: a token store. Out: `Units`, the sentences (or pieces of over-long ones) as offsets that
partition the tokens of the store; and the offsets at which an input of one part has separators.
"""

from dataclasses import dataclass

import numpy as np

from model.text.store import TokenStore


@dataclass(frozen=True)
class Units:
    """Unit u is tokens[offsets[u]:offsets[u+1]], document d units documents[d]..documents[d+1]-1.

    offsets int64 (U+1,), documents int64 (D+1,), split: number of sentences that were cut.
    """

    offsets: np.ndarray
    documents: np.ndarray
    split: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def document_of(self, units: np.ndarray) -> np.ndarray:
        """Document of each unit, int64."""
        return np.searchsorted(self.documents, units, side="right") - 1


def units_of(store: TokenStore, budget: int, parts: int) -> Units:
    """The units of a store for inputs of `budget` tokens in `parts` parts (1, or 2 in pairs).

    A sentence that cannot stand in such an input whole, beside at least one token of each other
    part, becomes pieces of budget / parts tokens and one with the rest: `parts` pieces in a row
    fill an input exactly, and no token is lost. Sentences of 3, 9 and 2 tokens and a budget of 4:

        pieces    1         3             1
        within    0     0   1   2         0      number of the piece in its sentence
        starts    0     3   7   11        12     (in pairs 3 5 7 9 11: pieces of 4 / 2)
    """
    sentences = np.asarray(store.sentences)
    sizes = np.diff(sentences)
    fits = sizes <= budget - (parts - 1)
    pieces = np.where(fits, 1, -(-sizes * parts // budget))
    first = np.zeros(len(sentences), dtype=np.int64)
    np.cumsum(pieces, out=first[1:])
    within = np.arange(first[-1], dtype=np.int64) - np.repeat(first[:-1], pieces)
    starts = np.repeat(sentences[:-1], pieces) + within * budget // parts
    return Units(
        offsets=np.append(starts, sentences[-1]),
        documents=first[np.asarray(store.documents)],
        split=int((pieces > 1).sum()),
    )


def separator_offsets(store: TokenStore, separators: str) -> list[np.ndarray]:
    """Token offsets, sorted int64 arrays, with a separator before them wherever they lie strictly
    inside a block: one for every array that holds the offset.

    "document": where documents begin; "sentence": where sentences begin, and those once more.
    """
    documents = store.document_tokens
    return [documents] if separators == "document" else [store.sentences, documents]
