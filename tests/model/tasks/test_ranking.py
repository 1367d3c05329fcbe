"""Ranking: groups of a question, mined negatives, rows, and how scores become predictions."""

import numpy as np
import pytest
from tasks_toy import make_task, readable, wordpiece

from model.tasks.columns import Examples
from model.tasks.kinds.ranking import (
    build,
    decide_ranking,
    lone_threshold,
    question_groups,
    ranking_columns,
    training_groups,
    training_pairs,
)
from model.tasks.kinds.wsc import decide_pronouns, pronoun_columns
from model.tasks.mining import mine_sentences
from model.tasks.units import shares
from study.errors import StudyError

TASK = make_task("ranking", name="qnli")


def pairs(rows: list[tuple[str, str, int]], labelled: bool = True) -> Examples:
    """Examples from (question, sentence, label)."""
    questions, sentences, labels = (list(column) for column in zip(*rows, strict=True))
    ids = [str(number) for number in range(len(rows))]
    return Examples(ids, [questions, sentences], labels=np.array(labels) if labelled else None)


ROWS = [
    ("who sat ?", "a mat", 1),
    ("where ?", "on a mat", 0),
    ("who sat ?", "the cat", 0),
    ("who ?", "in", 1),
    ("who sat ?", "the mat", 1),
    ("on ?", "cat", 0),
    ("on ?", "dog", 0),
]


def test_rows_of_a_question_form_a_group():
    groups = question_groups([question for question, *_ in ROWS])
    assert groups == [[0, 2, 4], [1], [3], [5, 6]]
    kept, left_out = training_groups(groups, np.array([label for *_, label in ROWS]))
    assert kept == [[2, 0, 4], [1]]  # the answer first
    assert left_out == {"no_answer": 1, "several_answers": 1}


def test_training_leaves_out_what_has_no_one_answer_or_no_rival():
    found, figures = training_pairs(pairs(ROWS), mined=0)
    assert found == [[(2, 2), (2, 0), (2, 4)]]
    assert figures == {
        "questions": 4,
        "questions_kept": 1,
        "left_out": {"no_answer": 1, "several_answers": 1, "no_other_sentence": 1},
        "mined": 0,
    }


def test_negatives_are_mined_for_lonely_answers_only():
    found, figures = training_pairs(pairs(ROWS), mined=2)
    assert found[0] == [(2, 2), (2, 0), (2, 4)]
    assert [pair[0] for pair in found[1]] == [1, 1, 1]
    assert found[1][0] == (1, 1) and 1 not in [sentence for _, sentence in found[1][1:]]
    assert figures["mined"] == 2 and figures["questions_kept"] == 2


def test_mined_sentences_share_the_rarest_words():
    sentences = ["the cat sat", "the blue dog", "a blue cat", "the dog ran", "the cat sat"]
    questions = ["Which blue cat sat?", "the dog?", "who?", "Which blue cat sat?", "zzz"]
    # cat and blue stand in two of four different sentences, sat in one, which is its own.
    assert mine_sentences(questions, sentences, [0], 2) == [[2, 1]]
    assert mine_sentences(questions, sentences, [4], 2) == [[1, 2]]  # nothing shared: what follows
    assert mine_sentences(questions, sentences, [1], 9) == [[3, 0, 2]]
    assert mine_sentences(questions, sentences, [0, 1], 0) == [[], []]


def test_rows_are_pairs_in_the_order_of_the_groups():
    vocabulary = wordpiece()
    features, figures = build(pairs(ROWS), vocabulary, TASK, 16, train=False)
    assert features.arrays["groups"].tolist() == [0, 3, 4, 5, 7]
    assert features.arrays["order"].tolist() == [0, 2, 4, 1, 3, 5, 6]
    assert readable(vocabulary, features, 1) == [
        "<s>", "who", "sat", "?", "</s>", "the", "cat", "</s>"
    ]  # fmt: skip
    assert features.arrays["boundaries"][1] == 5
    assert features.arrays["labels"].tolist() == [1, 0, 0, 1, 1, 0, 0]  # in the file's order
    assert figures["questions"] == 4 and figures["alone"] == 2 and figures["rows"] == 7
    hidden, _ = build(pairs(ROWS, labelled=False), vocabulary, TASK, 16, train=False)
    assert "labels" not in hidden.arrays
    train, figures = build(pairs(ROWS), vocabulary, TASK, 7, train=True)
    assert [readable(vocabulary, train, row)[-3:] for row in range(3)] == [
        ["the", "cat", "</s>"], ["a", "mat", "</s>"], ["the", "mat", "</s>"]
    ]  # fmt: skip
    assert figures["truncated"] == 3  # three and two tokens in a room of four


def test_a_split_without_a_pair_is_refused():
    with pytest.raises(StudyError, match="task qnli: no question has one answer and another sent"):
        build(pairs(ROWS[1:2]), wordpiece(), TASK, 16, train=True)


def test_shares_are_softmax_within_the_unit():
    found = shares(np.log([1.0, 3.0, 5.0, 2.0, 2.0]) + 1e3, np.array([0, 2, 3, 5]))
    assert found == pytest.approx([0.25, 0.75, 1.0, 0.5, 0.5])


def test_the_highest_sentence_of_a_question_answers():
    groups = np.array([0, 3, 4, 5, 7])
    scores = np.array([1.0, 3.0, 2.0, 2.0, 1.0, 4.0, 0.0])
    # Best 3 and 4, others 1, 2 and 0: midway between 3.5 and 1.
    assert lone_threshold(scores, groups) == pytest.approx(2.25)
    found = ranking_columns(scores, groups)
    assert found["question"].tolist() == [0, 0, 0, 1, 2, 3, 3]
    assert found["prediction"].tolist() == [1, 0, 1, 1, 1, 0, 1]
    alone = 1 / (1 + np.exp(0.25)), 1 / (1 + np.exp(1.25))
    assert found["probability"][3:5] == pytest.approx(alone)
    assert found["probability"][:3].sum() == pytest.approx(1)


def test_without_questions_of_several_rows_the_median_decides():
    scores, groups = np.array([5.0, 1.0, 3.0, 9.0]), np.arange(5)
    assert lone_threshold(scores, groups) == 4.0
    assert ranking_columns(scores, groups)["prediction"].tolist() == [0, 1, 1, 0]


def test_ranking_decides_in_any_order_and_the_first_among_equals():
    question = np.array([1, 0, 1, 0, 2, 3])
    probability = np.array([0.5, 0.2, 0.5, 0.8, 0.5, 0.49])
    assert decide_ranking(probability, question).tolist() == [0, 1, 1, 0, 0, 1]


def test_a_query_is_true_if_it_scores_at_least_as_high_as_every_candidate():
    scores, groups = np.array([-1.0, -2.0, -3.0, -2.0, -1.0, -5.0, -1.0, -1.0]), [0, 3, 5, 6, 8]
    found = pronoun_columns(scores, np.array(groups))
    assert found["margin"].tolist() == [1.0, -1.0, np.inf, 0.0]
    assert found["prediction"].tolist() == [1, 0, 1, 1]
    powers = np.exp([-1.0, -2.0, -3.0])
    assert found["probability"][0] == pytest.approx(powers[0] / powers.sum())
    assert found["probability"][1:] == pytest.approx([1 / (1 + np.e), 1.0, 0.5])
    assert decide_pronouns(np.array([-0.1, 0.0, np.inf])).tolist() == [0, 1, 1]
