"""Extractive questions (SQuAD): windows over the context, answers remapped (protocol section 9).

In: examples whose texts are question and context, with gold answers by character. Out: features
with one row per window, `<s> question </s> context tokens </s>`. The question keeps its first
`question_length` tokens; windows start every `stride` context tokens, or right where the last one
ended if a window holds fewer than that, until the context's end is shown.
"""

from dataclasses import dataclass

import numpy as np

from model.tasks.data import Examples
from model.tasks.features import CHUNK, Features, Rows, unique_indices
from model.tasks.squad_metric import normalise
from model.text.tokenizer import Vocabulary


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


class SpanBuilder:
    """Collects the windows of a split."""

    def __init__(self, vocabulary: Vocabulary, task: dict, length: int, characters: bool):
        self.rows = Rows(vocabulary, task.get("separators", 1), length)
        self.task = task
        self.with_characters = characters
        self.windows: list[tuple[int, int, int, bool]] = []  # question, start, end, answerable
        self.characters: list[np.ndarray] = []
        self.may_start: list[np.ndarray] = []
        self.may_end: list[np.ndarray] = []
        self.golds = dict.fromkeys(("answers", "exact", "normalised", "whole_in_no_window"), 0)
        self.questions_truncated = 0

    def add(
        self, question: int, tokens: list[int], context: Context, answers: list[tuple[str, int]]
    ) -> None:
        """Append all windows of a question whose tokens are given."""
        self.questions_truncated += len(tokens) > self.task["question_length"]
        tokens = tokens[: self.task["question_length"]]
        capacity = self.rows.room(2) - len(tokens)
        size = len(context.tokens)
        starts = window_starts(size, capacity, self.task["stride"])
        ends = np.minimum(starts + capacity, size)
        self.rows.truncated += len(starts) > 1
        self._count_golds(context, answers, starts, ends)
        span = context.span(answers[0][1], answers[0][1] + len(answers[0][0])) if answers else None
        first_place = 1 + len(tokens) + self.rows.separators
        for begin, end in zip(starts.tolist(), ends.tolist(), strict=True):
            self.rows.add(tokens, context.tokens[begin:end])
            if span and begin <= span[0] and span[1] < end:
                shift = first_place - begin
                self.windows.append((question, span[0] + shift, span[1] + shift, True))
            else:
                self.windows.append((question, 0, 0, False))
        if self.with_characters:
            self._add_characters(context, first_place, starts, capacity)

    def _add_characters(
        self, context: Context, first_place: int, starts: np.ndarray, capacity: int
    ) -> None:
        """What decoding needs, for each window parallel to its tokens."""
        best = most_context(len(context.tokens), starts, capacity)
        for window, begin in enumerate(starts.tolist()):
            part = slice(begin, begin + capacity)
            around = (first_place, 1)
            visible = context.visible[part]
            self.characters.append(np.pad(context.characters[part], (around, (0, 0))))
            self.may_end.append(np.pad(visible, around))
            self.may_start.append(np.pad(visible & best[window, part], around))

    def _count_golds(self, context: Context, answers, starts, ends) -> None:
        """Count the different gold answers, and how many come back from their tokens."""
        for text, start in dict.fromkeys(answers):
            span = context.span(start, start + len(text))
            back = context.answer(*span) if span else ""
            self.golds["answers"] += 1
            self.golds["exact"] += back == text
            self.golds["normalised"] += normalise(back) == normalise(text)
            inside = span and bool(np.any((starts <= span[0]) & (span[1] < ends)))
            self.golds["whole_in_no_window"] += not inside

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays of the split."""
        questions, starts, ends, answerable = zip(*self.windows, strict=True)
        arrays = self.rows.arrays() | {
            "questions": np.array(questions, dtype=np.int32),
            "starts": np.array(starts, dtype=np.int32),
            "ends": np.array(ends, dtype=np.int32),
            "answerable": np.array(answerable, dtype=bool),
        }
        if self.with_characters:
            arrays["characters"] = np.concatenate(self.characters)
            arrays["may_start"] = np.concatenate(self.may_start)
            arrays["may_end"] = np.concatenate(self.may_end)
        return arrays


def build_spans(
    examples: Examples, vocabulary: Vocabulary, task: dict, length: int, *, characters: bool
):
    """Features and figures of a span split; `characters` adds what decoding needs (dev).

    Figures: `truncated` questions of more than one window, `unanswerable` questions and windows,
    and of the different gold answers how many their tokens give back exactly, how many after the
    metric's normalisation, and how many no single window holds. `majority`, where questions may
    have no answer, is the score of always giving none.
    """
    builder = SpanBuilder(vocabulary, task, length, characters)
    questions, contexts = examples.texts
    for begin in range(0, len(examples), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        texts, places = unique_indices(contexts[chunk])
        encoded = zip(texts, *vocabulary.encode_with_offsets(texts), strict=True)
        tokenised = [Context.of(*parts) for parts in encoded]
        asked = vocabulary.encode_batch([text.strip() for text in questions[chunk]])
        for row, tokens in enumerate(asked):
            answers = examples.answers[begin + row]
            builder.add(begin + row, tokens, tokenised[places[row]], answers)
        builder.rows.flush()
    unanswerable = sum(not answers for answers in examples.answers)
    figures = builder.rows.figures(len(examples)) | {
        "questions_truncated": builder.questions_truncated,
        "unanswerable": unanswerable,
        "windows_without_answer": sum(not window[3] for window in builder.windows),
        "gold_answers": builder.golds,
    }
    if task["answerability"]:
        figures["majority"] = 100.0 * unanswerable / len(examples)
    features = Features(builder.arrays(), examples.ids)
    if characters:
        features.contexts = contexts
        features.answers = [[text for text, _ in answers] for answers in examples.answers]
    return features, figures
