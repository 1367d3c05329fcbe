"""SQuAD's exact match and F1 against an independent implementation of the official definition."""

import random
import string
import unicodedata

import numpy as np
import pytest

from model.tasks.squad_metric import (
    best_threshold,
    exact_match,
    normalise,
    score_answers,
    squad11_metrics,
    squad20_metrics,
    token_f1,
)


def slow_normalise(text: str) -> list[str]:
    """Words of a text, character by character, without regular expressions."""
    kept = "".join(c for c in text.lower() if c not in string.punctuation)
    runs, current = [], ""
    for character in kept + " ":
        if character.isalnum() or character == "_":
            current += character
            continue
        runs += [" " if current in ("a", "an", "the") else current, character]
        current = ""
    return "".join(runs).split()


def slow_f1(prediction: str, gold: str, empty_matches: bool) -> float:
    predicted, expected = slow_normalise(prediction), slow_normalise(gold)
    if empty_matches and (not predicted or not expected):
        return float(predicted == expected)
    rest, shared = list(expected), 0
    for word in predicted:
        if word in rest:
            rest.remove(word)
            shared += 1
    if not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(expected)
    return 2 * precision * recall / (precision + recall)


CRAFTED = [
    ("The Cat", "cat"), ("a cat.", "Cat"), ("an  apple\tpie", "apple pie"), ("U.S.", "US"),
    ("the", "a"), ("", "the"), ("", ""), ("24–10", "24-10"), ("24-10", "2410"), ("it's", "its"),
    ("theatre", "atre"), ("cat cat dog", "cat dog dog"), ("A-team", "team"), ("the-end", "theend"),
    ("Müller's", "müllers"), ("$5 million", "5 million"), ("New York City", "York"), ("x", "y"),
    ("a\u00a0b", "b"), ("“the cat”", "“cat”"), ("an an an", "an"), ("the’s", "’s"),
]  # fmt: skip
PIECES = [
    "the",
    "The",
    "a",
    "an",
    "cat",
    "Cat",
    "dog",
    "U.S.",
    "5",
    "é",
    "-",
    ",",
    "  ",
    "\n",
    "”",
    "",
]


def generated(count: int) -> list[tuple[str, str]]:
    draw = random.Random(0)

    def text():
        joint = draw.choice([" ", " ", "", "-"])
        return joint.join(draw.choice(PIECES) for _ in range(draw.randint(0, 6)))

    return [(text(), text()) for _ in range(count)]


@pytest.mark.parametrize("empty_matches", [False, True])
def test_200_pairs_against_the_independent_implementation(empty_matches):
    pairs = CRAFTED + generated(200 - len(CRAFTED))
    assert len(pairs) == 200
    for prediction, gold in pairs:
        assert normalise(prediction).split() == slow_normalise(prediction), prediction
        assert exact_match(prediction, gold) == (
            slow_normalise(prediction) == slow_normalise(gold)
        ), (prediction, gold)
        assert token_f1(prediction, gold, empty_matches=empty_matches) == pytest.approx(
            slow_f1(prediction, gold, empty_matches)
        ), (prediction, gold)


GOLDS = [
    "Denver Broncos", "the Beyoncé", "1,500 m²", "A", "24–10", "U.S. Air Force", "İstanbul",
    "Straße 5", "New York New York", "",
]  # fmt: skip
WAYS = [
    lambda text: text,
    str.upper,
    str.title,
    lambda text: f"The {text}",
    lambda text: f"a {text}",
    lambda text: f"{text} the",
    lambda text: f" {text}.\n",
    lambda text: f"“{text}”",
    lambda text: f"({text})",
    lambda text: f"{text}'s",
    lambda text: text.replace(" ", "  "),
    lambda text: text.replace(" ", "-"),
    lambda text: text.replace(" ", "\u00a0"),
    lambda text: f"{text} {text}",
    lambda text: " ".join(text.split()[1:]),
    lambda text: " ".join(reversed(text.split())),
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: f"{text} in 1990",
    lambda text: "an",
    lambda text: "",
]


def slow_scores(prediction: str, golds: list[str], no_answer: bool) -> tuple[float, float]:
    """EM and F1 of a question as the official programs define them, gold by gold."""
    if no_answer:
        golds = [gold for gold in golds if slow_normalise(gold)] or [""]
    em = [slow_normalise(prediction) == slow_normalise(gold) for gold in golds]
    return float(any(em)), max(slow_f1(prediction, gold, no_answer) for gold in golds)


@pytest.mark.parametrize("no_answer", [False, True])
def test_200_ways_to_write_an_answer_against_the_independent_implementation(no_answer):
    """Alone, beside another gold answer and, in 2.0, where there is none."""
    pairs = [(way(gold), gold) for gold in GOLDS for way in WAYS]
    assert len(pairs) == 200
    predictions, golds = [], []
    for prediction, gold in pairs:
        more = [[gold], [gold, "York"], ["an", gold]] + ([[]] if no_answer else [])
        predictions += [prediction] * len(more)
        golds += more
    scores = score_answers(predictions, golds, no_answer=no_answer)
    for prediction, answers, em, f1 in zip(predictions, golds, scores.em, scores.f1, strict=True):
        expected = slow_scores(prediction, answers, no_answer)
        assert (em, f1) == pytest.approx(expected), (prediction, answers)


def test_the_best_gold_answer_counts():
    metrics = squad11_metrics(["the big cat", "dog"], [["cat", "big cat"], ["cats and dogs", "x"]])
    assert metrics == {"em": 50.0, "f1": 50.0}
    assert token_f1("big cat", "cat", empty_matches=False) == pytest.approx(2 / 3)


def test_no_answer_is_right_only_without_golds():
    scores = score_answers(["", "", "cat", "cat"], [[], ["cat"], [], ["cat"]], no_answer=True)
    assert scores.em.tolist() == [1, 0, 0, 1]
    assert scores.f1.tolist() == [1, 0, 0, 1]
    assert scores.has_answer.tolist() == [False, True, False, True]


def test_a_gold_that_normalises_to_nothing():
    assert score_answers([""], [["the"]], no_answer=True).f1.tolist() == [1]
    assert score_answers([""], [["the", "cat"]], no_answer=True).f1.tolist() == [0]
    assert score_answers(["a"], [["the"]], no_answer=False).em.tolist() == [1]
    assert score_answers(["a"], [["the"]], no_answer=False).f1.tolist() == [0]


def official_scores(predictions: list[str], golds: list[list[str]]) -> dict[str, float]:
    """The official evaluation of a file of answers, re-derived: its means over all questions, over
    those with gold answers and over those without, in percent; NaN over none."""
    scores = [slow_scores(*pair, no_answer=True) for pair in zip(predictions, golds, strict=True)]
    parts = {
        "": scores,
        "has_answer_": [score for score, gold in zip(scores, golds, strict=True) if gold],
        "no_answer_": [score for score, gold in zip(scores, golds, strict=True) if not gold],
    }
    return {
        f"{part}{name}": 100 * sum(s[i] for s in some) / len(some) if some else float("nan")
        for part, some in parts.items()
        for i, name in enumerate(("em", "f1"))
    }


def test_refusing_is_right_where_no_gold_is_left_after_normalisation():
    metrics = squad20_metrics(["cat"], np.array([1.0]), [["the"]])
    assert metrics["em"] == metrics["f1"] == metrics["best_em"] == metrics["best_f1"] == 100
    assert metrics["has_answer_em"] == metrics["has_answer_f1"] == 100
    assert squad20_metrics(["cat"], np.array([-1.0]), [["the"]])["f1"] == 0
    assert squad20_metrics(["an"], np.array([-1.0]), [["the"]])["f1"] == 100


DEGENERATE = ["", "the", "cat", "...", "a cat", "\u200e"]


def test_all_degenerate_questions_against_the_official_evaluation():
    """Every prediction with up to two gold answers of each kind, answered and refused."""
    golds = [[], *([g] for g in DEGENERATE), *([g, h] for g in DEGENERATE for h in DEGENERATE)]
    for answers in golds:
        for prediction in DEGENERATE:
            for odds in (-1.0, 0.0, 1.0):
                found = squad20_metrics([prediction], np.array([odds]), [answers])
                given = "" if odds > 0 else prediction
                case = (prediction, odds, answers)
                expected = official_scores([given], [answers])
                assert {name: found[name] for name in expected} == pytest.approx(
                    expected, nan_ok=True
                ), case
                either = [official_scores([one], [answers]) for one in ("", prediction)]
                assert found["best_em"] == max(score["em"] for score in either), case
                assert found["best_f1"] == pytest.approx(max(s["f1"] for s in either)), case


@pytest.mark.parametrize("seed", range(5))
def test_the_best_threshold_is_that_of_the_best_official_file(seed):
    draw = random.Random(seed)
    golds = [draw.choices(DEGENERATE, k=draw.randint(0, 3)) for _ in range(12)]
    spans = draw.choices(DEGENERATE, k=12)
    odds = np.array([draw.randint(-3, 3) for _ in range(12)], dtype=float)
    found = squad20_metrics(spans, odds, golds)
    files = [
        official_scores(["" if o > t else s for s, o in zip(spans, odds, strict=True)], golds)
        for t in (odds.min() - 1, *odds, 0.0)
    ]
    assert found["best_em"] == pytest.approx(max(file["em"] for file in files))
    assert found["best_f1"] == pytest.approx(max(file["f1"] for file in files))


def test_squad20_parts_threshold_0_and_best_threshold():
    spans = ["cat", "dog", "cat", "dog"]
    golds = [["cat"], ["dog house"], [], []]
    metrics = squad20_metrics(spans, np.array([-2.0, 1.0, -1.0, 3.0]), golds)
    assert metrics == {
        "em": 50.0,  # q0 answered, q3 refused
        "has_answer_em": 50.0,
        "no_answer_em": 50.0,
        "best_em": 75.0,  # answer q0 only
        "f1": 50.0,
        "has_answer_f1": 50.0,
        "no_answer_f1": 50.0,
        "best_f1": 75.0,
        "best_threshold": -2.0,
    }


def test_best_threshold_never_splits_equal_log_odds():
    best, threshold = best_threshold(
        np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 1.0]), np.array([0.5, 0.5, 2.0])
    )
    assert best == pytest.approx(2 / 3)
    assert threshold == -0.5  # refusing all does as well as answering the first two


@pytest.mark.parametrize("seed", range(3))
def test_best_threshold_is_the_best_of_all(seed):
    draw = np.random.default_rng(seed)
    answered, refused = draw.random(30), draw.integers(0, 2, 30).astype(float)
    odds = draw.integers(-5, 5, 30) / 2
    candidates = [odds.min() - 1, *odds]
    scores = [np.where(odds <= c, answered, refused).mean() for c in candidates]
    best, threshold = best_threshold(answered, refused, odds)
    assert best == pytest.approx(max(scores))
    assert np.where(odds <= threshold, answered, refused).mean() == pytest.approx(best)
