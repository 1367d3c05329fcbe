"""Rows of one and two texts, literally; cutting; saving and memory-mapping."""

import finetune_toy
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks_toy import byte_bpe, readable, sentences, wordpiece

from model.tasks.features import Features, build_texts, check_length, pair_lengths
from study.errors import StudyError

TASK = {"name": "toy", "kind": "classification", "labels": 2, "separators": 1}


def test_one_text():
    vocabulary = wordpiece()
    features, figures = build_texts(
        sentences([["The cats sat", "A"]], [1, 1]), vocabulary, TASK, 16
    )
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
    task = TASK | {"separators": separators}
    examples = sentences([["cat"], ["dog sat"]], [0])
    features, _ = build_texts(examples, vocabulary, task, 16)
    assert readable(vocabulary, features, 0) == row
    assert features.arrays["boundaries"].tolist() == [boundary]


def test_byte_level_rows_start_words_with_their_blank():
    vocabulary = byte_bpe(["cat sat", "sat cat"])
    features, _ = build_texts(sentences([["cat sat"], ["sat cat"]], [0]), vocabulary, TASK, 16)
    assert readable(vocabulary, features, 0) == [
        "<s>", "cat", "Ġsat", "</s>", "sat", "Ġcat", "</s>"
    ]  # fmt: skip


def test_long_texts_are_cut_at_the_end_and_counted():
    vocabulary = wordpiece()
    one, figures = build_texts(sentences([["the cat sat on a mat"]], [0]), vocabulary, TASK, 5)
    assert readable(vocabulary, one, 0) == ["<s>", "the", "cat", "sat", "</s>"]
    assert figures["truncated"] == 1
    two, _ = build_texts(sentences([["the cat sat on"], ["a dog"]], [0]), vocabulary, TASK, 8)
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
    features, figures = build_texts(examples, wordpiece(), TASK | {"kind": "regression"}, 16)
    assert features.arrays["labels"].tolist() == [2.5]
    assert features.arrays["labels"].dtype == np.float32
    assert "majority" not in figures


def test_features_come_back_memory_mapped(tmp_path):
    features, _ = build_texts(sentences([["cat", "dog sat"]], [0, 1]), wordpiece(), TASK, 16)
    names = features.save(tmp_path)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    again = Features.open({name: tmp_path / name for name in names})
    assert again.ids == ["0", "1"]
    assert again.lengths.tolist() == [3, 4]
    for name, array in features.arrays.items():
        assert np.array_equal(again.arrays[name], array)
        assert isinstance(again.arrays[name], np.memmap)


@pytest.mark.parametrize(
    ("change", "length", "message"),
    [
        ({"separators": 3}, 64, "separators: expected 1 or 2, found 3"),
        ({}, 4, "length: 4 tokens are too few, it needs 5 or more"),
        ({"kind": "span", "question_length": 64}, 67, "67 tokens are too few, it needs 68"),
        ({"kind": "choice", "question_length": 128, "separators": 2}, 128, "it needs 133 or more"),
    ],
)
def test_lengths_without_room_are_refused(change, length, message):
    with pytest.raises(StudyError, match=message):
        check_length(TASK | change, length)


def test_a_bad_row_of_one_split_publishes_nothing(tmp_path, monkeypatch):
    make, task = finetune_toy.TASKS["squad20"]

    def rows(draw, count):
        found = make(draw, count)
        if count == 96:  # the development set
            answers = found["answers"].to_pylist()
            answers[7] = {"text": ["the"], "answer_start": [-3]}
            found["answers"] = pa.array(answers)
        return found

    monkeypatch.setitem(finetune_toy.TASKS, "squad20", (rows, task))
    where = r"validation\.parquet: column answers: row 7: question q7: no 'the' at character -3$"
    with pytest.raises(StudyError, match=where):
        finetune_toy.Study(tmp_path, "squad20")
    assert not (tmp_path / "features" / "manifest.json").exists()
