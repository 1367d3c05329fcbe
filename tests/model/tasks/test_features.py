"""Rows of one and two texts, literally; cutting; saving and memory-mapping."""

import finetune_toy
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks_toy import byte_bpe, make_task, readable, sentences, wordpiece

from model.tasks.features import Features, pair_lengths
from model.tasks.kinds import regression
from model.tasks.kinds.classification import build
from study.errors import StudyError
from study.recipes import parse_recipe

TASK = make_task("classification")


def test_one_text():
    vocabulary = wordpiece()
    examples = sentences([["The cats sat", "A"]], [1, 1])
    features, figures = build(examples, vocabulary, TASK, 16, train=False)
    assert readable(vocabulary, features, 0) == ["<s>", "the", "cat", "##s", "sat", "</s>"]
    assert readable(vocabulary, features, 1) == ["<s>", "a", "</s>"]
    assert features.arrays["tokens"].tolist() == [0, 4, 5, 10, 6, 2, 0, 8, 2]
    assert features.arrays["tokens"].dtype == np.uint16
    assert features.arrays["offsets"].tolist() == [0, 6, 9]
    assert features.arrays["boundaries"].tolist() == [6, 3]
    assert figures == {
        "examples": 2,
        "rows": 2,
        "tokens": 9,
        "truncated": 0,
        "labels": {"1": 2},
        "majority": 100.0,
    }


@pytest.mark.parametrize(
    ("separators", "row", "boundary"),
    [
        (1, ["<s>", "cat", "</s>", "dog", "sat", "</s>"], 3),
        (2, ["<s>", "cat", "</s>", "</s>", "dog", "sat", "</s>"], 4),
    ],
)
def test_two_texts(separators, row, boundary):
    vocabulary = wordpiece()
    examples = sentences([["cat"], ["dog sat"]], [0])
    features, _ = build(
        examples, vocabulary, make_task("classification", separators=separators), 16, train=False
    )
    assert readable(vocabulary, features, 0) == row
    assert features.arrays["boundaries"].tolist() == [boundary]


def test_byte_level_rows_start_words_with_their_blank():
    vocabulary = byte_bpe(["cat sat", "sat cat"])
    examples = sentences([["cat sat"], ["sat cat"]], [0])
    features, _ = build(examples, vocabulary, TASK, 16, train=False)
    assert readable(vocabulary, features, 0) == [
        "<s>", "cat", "Ġsat", "</s>", "sat", "Ġcat", "</s>"
    ]  # fmt: skip


def test_long_texts_are_cut_at_the_end_and_counted():
    vocabulary = wordpiece()
    examples = sentences([["the cat sat on a mat"]], [0])
    one, figures = build(examples, vocabulary, TASK, 5, train=False)
    assert readable(vocabulary, one, 0) == ["<s>", "the", "cat", "sat", "</s>"]
    assert figures["truncated"] == 1
    examples = sentences([["the cat sat on"], ["a dog"]], [0])
    two, _ = build(examples, vocabulary, TASK, 8, train=False)
    assert readable(vocabulary, two, 0) == ["<s>", "the", "cat", "sat", "</s>", "a", "dog", "</s>"]


@given(st.integers(0, 40), st.integers(0, 40), st.integers(2, 40))
def test_pairs_lose_tokens_of_the_longer_text(first, second, room):
    kept = pair_lengths(first, second, room)
    a, b = first, second
    while a + b > room:
        a, b = (a - 1, b) if a > b else (a, b - 1)
    assert kept == (a, b)


def test_regression_keeps_values():
    examples = sentences([["cat"], ["dog"]], [2.5])
    features, figures = regression.build(examples, wordpiece(), TASK, 16, train=False)
    assert features.arrays["labels"].tolist() == [2.5]
    assert features.arrays["labels"].dtype == np.float32
    assert "majority" not in figures


def test_features_come_back_memory_mapped(tmp_path):
    examples = sentences([["cat", "dog sat"]], [0, 1])
    features, _ = build(examples, wordpiece(), TASK, 16, train=False)
    names = features.save(tmp_path)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    again = Features.open({name: tmp_path / name for name in names})
    assert again.ids == ["0", "1"]
    assert again.lengths.tolist() == [3, 4]
    for name, array in features.arrays.items():
        assert np.array_equal(again.arrays[name], array)
        assert isinstance(again.arrays[name], np.memmap)


TEXT = {"kind": "classification", "texts": ["a"], "label": "b", "labels": 2, "metrics": ["f1"]}
SPAN = {"kind": "span", "stride": 8, "answer_length": 9, "answerability": True, "metrics": ["f1"]}
CHOICE = {"kind": "choice", "metrics": ["accuracy"]}


@pytest.mark.parametrize(
    ("fields", "length", "message"),
    [
        (TEXT | {"separators": 3}, 64, "task.separators: input should be 1 or 2, found 3"),
        (TEXT, 4, "length: 4 tokens are too few, it needs 5 or more"),
        (SPAN | {"question_length": 64}, 67, "67 tokens are too few, it needs 68 or more"),
        (CHOICE | {"question_length": 128, "separators": 2}, 128, "it needs 133 or more"),
        (TEXT | {"kind": "rating"}, 64, "task.kind: input should be 'classification', 'reg"),
        (TEXT | {"texts": ["a", "b", "c"]}, 64, "task.texts: list should have at most 2 items"),
        (TEXT | {"kind": "regression", "scale": 5}, 64, "kind regression has no labels"),
        ({"kind": "ranking", "mined": 0, "metrics": ["accuracy"]}, 64, "ranking needs label"),
    ],
)
def test_recipes_that_cannot_be_are_refused(fields, length, message):
    fields = {"name": "toy", "separators": 1, "train": "train", "dev": "dev", **fields}
    keys = {"source": "a", "vocabulary": "b"}
    recipe = {"stage": "features", "version": 1, **keys, "task": fields, "length": length}
    with pytest.raises(StudyError, match=message):
        parse_recipe(recipe, "features")


def test_a_bad_row_of_one_split_publishes_nothing(tmp_path, monkeypatch):
    make, fields = finetune_toy.TASKS["squad20"]

    def rows(draw, count):
        found = make(draw, count)
        if count == 96:  # the development set
            answers = found["answers"].to_pylist()
            answers[7] = {"text": ["the"], "answer_start": [-3]}
            found["answers"] = pa.array(answers)
        return found

    monkeypatch.setitem(finetune_toy.TASKS, "squad20", (rows, fields))
    where = r"validation\.parquet: column answers: row 7: question q7: no 'the' at character -3$"
    with pytest.raises(StudyError, match=where):
        finetune_toy.Study(tmp_path, "squad20")
    assert not (tmp_path / "features" / "manifest.json").exists()
