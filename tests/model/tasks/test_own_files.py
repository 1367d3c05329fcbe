"""Tasks in files of one's own: what csv, tsv and jsonl say, labels by name, one file to split."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tasks_toy import make_task

from model.stages.features import read_examples
from model.tasks import checks
from study.errors import StudyError

NAMED = make_task("classification", texts=["review"], label="opinion", labels=["bad", "good"])


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_every_kind_of_file_says_the_same(tmp_path):
    rows = [
        {"id": "x", "review": 'It said "2020", twice', "opinion": "good"},
        {"id": "y", "review": "2020-01-01", "opinion": "bad"},
        {"id": "z", "review": "", "opinion": "bad"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    lines(tmp_path / "a.jsonl", rows)
    cells = 'opinion{0}id{0}review\ngood{0}x{0}"It said ""2020"", twice"\n'
    cells += "bad{0}y{0}2020-01-01\nbad{0}z{0}\n"
    (tmp_path / "a.csv").write_text(cells.format(","), encoding="utf-8-sig")
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(cells.format("\t").encode()))
    for name in ("a.parquet", "a.jsonl", "a.csv", "a.tsv.gz"):
        examples = read_examples([tmp_path / name], NAMED)
        assert examples.ids == ["x", "y", "z"], name
        assert examples.columns == [[row["review"] for row in rows]]
        assert examples.labels.tolist() == [1, 0, 0]


def test_columns_that_are_not_read_may_be_called_anything(tmp_path):
    (tmp_path / "a.csv").write_text("x,x,review,opinion\n,,fine,good\n\n,,poor,bad\n")
    columns = {"review": ["fine", "poor"], "opinion": ["good", "bad"]}
    other = {"opinion.x": [1, 2], "opinion": [{"x": 1}, {"x": 2}]}
    task = make_task("classification", texts=["review"], label="opinion.x", labels=["bad", "good"])
    pq.write_table(
        pa.table(columns | other | {"opinion.x": columns["opinion"]}), tmp_path / "a.parquet"
    )
    for name, spec in (("a.csv", NAMED), ("a.parquet", task)):
        assert read_examples([tmp_path / name], spec).labels.tolist() == [1, 0], name


def test_lists_of_views_are_lists_of_texts(tmp_path):
    options = pa.array([["w", "x"], ["y", "z"]], pa.large_list(pa.string_view()))
    table = {"question": ["Which?", "And?"], "options": options, "answer": [0, 1]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    columns = {"question": "question", "options": "options", "answer": "answer"}
    task = make_task("choice", columns=columns, labels=2)
    # Of some rows, which Arrow does not pick out of views.
    examples = read_examples([tmp_path / "a.parquet"], task, limit=1)
    assert examples.columns[1] == [["w", "x"]]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv"])
def test_utf_16_is_named(tmp_path, name):
    (tmp_path / name).write_text("a,label\nx,1\n", encoding="utf-16")
    with pytest.raises(StudyError, match=f"{name}: expected text as UTF-8, found UTF-16"):
        read_examples([tmp_path / name], make_task("classification", texts=["a"]))


@pytest.mark.parametrize(
    ("labels", "values", "expected"),
    [
        (["no", "yes"], ["yes", "no"], [1, 0]),
        ([1, 2, 5], [5, 1], [2, 0]),
        ([1, 2, 5], [2.0, 5.0], [1, 2]),
        ([1, 2, 5], ["5", "2"], [2, 1]),
        ([False, True], [True, False], [1, 0]),
        ([False, True], ["True", "FALSE"], [1, 0]),
        (3, [2, 0], [2, 0]),
    ],
)
def test_labels_are_numbers_or_names(tmp_path, labels, values, expected):
    task = make_task("classification", texts=["a"], labels=labels)
    rows = [{"a": "x", "label": value} for value in values]
    examples = read_examples([lines(tmp_path / "a.jsonl", rows)], task)
    assert examples.labels.tolist() == expected
    assert task.classes == task.outputs == (labels if isinstance(labels, int) else len(labels))


@pytest.mark.parametrize(
    ("labels", "cells", "line"),
    [
        (["bad", "good"], ["good", "fine"], "column label: row 1: 'fine' is not one of bad, good"),
        (
            2,
            ["good", "bad"],
            "column label: row 0: 'good', expected a number; classes with names are, in their "
            "order, labels: [bad, good]",
        ),
        (2, ["1", "2"], "column label: row 1: 2 is not 0 to 1; classes with names are, in their"),
        (2, ["1", ""], "column label: 1 empty cells, the first in row 1"),
        (2, ["1", "0.5"], "column label: row 1: 0.5, expected a whole number"),
    ],
)
def test_labels_of_a_table_that_are_none_are_named(tmp_path, labels, cells, line):
    path = tmp_path / "a.csv"
    path.write_text("a,label\n" + "".join(f"x,{cell}\n" for cell in cells))
    with pytest.raises(StudyError) as error:
        read_examples([path], make_task("classification", texts=["a"], labels=labels))
    assert str(error.value).startswith(f"{path}: {line}")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": "x"}\n', "Column(/a) changed from number to string in row 1"),
        ("a.jsonl", '{"a": "x"\n', "cannot be read (JSON parse error"),
        ("a.jsonl", '[{"a": "x"}]\n', "Column() changed from object to array in row 0"),
        ("a.jsonl", '{"b": "x", "label": 1}\n', "no column a; it has b, label"),
        ("a.csv", "a,label\nx\n", "Row #2: Expected 2 columns, got 1"),
        ("a.csv", "a;label\nx;1\n", "no column a; it has a;label"),
        ("a.csv", "a,label\n", "no rows"),
        ("a.csv", 'label,a\n1,x\n0,"y\n1,z\n', "line 3: quotation marks open a cell and do not"),
        ("a.tsv", 'a\tlabel\n"x\t1\n"y\t0\n', "line 2: quotation marks open a cell and do not"),
        ("a.txt", "x", "a task's files are .jsonl, .parquet, .csv or .tsv"),
    ],
)
def test_files_that_are_no_tables_are_named(tmp_path, name, content, line):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(StudyError) as error:
        read_examples([path], make_task("classification", texts=["a"]))
    assert str(error.value).startswith(f"{path}: ") and line in str(error.value)
    assert "\n" not in str(error.value)


def test_regressions_read_numbers_of_tables(tmp_path):
    (tmp_path / "a.tsv").write_text("one\ttwo\tscore\nx\ty\t4.5\nx\tz\t-1e1\n")
    task = make_task("regression", texts=["one", "two"], label="score")
    assert read_examples([tmp_path / "a.tsv"], task).labels.tolist() == [4.5, -10.0]


@pytest.mark.parametrize(
    ("gold", "answers"),
    [
        ("cat", [("cat", 4)]),
        (["sat", "the"], [("sat", 8), ("the", 15)]),
        ({"text": ["cat"], "answer_start": [4]}, [("cat", 4)]),
        ("", []),
        ([], []),
    ],
)
def test_answers_are_texts_or_as_squad_has_them(tmp_path, gold, answers):
    task = make_task(
        "span",
        answerability=True,
        columns={"question": "query", "context": "passage", "answers": "gold"},
    )
    rows = [{"query": "Who?", "passage": "The cat sat on the mat.", "gold": gold}]
    examples = read_examples([lines(tmp_path / "a.jsonl", rows)], task)
    assert examples.columns == [["Who?"], ["The cat sat on the mat."], [answers]]


def test_an_answer_that_is_not_in_its_context_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("question,context,answers\nWho?,The cat sat.,dog\n")
    with pytest.raises(StudyError, match=r"column answers: row 0: .*no 'dog' in the context$"):
        read_examples([tmp_path / "a.csv"], make_task("span"))


CHOICE = {"question": "stem", "options": ["a", "b", "c"], "answer": "key"}


@pytest.mark.parametrize(
    ("labels", "keys", "expected"),
    [(3, "CA", [2, 0]), (3, "20", [2, 0]), ([1, 2, 3], "31", [2, 0])],
)
def test_a_choice_has_any_number_of_options_and_needs_no_passage(tmp_path, labels, keys, expected):
    path = tmp_path / "a.csv"
    path.write_text("stem,a,b,c,key\n" + "".join(f"Q {key},x,y,z,{key}\n" for key in keys))
    task = make_task("choice", labels=labels, columns=CHOICE)
    examples = read_examples([path], task)
    assert examples.columns == [[f"Q {key}" for key in keys], [["x", "y", "z"]] * 2, []]
    assert examples.labels.tolist() == expected
    assert (task.rows, task.outputs, task.reported_metrics) == (3, 1, ("accuracy",))
    with pytest.raises(StudyError, match="3 columns of options, expected 4; labels says how many"):
        read_examples([path], make_task("choice", columns=CHOICE))


def test_one_file_is_split_by_what_its_texts_are(tmp_path):
    def split(rows, part, fraction=0.25):
        task = make_task("classification", texts=["a"], dev="train", dev_fraction=fraction)
        path = lines(tmp_path / "a.jsonl", rows)
        return read_examples([path], task, part=part).columns[0]

    rows = [{"a": f"text {number}", "label": 0} for number in range(40)]
    train, dev = (split(rows, part) for part in ("train", "dev"))
    assert len(dev) == 10 and sorted(train + dev) == sorted(row["a"] for row in rows)
    # In another order, with one corrected: the others stay where they were.
    changed = [{"a": "corrected", "label": 1}, *rows[:0:-1]]
    assert len({*split(changed, "dev")} - {*dev}) <= 1
    # The same text twice is of one part.
    both = split(rows + rows, "dev")
    assert sorted(both) == sorted(dev + dev)
    assert len(split(rows[:2], "dev", 0.01)) == len(split(rows[:2], "dev", 0.99)) == 1
    with pytest.raises(StudyError, match="one text in all of its rows, nothing for dev_fraction"):
        split([rows[0]] * 3, "dev")


def test_what_is_held_out_is_told_before_anything_runs(tmp_path, monkeypatch, capsys):
    """With the classes of it, for of a small file a hash may take few of one."""
    rows = [{"a": f"text {number}", "label": ["no", "yes"][number % 2]} for number in range(40)]
    lines(tmp_path / "train.jsonl", rows)
    task = make_task(
        "classification", texts=["a"], labels=["no", "yes"], dev="train", dev_fraction=0.25
    )
    recipe = {"stage": "features", "task": task.model_dump(exclude_none=True)}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([[recipe, ["train"], str(tmp_path)]])))
    checks.main([])
    assert capsys.readouterr().err == (
        "notice: tasks.classification: dev_fraction 0.25 holds out 10 of 40 rows: 4 no, 6 yes\n"
    )


def test_a_correlation_needs_several_values_to_score(tmp_path, monkeypatch):
    """Every fine-tuning ended without a score."""
    lines(tmp_path / "train.jsonl", [{"a": "x", "label": 1}, {"a": "y", "label": 2}])
    lines(tmp_path / "dev.jsonl", [{"a": "x", "label": 2.5}, {"a": "y", "label": 2.5}])
    task = make_task("regression", texts=["a"], train="train", dev="dev")
    recipe = {"stage": "features", "task": task.model_dump(exclude_none=True)}
    split = json.dumps([[recipe, ["train", "dev"], str(tmp_path)]])
    monkeypatch.setattr("sys.stdin", io.StringIO(split))
    with pytest.raises(
        StudyError, match=r"dev\.jsonl: column label: 2 rows to score, all .* 2\.5;"
    ):
        checks.main([])


def test_questions_about_one_passage_are_of_one_part(tmp_path):
    rows = [
        {"question": f"Q{number}", "context": f"Passage {number // 4}.", "answers": "Passage"}
        for number in range(40)
    ]
    task = make_task("span", dev="train", dev_fraction=0.3)
    path = lines(tmp_path / "a.jsonl", rows)
    parts = [read_examples([path], task, part=part).columns[1] for part in ("train", "dev")]
    assert not {*parts[0]} & {*parts[1]}
    assert [len(part) for part in parts] == [28, 12]
    # A subset is one of the part, and has as many rows as were asked for.
    assert {*read_examples([path], task, 5, part="dev").columns[1]} <= {*parts[1]}
    assert len(read_examples([path], task, 5, part="dev")) == 5
