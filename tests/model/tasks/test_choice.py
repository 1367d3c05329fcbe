"""RACE's rows, literally."""

import numpy as np
import pytest
from tasks_toy import make_task, readable, wordpiece

from model.tasks.columns import Examples
from model.tasks.kinds.choice import build, question_with_option


@pytest.mark.parametrize(
    ("question", "option", "text"),
    [
        ("The  cat _ .", "sat", "The cat sat ."),
        ("_ sat on _", "the cat", "the cat sat on the cat"),
        ("A ____ sat", "dog\t", "A dog sat"),
        ("Who sat?\n", " the \u00a0cat", "Who sat? the cat"),
        ("Pay _", r"\1 \g<0>", r"Pay \1 \g<0>"),
    ],
)
def test_gaps_are_filled_and_white_space_is_squeezed(question, option, text):
    assert question_with_option(question, option) == text


def race(question: str, passage: str) -> Examples:
    options = ["cat", "dog", "the mat", "a"]
    return Examples(["middle1"], [[question], [options], [passage]], labels=np.array([1]))


def test_four_rows_per_question():
    vocabulary = wordpiece()
    task = make_task("choice", question_length=3, separators=2)
    examples = race("the _ sat", "the cat\n\nsat on a mat .")
    features, figures = build(examples, vocabulary, task, 12, train=False)
    assert [readable(vocabulary, features, row) for row in range(4)] == [
        ["<s>", "the", "cat", "sat", "</s>", "</s>", "the", "cat", "sat", "on", "a", "</s>"],
        ["<s>", "the", "dog", "sat", "</s>", "</s>", "the", "cat", "sat", "on", "a", "</s>"],
        ["<s>", "the", "the", "mat", "</s>", "</s>", "the", "cat", "sat", "on", "a", "</s>"],
        ["<s>", "the", "a", "sat", "</s>", "</s>", "the", "cat", "sat", "on", "a", "</s>"],
    ]
    assert features.arrays["boundaries"].tolist() == [6, 6, 6, 6]
    assert features.arrays["labels"].tolist() == [1]
    assert figures["questions_truncated"] == 1  # "the the mat sat" has four tokens
    assert figures["truncated"] == 4  # the passage has seven tokens, five fit


def test_a_short_question_side_leaves_its_room_to_the_passage():
    vocabulary = wordpiece()
    task = make_task("choice", question_length=6)
    features, _ = build(race("who ?", "the cat sat on a mat"), vocabulary, task, 12, train=False)
    assert readable(vocabulary, features, 0) == [
        "<s>", "who", "?", "cat", "</s>", "the", "cat", "sat", "on", "a", "mat", "</s>"
    ]  # fmt: skip
    assert readable(vocabulary, features, 2)[-4:] == ["sat", "on", "a", "</s>"]
