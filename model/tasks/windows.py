"""Windows over tokenised contexts, and from span logits back to answers (SQuAD, section 9).

In: contexts with their tokens' characters; of the dev features' windows fp32 logits as (B, T)
arrays with their flags and characters. Out: where windows begin and which shows a token best; per
window its best span, per question its best window's text and its null log-odds.

The search is exhaustive: among all pairs of a permitted start and a permitted end at most
`answer_length` tokens long, which lists of the 20 best starts and ends only approximate. Blank
tokens are never ends of a span and every context has a start, so no answer is empty.

Over windows: without an answerability classifier (1.1) the spans' logit sums are compared, as BERT
does, since training pointed windows without the answer elsewhere. With it (2.0) the span loss has
never seen such windows, so log-probabilities are compared: of the span within its window plus of
the window being answerable. The question's null log-odds are the least over its windows: one
window that answers is enough.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from model.tasks.features import Features


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
    for character in np.flatnonzero(np.cumsum(covering[:-1]) == 0).tolist():
        if text[character].isspace():
            continue
        if runs and runs[-1][1] == character:
            runs[-1] = (runs[-1][0], character + 1)
        else:
            runs.append((character, character + 1))
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


@dataclass
class WindowSpans:
    """Best span of each window: score float64, first and last token int64 (-inf score: none)."""

    score: np.ndarray
    first: np.ndarray
    last: np.ndarray


def best_spans(
    start: np.ndarray,
    end: np.ndarray,
    may_start: np.ndarray,
    may_end: np.ndarray,
    answer_length: int,
) -> WindowSpans:
    """Best span of every window from (B, T) logits and flags; ties go to the earlier tokens."""
    width = start.shape[1]
    start = np.where(may_start, start.astype(np.float64), -np.inf)
    end = np.where(may_end, end.astype(np.float64), -np.inf)
    padded = np.pad(end, ((0, 0), (0, answer_length - 1)), constant_values=-np.inf)
    reach = sliding_window_view(padded, answer_length, axis=1)  # (B, T, answer_length)
    length = reach.argmax(-1)
    total = start + np.take_along_axis(padded, length + np.arange(width), axis=1)
    first = total.argmax(1)
    rows = np.arange(len(first))
    return WindowSpans(total[rows, first], first, first + length[rows, first])


def answer_texts(features: Features, spans: WindowSpans) -> tuple[list[str], np.ndarray]:
    """Text and score of every question's best span; a tie goes to the earlier window.

    `spans` holds all rows of `features`, which must have characters and contexts.
    """
    questions = np.asarray(features.arrays["questions"])
    order = np.lexsort((np.arange(len(questions)), -spans.score, questions))
    best = order[np.flatnonzero(np.diff(questions[order], prepend=-1))]
    first_tokens = features.arrays["offsets"][best]
    characters = features.arrays["characters"]
    begin = characters[first_tokens + spans.first[best], 0]
    end = characters[first_tokens + spans.last[best], 1]
    contexts = features.columns["context"].to_pylist()
    parts = zip(contexts, begin.tolist(), end.tolist(), strict=True)
    return [context[first:last] for context, first, last in parts], spans.score[best]


def null_log_odds(features: Features, answerable: np.ndarray) -> np.ndarray:
    """Log-odds (N,) that a question has no answer, from its windows' log-odds of having one."""
    first_rows = np.flatnonzero(np.diff(features.arrays["questions"], prepend=-1))
    return np.minimum.reduceat(-answerable.astype(np.float64), first_rows)
