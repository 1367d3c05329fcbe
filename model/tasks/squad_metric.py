"""Exact match and token F1 of SQuAD by the official definition (protocol section 9).

An answer is normalised: lower case, ASCII punctuation removed, the words a, an, the removed, runs
of white space made one blank. Exact match compares normalised texts; F1 is the harmonic mean of
precision and recall of the words as multisets; both are the maximum over the gold answers.
SQuAD 1.1 and 2.0 differ where a normalised text is empty: 2.0 gives F1 1 to two empty texts (and
drops empty golds beside full ones), 1.1 gives F1 0 whenever no word is shared.
All results are in percent.
"""

import re
import string
from collections import Counter
from dataclasses import dataclass

import numpy as np

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(?:the|an|a)\b")


def normalise(text: str) -> str:
    """The text as the official evaluation compares it."""
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, gold: str) -> float:
    """1.0 when the normalised texts are equal, else 0.0."""
    return float(normalise(prediction) == normalise(gold))


def token_f1(prediction: str, gold: str, *, empty_matches: bool) -> float:
    """F1 in 0..1 over normalised words; two empty texts give 1 only if `empty_matches` (2.0)."""
    predicted, expected = normalise(prediction).split(), normalise(gold).split()
    if not predicted or not expected:
        return float(empty_matches and predicted == expected)
    shared = sum((Counter(predicted) & Counter(expected)).values())
    return 2.0 * shared / (len(predicted) + len(expected))


@dataclass(frozen=True)
class SquadScores:
    """Scores per question: `em` and `f1` float64 (N,) in 0..1, `has_answer` bool (N,)."""

    em: np.ndarray
    f1: np.ndarray
    has_answer: np.ndarray


def score_answers(
    predictions: list[str], golds: list[list[str]], *, no_answer: bool
) -> SquadScores:
    """Scores of one prediction per question against its gold answers.

    `no_answer` selects 2.0's definition, where a question without a gold answer expects "".
    """
    em, f1 = np.zeros(len(golds)), np.zeros(len(golds))
    has_answer = np.array([len(answers) > 0 for answers in golds], dtype=bool)
    for row, (prediction, answers) in enumerate(zip(predictions, golds, strict=True)):
        if no_answer:
            answers = [answer for answer in answers if normalise(answer)] or [""]
        em[row] = max(exact_match(prediction, answer) for answer in answers)
        f1[row] = max(token_f1(prediction, answer, empty_matches=no_answer) for answer in answers)
    return SquadScores(em, f1, has_answer)


def squad11_metrics(predictions: list[str], golds: list[list[str]]) -> dict[str, float]:
    """`em` and `f1`, in percent."""
    scores = score_answers(predictions, golds, no_answer=False)
    return {"em": _percent(scores.em), "f1": _percent(scores.f1)}


def squad20_metrics(
    spans: list[str], null_odds: np.ndarray, golds: list[list[str]]
) -> dict[str, float]:
    """Metrics of SQuAD 2.0 from the best span and the null log-odds (N,) of every question.

    `em` and `f1` answer "" where the log-odds exceed 0, which no one tuned. `best_em`, `best_f1`
    and `best_threshold` (that of F1) are the best that any one threshold reaches on these very
    questions: an optimistic figure. `has_answer_*` and `no_answer_*` split the first pair. All are
    what the official evaluation gives to the file of these answers: "" is right where no gold
    answer is left after normalisation, also for a question that counts as having one.
    """
    scores = score_answers(spans, golds, no_answer=True)
    # "" shares no word with a gold answer, so its F1 is its exact match.
    nothing = score_answers([""] * len(golds), golds, no_answer=True).em
    refused = null_odds > 0
    metrics = {}
    for name, values in (("em", scores.em), ("f1", scores.f1)):
        chosen = np.where(refused, nothing, values)
        metrics[name] = _percent(chosen)
        metrics[f"has_answer_{name}"] = _percent(chosen[scores.has_answer])
        metrics[f"no_answer_{name}"] = _percent(chosen[~scores.has_answer])
        best, threshold = best_threshold(values, nothing, null_odds)
        metrics[f"best_{name}"] = 100.0 * best
    metrics["best_threshold"] = threshold
    return metrics


def best_threshold(
    answered: np.ndarray, refused: np.ndarray, null_odds: np.ndarray
) -> tuple[float, float]:
    """Best mean score (0..1) over thresholds and the smallest threshold that reaches it.

    A question is answered when its log-odds are at most the threshold; `answered` and `refused`
    hold its score either way. Candidates are the log-odds that occur and one below them all.
    """
    order = np.argsort(null_odds, kind="stable")
    odds = null_odds[order]
    gain = np.concatenate([[0.0], np.cumsum((answered - refused)[order])])
    # A cut may only fall between questions of different log-odds.
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(odds)) + 1, [len(odds)]])
    best = cuts[int(np.argmax(gain[cuts]))]
    threshold = odds[best - 1] if best else odds[0] - 1.0
    return float((refused.sum() + gain[best]) / len(odds)), float(threshold)


def _percent(values: np.ndarray) -> float:
    return 100.0 * float(values.mean()) if len(values) else float("nan")
