"""Windows over a tokenised context, and where its characters stand (SQuAD, protocol section 9)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Context:
    """A tokenised context: ids, characters int32 (n, 2) as start and end, `visible` bool (n,)."""

    text: str
    tokens: list[int]
    characters: np.ndarray
    visible: np.ndarray

    @classmethod
    def of(cls, text: str, tokens: list[int], offsets: list[tuple[int, int]]) -> "Context":
        """`visible` tokens show a character that is not blank (offsets skip leading blanks).

        Characters that no token covers are those which the vocabulary's normaliser drops (BERT's:
        accents and other marks without width, format and control characters). They go with the
        token that ends right before them, or else with the one that starts right behind them.
        """
        characters = np.array(offsets, dtype=np.int32).reshape(-1, 2)
        visible = characters[:, 1] > characters[:, 0]
        for start, end in dropped_runs(text, characters):
            before = visible & (characters[:, 1] == start)
            behind = visible & (characters[:, 0] == end)
            if before.any():
                characters[before, 1] = end
            else:
                characters[behind, 0] = start
        return cls(text, tokens, characters, visible)

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """First and last token that touch the characters start..end; None if none does."""
        first = int(np.searchsorted(self.characters[:, 1], start, side="right"))
        last = int(np.searchsorted(self.characters[:, 0], end, side="left")) - 1
        return (first, last) if first <= last else None

    def answer(self, first: int, last: int) -> str:
        """The text from one token to another."""
        return self.text[self.characters[first, 0] : self.characters[last, 1]]


def dropped_runs(text: str, characters: np.ndarray) -> list[tuple[int, int]]:
    """Runs (start, end) of characters that are not blank and stand in no token."""
    covering = np.zeros(len(text) + 1, dtype=np.int64)
    np.add.at(covering, characters[:, 0], 1)
    np.add.at(covering, characters[:, 1], -1)
    runs: list[tuple[int, int]] = []
    for place in np.flatnonzero(np.cumsum(covering[:-1]) == 0).tolist():
        if text[place].isspace():
            continue
        if runs and runs[-1][1] == place:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs


def window_starts(tokens: int, capacity: int, stride: int) -> np.ndarray:
    """First context token of each window, int64: each `capacity` long, the last perhaps shorter."""
    step = min(stride, capacity)
    windows = 1 + max(0, -(-(tokens - capacity) // step))
    return np.arange(windows, dtype=np.int64) * step


def most_context(tokens: int, starts: np.ndarray, capacity: int) -> np.ndarray:
    """For every window and token, whether no other window shows the token with more context.

    bool (windows, tokens), one true per token. A token's context in a window is the smaller number
    of tokens on its two sides, plus a hundredth of the window's length; the first window wins ties.
    """
    ends = np.minimum(starts + capacity, tokens)
    places = np.arange(tokens)
    left, right = places - starts[:, None], ends[:, None] - 1 - places
    context = 100 * np.minimum(left, right) + (ends - starts)[:, None]
    context = np.where((left >= 0) & (right >= 0), context, -1)
    return np.arange(len(starts))[:, None] == context.argmax(0)
