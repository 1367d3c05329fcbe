"""Reading tasks: columns checked, subsets the same for everyone, ids unique."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.tasks.data import read_examples
from study.errors import StudyError

PAIR = {
    "name": "mnli",
    "kind": "classification",
    "texts": ["a", "b"],
    "label": "label",
    "labels": 3,
}
SPAN = {"name": "squad", "kind": "span", "answerability": True}
CHOICE = {"name": "race", "kind": "choice"}


def write(folder, name="train.parquet", **columns):
    path = folder / name
    pq.write_table(pa.table(columns), path)
    return path


def test_a_split_of_two_files(tmp_path):
    paths = [
        write(tmp_path, "0.parquet", a=["x"], b=["y"], label=[2], idx=[7], other=[None]),
        write(tmp_path, "1.parquet", a=["z"], b=["w"], label=[0], idx=[9], other=[None]),
    ]
    examples = read_examples(paths, PAIR, None)
    assert examples.ids == ["7", "9"]
    assert examples.texts == [["x", "z"], ["y", "w"]]
    assert examples.labels.tolist() == [2, 0]


def test_a_subset_is_fixed_in_file_order_and_nested(tmp_path):
    rows = list(range(100))
    path = write(tmp_path, a=[str(i) for i in rows], b=["y"] * 100, label=[0] * 100, idx=rows)
    small, large = (read_examples([path], PAIR, limit).ids for limit in (10, 40))
    assert len(small) == 10 and len(large) == 40
    assert small == read_examples([path], PAIR, 10).ids
    assert set(small) < set(large)
    assert small == sorted(small, key=int) and small != [str(i) for i in range(10)]
    assert len(read_examples([path], PAIR, 1000)) == 100


def test_answers_lose_surrounding_blanks(tmp_path):
    answers = [{"text": [" cat", "sat"], "answer_start": [3, 8]}, {"text": [], "answer_start": []}]
    path = write(
        tmp_path, id=["p", "q"], question=["?", "?"], context=["The cat sat"] * 2, answers=answers
    )
    assert read_examples([path], SPAN, None).answers == [[("cat", 4), ("sat", 8)], []]


def test_questions_of_one_passage_get_ids_of_their_own(tmp_path):
    path = write(
        tmp_path,
        example_id=["high1", "high1", "middle2"],
        article=["t"] * 3,
        question=["q"] * 3,
        options=[list("wxyz")] * 3,
        answer=["A", "D", "B"],
    )
    examples = read_examples([path], CHOICE, None)
    assert examples.ids == ["high1", "high1#1", "middle2"]
    assert examples.labels.tolist() == [0, 3, 1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": ["x"], "label": [0]}, "no column b; it has a, label"),
        ({"a": ["x"], "b": [1], "label": [0]}, "column b: expected text, found int64"),
        ({"a": ["x"], "b": pa.array([None], pa.string()), "label": [0]}, "column b: 1 empty cells"),
        ({"a": ["x"], "b": ["y"], "label": [3]}, "column label: row 0: 3 is not 0 to 2"),
        ({"a": ["x"], "b": ["y"], "label": [-1]}, "column label: row 0: -1 is not 0 to 2"),
        ({"a": ["x"], "b": ["y"], "label": ["no"]}, "expected whole numbers, found string"),
        ({"a": pa.array([], pa.string()), "b": pa.array([], pa.string()), "label": []}, "no rows"),
    ],
)
def test_bad_columns_are_named(tmp_path, columns, message):
    path = write(tmp_path, **columns)
    with pytest.raises(StudyError, match=message) as error:
        read_examples([path], PAIR, None)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"text": ["dog"], "answer_start": [4]}, "question p: no 'dog' at character 4"),
        ({"text": [" "], "answer_start": [3]}, "question p: no ' ' at character 3"),
        ({"text": [], "answer_start": []}, "question p: no answer, though answerability is false"),
    ],
)
def test_answers_must_stand_in_their_context(tmp_path, answers, message):
    kind = pa.struct({"text": pa.list_(pa.string()), "answer_start": pa.list_(pa.int32())})
    cells = pa.array([answers], kind)
    path = write(tmp_path, id=["p"], question=["?"], context=["The cat sat"], answers=cells)
    with pytest.raises(StudyError, match=message):
        read_examples([path], SPAN | {"answerability": False}, None)


@pytest.mark.parametrize(
    ("options", "answer", "message"),
    [
        (list("wxy"), "A", "row 0: expected a list of 4 options"),
        (list("wxyz"), "E", "row 0: 'E' is not one of A, B, C, D"),
    ],
)
def test_choices_must_be_four_letters(tmp_path, options, answer, message):
    path = write(tmp_path, article=["t"], question=["q"], options=[options], answer=[answer])
    with pytest.raises(StudyError, match=message):
        read_examples([path], CHOICE, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "rating"}, "kind: rating is none of"),
        ({"texts": ["a", "b", "c"]}, "texts: expected 1 or 2 columns, found 3"),
        ({"label": None}, "label: missing, classification needs it"),
    ],
)
def test_bad_tasks_are_named(tmp_path, change, message):
    with pytest.raises(StudyError, match=f"task mnli: {message}"):
        read_examples([tmp_path / "none.parquet"], PAIR | change, None)


def test_what_is_not_parquet_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_text("no")
    with pytest.raises(StudyError, match=r"x\.parquet: not a parquet file"):
        read_examples([path], PAIR, None)
