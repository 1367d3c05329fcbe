"""From span logits to answers (SQuAD, protocol section 9).

In: fp32 logits of windows as (B, T) arrays with the flags and characters of the dev features.
Out: per window its best span, per question its best window's text and its null log-odds.

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


def log_normaliser(logits: np.ndarray) -> np.ndarray:
    """log of the sum of exponentials over tokens, float64 (B,)."""
    logits = logits.astype(np.float64)
    peak = logits.max(1, keepdims=True)
    return peak[:, 0] + np.log(np.exp(logits - peak).sum(1))


def log_sigmoid(values: np.ndarray) -> np.ndarray:
    """log(1 / (1 + exp(-x))) without overflow, float64."""
    return -np.logaddexp(0.0, -values.astype(np.float64))


def answer_texts(features: Features, spans: WindowSpans) -> tuple[list[str], np.ndarray]:
    """Text and score of every question's best span; a tie goes to the earlier window.

    `spans` holds all rows of `features`, which must have characters and contexts.
    """
    questions = np.asarray(features.arrays["questions"])
    order = np.lexsort((np.arange(len(questions)), -spans.score, questions))
    best = order[np.flatnonzero(np.diff(questions[order], prepend=-1))]
    place = features.arrays["offsets"][best]
    characters = features.arrays["characters"]
    begin = characters[place + spans.first[best], 0]
    end = characters[place + spans.last[best], 1]
    texts = [
        context[first:last]
        for context, first, last in zip(
            features.contexts, begin.tolist(), end.tolist(), strict=True
        )
    ]
    return texts, spans.score[best]


def null_log_odds(features: Features, answerable: np.ndarray) -> np.ndarray:
    """Log-odds (N,) that a question has no answer, from its windows' log-odds of having one."""
    first_rows = np.flatnonzero(np.diff(features.arrays["questions"], prepend=-1))
    return np.minimum.reduceat(-answerable.astype(np.float64), first_rows)
