"""Reading tasks: columns checked, subsets the same for everyone, ids unique."""

import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tasks_toy import make_task

from model.stages.features import read_examples
from study.errors import StudyError

PAIR = make_task("classification", texts=["a", "b"], labels=3)
SPAN = make_task("span", answerability=True)
CHOICE = make_task("choice")


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
    assert examples.columns == [["x", "z"], ["y", "w"]]
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


def test_a_subset_of_rows_whose_ids_are_views_of_text(tmp_path):
    ids = pa.array([f"a long name of example {row}" for row in range(9)])
    columns = {"a": ["x"] * 9, "b": ["y"] * 9, "label": [0] * 9}
    plain = write(tmp_path, **columns, idx=ids)
    views = write(tmp_path, "views.parquet", **columns, idx=ids.cast(pa.string_view()))
    assert read_examples([views], PAIR, 4).ids == read_examples([plain], PAIR, 4).ids


def test_answers_lose_surrounding_blanks(tmp_path):
    answers = [{"text": [" cat", "sat"], "answer_start": [3, 8]}, {"text": [], "answer_start": []}]
    path = write(
        tmp_path, id=["p", "q"], question=["?", "?"], context=["The cat sat"] * 2, answers=answers
    )
    assert read_examples([path], SPAN, None).columns[2] == [[("cat", 4), ("sat", 8)], []]


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
        ({"a": ["x"], "b": ["y"], "label": [True]}, "expected whole numbers, found bool"),
        ({"a": ["x"], "b": ["y"], "label": [0.5]}, "label: row 0: 0.5, expected a whole number"),
        ({"a": ["x"], "b": ["y"], "label": [float("nan")]}, "label: row 0: nan, expected a whole"),
        ({"a": ["x"], "b": ["y"], "label": [1e300]}, "row 0: 1e.300, expected a whole number"),
        ({"a": ["x"], "b": ["y"], "label": pa.array([2**63], pa.uint64())}, "expected a whole"),
        ({"a": ["x"], "b": ["y"], "label": pa.array([None], pa.int64())}, "1 empty cells, the fir"),
        ({"a": [["x"]], "b": ["y"], "label": [0]}, "column a: expected text, found list<"),
        ({"a": ["x"], "b": ["y"], "label": [0], "idx": [None]}, "column idx: 1 empty cells"),
        ({"a": pa.array([], pa.string()), "b": pa.array([], pa.string()), "label": []}, "no rows"),
    ],
)
def test_bad_columns_are_named(tmp_path, columns, message):
    path = write(tmp_path, **columns)
    with pytest.raises(StudyError, match=message) as error:
        read_examples([path], PAIR, None)
    assert str(path) in str(error.value)


def test_the_file_and_its_row_are_named(tmp_path):
    """Of two files and a subset: the row is that of the file."""
    paths = [
        write(tmp_path, f"{part}.parquet", a=["x"] * 50, b=["y"] * 50, label=labels)
        for part, labels in enumerate(([0] * 50, [0] * 40 + [7] * 10))
    ]
    for limit in (None, 99):
        with pytest.raises(StudyError, match=r"1\.parquet: column label: row 40: 7 is not 0 to 2"):
            read_examples(paths, PAIR, limit)
    nulls = pa.array(["y", None, None])
    path = write(tmp_path, "2.parquet", a=["x"] * 3, b=nulls, label=[0] * 3)
    with pytest.raises(
        StudyError, match=r"2\.parquet: column b: 2 empty cells, the first in row 1"
    ):
        read_examples([paths[0], path], PAIR, None)


def test_whole_numbers_may_be_floats_and_texts_empty(tmp_path):
    path = write(tmp_path, a=["", "x"], b=["y", ""], label=[2.0, 0.0])
    examples = read_examples([path], PAIR, None)
    assert examples.labels.tolist() == [2, 0] and examples.labels.dtype == "int64"
    assert examples.columns == [["", "x"], ["y", ""]]


def test_values_that_are_no_numbers_are_refused(tmp_path):
    stsb = make_task("regression", texts=["a", "b"])
    for value in (float("nan"), float("inf"), 1e39):
        path = write(tmp_path, a=["x"], b=["y"], label=[value])
        with pytest.raises(StudyError, match=f"column label: row 0: {re.escape(str(value))}: not"):
            read_examples([path], stsb, None)
    for value, kind in (("1.5", "string"), (True, "bool")):
        path = write(tmp_path, a=["x"], b=["y"], label=[value])
        with pytest.raises(StudyError, match=f"expected numbers, found {kind}"):
            read_examples([path], stsb, None)


@pytest.mark.parametrize("wrong", [b"caf\xe9", b"\xed\xa0\x80"])  # Latin-1, a lone surrogate
def test_text_that_is_not_utf8_is_refused(tmp_path, wrong):
    texts = pa.array([b"good", wrong]).view(pa.string())
    path = write(tmp_path, a=texts, b=["y", "z"], label=[0, 1])
    with pytest.raises(StudyError, match="column a: row 1: text that is not UTF-8"):
        read_examples([path], PAIR, None)
    options = pa.ListArray.from_arrays([0, 0, 2], texts)
    path = write(tmp_path, article=["t"] * 2, question=["q"] * 2, options=options, answer=["A"] * 2)
    with pytest.raises(StudyError, match="column options: row 1: text that is not UTF-8"):
        read_examples([path], CHOICE, None)
    path = write(tmp_path, a=["x", "x"], b=["y", "z"], label=[0, 1], id=texts)
    with pytest.raises(StudyError, match="column id: row 1: text that is not UTF-8"):
        read_examples([path], PAIR, None)


def test_a_subset_of_questions_needs_every_question(tmp_path):
    qnli = make_task("ranking", texts=["a", "b"])
    for wrong, message in (
        (pa.array(["q", None, "q"]), "column a: 1 empty cells, the first in row 1"),
        (pa.array([b"q", b"\xff", b"q"]).view(pa.string()), "row 1: text that is not UTF-8"),
    ):
        path = write(tmp_path, a=wrong, b=["x", "y", "z"], label=[0, 1, 1])
        with pytest.raises(StudyError, match=message):
            read_examples([path], qnli, 1)


def test_damaged_pages_and_repeated_columns_are_refused(tmp_path):
    texts = [f"text {i}" for i in range(20000)]
    path = write(tmp_path, a=texts, b=texts, label=[0] * len(texts))
    data = bytearray(path.read_bytes())
    data[2000:2400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(StudyError, match=r"train\.parquet: not a parquet file that can be read"):
        read_examples([path], PAIR, None)
    twice = pa.table([["x"], ["y"], ["z"], [0]], names=["a", "b", "b", "label"])
    pq.write_table(twice, path)
    with pytest.raises(StudyError, match="2 columns b; it has a, b, b, label"):
        read_examples([path], PAIR, None)


def test_files_of_other_types(tmp_path):
    one = write(tmp_path, "0.parquet", a=["x"], b=["y"], label=pa.array([1], pa.int32()))
    other = write(tmp_path, "1.parquet", a=["z"], b=["w"], label=[2.0])
    assert read_examples([one, other], PAIR, None).labels.tolist() == [1, 2]
    text = write(tmp_path, "2.parquet", a=["z"], b=["w"], label=["2"])
    with pytest.raises(StudyError, match=r"2\.parquet: columns of other types than .*0\.parquet"):
        read_examples([one, text], PAIR, None)


def test_repeated_ids_never_meet_an_id_that_looks_like_a_repeat(tmp_path):
    path = write(tmp_path, a=["x"] * 5, b=["y"] * 5, label=[0] * 5, id=["p", "p", "p#1", "p", "q"])
    assert read_examples([path], PAIR, None).ids == ["p", "p#2", "p#1", "p#3", "q"]


def question(tmp_path, answers, context="The cat sat on it"):
    """A file with one question, whose `answers` have the type that pyarrow finds."""
    return write(tmp_path, id=["p"], question=["?"], context=[context], answers=answers)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"text": None, "answer_start": None}, []),  # as pandas writes it
        ({"text": [], "answer_start": None}, []),
        ({"text": ["cat"], "answer_start": [4.0]}, [("cat", 4)]),
        ({"text": ["it", "cat"], "answer_start": [15, 4]}, [("it", 15), ("cat", 4)]),
    ],
)
def test_answers_as_pandas_writes_them(tmp_path, answers, expected):
    path = question(tmp_path, [answers])
    assert read_examples([path], SPAN, None).columns[2] == [expected]
    if not expected:
        with pytest.raises(StudyError, match="row 0: question p: no answer, though answerability"):
            read_examples([path], make_task("span"), None)


def test_answers_with_nulls_beside_full_ones(tmp_path):
    answers = [{"text": ["cat"], "answer_start": [4]}, {"text": None, "answer_start": None}]
    columns = {"id": ["p", "q"], "question": ["?"] * 2, "context": ["The cat"] * 2}
    path = tmp_path / "train.parquet"
    pd.DataFrame({**columns, "answers": answers}).to_parquet(path)
    assert read_examples([path], SPAN, None).columns[2] == [[("cat", 4)], []]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"text": ["cat"], "answer_start": [None]}, "row 0: question p: 'cat' at None, expected a"),
        ({"text": [None], "answer_start": [4]}, "row 0: question p: None at 4, expected a text at"),
        ({"text": ["cat", "it"], "answer_start": [4]}, "question p: 2 texts, but 1 starts"),
        ({"text": ["cat"], "answer_start": None}, "question p: 1 texts, but 0 starts"),
        ({"text": None, "answer_start": [4]}, "question p: 0 texts, but 1 starts"),
        ({"text": ["cat"], "answer_start": [4.5]}, "'cat' at 4.5, expected a text at a whole"),
        ({"text": ["cat"], "answer_start": [float("nan")]}, "'cat' at nan, expected a text at"),
        ({"text": ["cat"], "answer_start": [float("inf")]}, "'cat' at inf, expected a text at"),
        ({"text": ["o"], "answer_start": [-5]}, "question p: no 'o' at character -5"),
        ({"text": ["on"], "answer_start": [-5]}, "question p: no 'on' at character -5"),
        ({"text": ["it"], "answer_start": [10**9]}, "question p: no 'it' at character 1000000000"),
        ({"text": ["cat"], "answer_start": ["4"]}, "column answers: expected a struct of text and"),
        ({"text": [7], "answer_start": [4]}, "column answers: expected a struct of text and"),
        ({"text": "cat", "answer_start": 4}, "column answers: expected a struct of text and"),
        ({"text": ["cat"]}, "column answers: expected a struct of text and answer_start"),
        ([{"text": "cat", "answer_start": 4}], "column answers: expected a struct of text and"),
        (4, "column answers: expected a struct of text and answer_start"),
        (None, "column answers: expected a struct of text and answer_start"),
    ],
)
def test_answers_that_cannot_be_read_are_one_line(tmp_path, answers, message):
    path = question(tmp_path, [answers])
    with pytest.raises(StudyError, match=message) as error:
        read_examples([path], SPAN, None)
    assert str(error.value).startswith(f"{path}: column answers: ")
    assert "\n" not in str(error.value)


def test_a_passage_is_never_empty(tmp_path):
    path = question(tmp_path, [{"text": [], "answer_start": []}], context=" \n")
    with pytest.raises(StudyError, match="row 0: question p: its context is empty"):
        read_examples([path], SPAN, None)


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
        read_examples([path], make_task("span"), None)


@pytest.mark.parametrize(
    ("options", "answer", "message"),
    [
        (list("wxy"), "A", "row 0: expected a list of 4 options"),
        (
            ["w", None, "y", "z"],
            "A",
            "row 0: expected a list of 4 options, found 4, 1 of them empt",
        ),
        ("wxyz", "A", "column options: expected lists of text, found string"),
        ([1, 2, 3, 4], "A", "column options: expected lists of text, found list<"),
        (None, "A", "column options: 1 empty cells"),
        (list("wxyz"), "E", "row 0: 'E' is not one of A, B, C, D"),
        (list("wxyz"), "", "row 0: '' is not one of A, B, C, D"),
        (list("wxyz"), "AB", "row 0: 'AB' is not one of A, B, C, D"),
        (list("wxyz"), 0, "column answer: expected a letter of ABCD, found int64"),
        (list("wxyz"), None, "column answer: expected a letter of ABCD, found null"),
    ],
)
def test_choices_must_be_four_letters(tmp_path, options, answer, message):
    path = write(tmp_path, article=["t"], question=["q"], options=[options], answer=[answer])
    with pytest.raises(StudyError, match=message):
        read_examples([path], CHOICE, None)


def test_an_option_may_be_an_empty_text(tmp_path):
    options = [["", "x", "y", "z"]]
    path = write(tmp_path, article=["t"], question=["q"], options=options, answer=["B"])
    assert read_examples([path], CHOICE, None).columns == [["q"], options, ["t"]]


def test_places_of_words_are_whole_numbers(tmp_path):
    wsc = make_task("wsc")
    spans = {"span1_text": ["cat"], "span2_text": ["it"], "span2_index": [3.0]}
    for index, message in (
        (1.5, "row 0: 1.5, expected a whole"),
        (None, "1 empty"),
        ("1", "found"),
    ):
        column = pa.array([index], pa.int64()) if index is None else [index]
        path = write(tmp_path, text=["The cat saw it"], **spans, span1_index=column, label=[1])
        with pytest.raises(StudyError, match=f"column span1_index: .*{message}"):
            read_examples([path], wsc, None)
    path = write(tmp_path, text=["The cat saw it"], **spans, span1_index=[1], label=[1])
    assert read_examples([path], wsc, None).columns[3] == [[1, 3]]


def test_what_is_not_parquet_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_text("no")
    with pytest.raises(StudyError, match=r"x\.parquet: not a parquet file"):
        read_examples([path], PAIR, None)
