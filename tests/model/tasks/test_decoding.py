"""From span logits to answers: literal cases, and the search against trying every span."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.tasks.features import Features
from model.tasks.scoring import log_normaliser, log_sigmoid
from model.tasks.windows import WindowSpans, answer_texts, best_spans, null_log_odds


def row(*values):
    return np.array([values], dtype=np.float32)


def decode(start, end, may_start, may_end, answer_length):
    found = best_spans(
        start, end, np.asarray(may_start, bool), np.asarray(may_end, bool), answer_length
    )
    return found.score[0], found.first[0], found.last[0]


def test_the_end_does_not_precede_the_start():
    start, end, free = row(0, 0, 5, 0), row(0, 9, 1, 2), np.ones((1, 4))
    assert decode(start, end, free, free, 4) == (9, 0, 1)
    assert decode(start, row(0, 6, 1, 2), free, free, 4) == (7, 2, 3)


def test_an_answer_has_at_most_so_many_tokens():
    start, end, free = row(5, 0, 0, 1), row(0, 1, 0, 9), np.ones((1, 4))
    assert decode(start, end, free, free, 4) == (14, 0, 3)
    assert decode(start, end, free, free, 3) == (10, 3, 3)
    assert decode(start, end, free, free, 1) == (10, 3, 3)


def test_only_permitted_tokens_start_and_end():
    start, end = row(9, 3, 8, 1), row(9, 1, 8, 2)
    assert decode(start, end, [[0, 1, 0, 1]], [[0, 1, 1, 1]], 4) == (11, 1, 2)
    assert decode(start, end, [[0, 0, 0, 0]], [[0, 1, 1, 1]], 4)[0] == -np.inf


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 14))
def test_no_permitted_span_is_better(seed, tokens, answer_length):
    draw = np.random.default_rng(seed)
    start, end = draw.normal(size=(2, 3, tokens)).astype(np.float32)
    may_start, may_end = draw.random((2, 3, tokens)) < 0.6
    found = best_spans(start, end, may_start, may_end, answer_length)
    for window in range(3):
        scores = [
            float(start[window, a]) + float(end[window, b])
            for a in np.flatnonzero(may_start[window])
            for b in np.flatnonzero(may_end[window])
            if a <= b < a + answer_length
        ]
        assert found.score[window] == max(scores, default=-np.inf)


def test_the_best_window_answers_and_the_earlier_one_wins_ties():
    characters = np.array([[0, 0], [0, 3], [4, 7], [0, 0], [4, 7], [0, 0], [0, 5]], dtype=np.int32)
    features = Features(
        {
            "questions": np.array([0, 0, 1], dtype=np.int32),
            "offsets": np.array([0, 3, 5, 7]),
            "characters": characters,
        },
        ids=["p", "q"],
        columns={"context": pa.array(["The cat", "Where"])},
    )
    first, last = np.array([1, 1, 1]), np.array([2, 1, 1])
    texts, scores = answer_texts(features, WindowSpans(np.array([1.0, 2.0, 0.0]), first, last))
    assert (texts, scores.tolist()) == (["cat", "Where"], [2, 0])
    texts, _ = answer_texts(features, WindowSpans(np.array([1.0, 1.0, -np.inf]), first, last))
    assert texts == ["The cat", "Where"]


def test_one_window_that_answers_is_enough():
    features = Features({"questions": np.array([0, 0, 1], dtype=np.int32)})
    odds = null_log_odds(features, np.array([-3.0, 2.0, -1.0], dtype=np.float32))
    assert odds.tolist() == [-2, 1]


def test_logarithms_do_not_overflow():
    assert log_normaliser(row(1000, 1000, -1e9))[0] == pytest.approx(1000 + np.log(2))
    assert log_sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [-1000, -np.log(2), 0]
