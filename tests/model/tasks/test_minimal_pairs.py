"""Minimal pairs in files: columns, groups, names, and what is refused in one line."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.tasks.minimal_pairs import MinimalPairs, place_of, read_pairs
from study.errors import StudyError

ROWS = [
    {"sentence_good": "A cat sat.", "sentence_bad": "A cat sit.", "UID": "past", "field": "verbs"},
    {"sentence_good": "An owl.", "sentence_bad": "A owl.", "UID": "an", "field": "articles"},
    {"sentence_good": "A cat.", "sentence_bad": "An cat.", "UID": "a", "field": "articles"},
]


def jsonl(path, rows):
    """A .jsonl file of rows, or of lines as they are."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("\n".join(lines) + "\n")
    return path


def without(rows, *names):
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def test_both_kinds_of_files_give_the_same_pairs_in_their_order(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS[:2]), tmp_path / "a.parquet")
    lines = jsonl(tmp_path / "b.jsonl", [ROWS[2], "", ROWS[0]])
    files = {"one/train": [tmp_path / "a.parquet"], "two/train": [lines]}
    assert read_pairs(files) == MinimalPairs(
        ids=["one/train/0", "one/train/1", "two/train/0", "two/train/1"],
        good=["A cat sat.", "An owl.", "A cat.", "A cat sat."],
        bad=["A cat sit.", "A owl.", "An cat.", "A cat sit."],
        groups={
            "field": ["verbs", "articles", "articles", "verbs"],
            "UID": ["past", "an", "a", "past"],
        },
    )
    assert place_of(files, 1) == f"{tmp_path}/a.parquet: row 1"
    assert place_of(files, 3) == f"{tmp_path}/b.jsonl: row 1"


def test_rows_of_a_split_are_counted_over_its_files(tmp_path):
    files = {"train": [jsonl(tmp_path / f"{n}.jsonl", [ROWS[n]]) for n in range(2)]}
    assert read_pairs(files).ids == ["train/0", "train/1"]


def test_groups_are_not_needed_and_one_field_of_blimp_has_two_spellings(tmp_path):
    plain = jsonl(tmp_path / "plain.jsonl", without(ROWS, "UID", "field"))
    assert read_pairs({"train": [plain]}).groups == {}
    spelt = [{**row, "field": "syntax/semantics"} for row in ROWS[:1]]
    spelt += [{**row, "field": "syntax_semantics"} for row in ROWS[1:]]
    found = read_pairs({"train": [jsonl(tmp_path / "spelt.jsonl", spelt)]})
    assert found.groups["field"] == ["syntax_semantics"] * 3


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["{"], "line 1: not JSON"),
        ([ROWS[0], *without(ROWS[1:2], "sentence_bad")], "line 2: no text in column sentence_bad"),
        ([ROWS[0], *without(ROWS[1:2], "UID")], "line 2: no text in column UID; found sentence_g"),
        ([{**ROWS[0], "sentence_good": 5}], "line 1: no text in column sentence_good"),
        ([ROWS[0], {**ROWS[1], "sentence_bad": " "}], "column sentence_bad: row 1: empty"),
        ([{**ROWS[0], "UID": ""}], "column UID: row 0: empty"),
        (
            [{**ROWS[0], "sentence_bad": ROWS[0]["sentence_good"]}],
            "columns sentence_good and sentence_bad have the same texts",
        ),
        ([""], "no minimal pairs"),
        (["[1]"], "line 1: no text in column sentence_good"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, rows, told):
    path = jsonl(tmp_path / "mine.jsonl", rows)
    with pytest.raises(StudyError) as error:
        read_pairs({"train": [path]})
    assert str(error.value).startswith(f"{path}: {told}")
    assert "\n" not in str(error.value)


def test_parquet_that_is_no_pairs_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"sentence_good": ["a"], "sentence": ["b"]}), path)
    with pytest.raises(StudyError, match=r"no column sentence_bad; found sentence_good, sentence$"):
        read_pairs({"train": [path]})
    pq.write_table(pa.table({"sentence_good": ["a", None], "sentence_bad": ["b", "c"]}), path)
    with pytest.raises(StudyError, match="column sentence_good: row 1: empty"):
        read_pairs({"train": [path]})
    path.write_bytes(b"PAR1")
    with pytest.raises(StudyError, match="not a whole parquet file"):
        read_pairs({"train": [path]})


def test_one_text_a_file_is_no_pair(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("A cat sat.")
    with pytest.raises(StudyError, match=r"minimal pairs are \.jsonl or \.parquet"):
        read_pairs({"train": [path]})
