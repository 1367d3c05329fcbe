"""Sources: what is found where, what is read, and one line for what is wrong."""

import gzip
import json
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.text.sources import (
    count_rows,
    describe,
    locate,
    read_range,
    read_texts,
)
from study.digests import MEMORY
from study.errors import StudyError
from study.places import Places

HUB = {"repo": "org/name", "config": "plain", "revision": "0" * 40, "splits": ["train"]}


def write_parquet(path, texts, column="text", rows_per_group=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"id": list(range(len(texts))), column: texts})
    pq.write_table(table, path, row_group_size=rows_per_group)
    return path


def mirror_part(root, part, parts, texts):
    name = f"train-{part:05}-of-{parts:05}.parquet"
    return write_parquet(root / "org/name/plain" / name, texts)


def test_mirror_parts_are_found_in_order(tmp_path):
    second = mirror_part(tmp_path, 1, 2, ["c"])
    first = mirror_part(tmp_path, 0, 2, ["a", "b"])
    write_parquet(first.parent / "validation-00000-of-00001.parquet", ["x"])
    located = locate(HUB, Places(tmp_path), tmp_path / "unused")
    assert located.root == tmp_path / "org/name"
    assert located.files == {"train": [first, second]}
    entries = describe(located, tmp_path / MEMORY)["train"]
    assert [(entry["name"], entry["rows"]) for entry in entries] == [
        ("plain/train-00000-of-00002.parquet", 2),
        ("plain/train-00001-of-00002.parquet", 1),
    ]
    assert entries[0]["bytes"] == first.stat().st_size


def test_a_mirror_that_is_missing_is_named(tmp_path):
    with pytest.raises(StudyError, match="nowhere: no such mirror folder"):
        locate(HUB, Places(tmp_path / "nowhere"), tmp_path)


def test_texts_of_the_three_kinds_of_file(tmp_path):
    txt, jsonl = tmp_path / "a.txt", tmp_path / "b.jsonl"
    txt.write_text("one\n\nécrit", encoding="utf-8")
    jsonl.write_text('{"text": "a"}\n\n{"text": "b", "more": 1}\n{"text": "c"}\n')
    parquet = write_parquet(tmp_path / "c.parquet", ["p", None, "q", "r", "s"])
    assert list(read_texts(txt, "text")) == ["one\n\nécrit"]
    assert (count_rows(jsonl), list(read_texts(jsonl, "text", 1, 3))) == (3, ["b", "c"])
    assert list(read_texts(parquet, "text")) == ["p", "", "q", "r", "s"]
    assert list(read_texts(parquet, "text", 1, 4)) == ["", "q", "r"]


def test_a_range_runs_over_several_files(tmp_path):
    paths = [
        write_parquet(tmp_path / "a.parquet", ["0", "1", "2"]),
        write_parquet(tmp_path / "b.parquet", ["3"]),
        write_parquet(tmp_path / "c.parquet", ["4", "5", "6", "7", "8"]),
    ]
    everything = [str(i) for i in range(9)]
    for start in range(10):
        for stop in range(start, 10):
            found = list(read_range(paths, [3, 1, 5], "text", start, stop))
            assert found == everything[start:stop]


def test_columns_that_are_not_text_are_named_with_those_there_are(tmp_path):
    parquet = write_parquet(tmp_path / "a.parquet", ["x"])
    with pytest.raises(StudyError, match=r"a\.parquet: no column body; found id, text"):
        list(read_texts(parquet, "body"))
    with pytest.raises(StudyError, match=r"a\.parquet: column id: expected text, found int64"):
        list(read_texts(parquet, "id"))
    jsonl = tmp_path / "b.jsonl"
    jsonl.write_text('{"text": "a"}\n{"title": "b"}\n')
    with pytest.raises(StudyError, match=r"b\.jsonl: line 2: no text in column text; found title"):
        list(read_texts(jsonl, "text"))
    jsonl.write_text("{\n")
    with pytest.raises(StudyError, match=r"b\.jsonl: line 1: not JSON"):
        list(read_texts(jsonl, "text"))


def test_damaged_files_are_named(tmp_path):
    whole = write_parquet(tmp_path / "a.parquet", ["x" * 50, "y" * 50, "z"]).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StudyError, match=r"cut\.parquet: not a whole parquet file") as caught:
        count_rows(tmp_path / "cut.parquet")
    assert "\n" not in str(caught.value)
    spoiled = bytearray(whole)
    spoiled[4:150] = bytes(146)
    (tmp_path / "bad.parquet").write_bytes(spoiled)
    with pytest.raises(StudyError, match=r"bad\.parquet: cannot be read to its end"):
        list(read_texts(tmp_path / "bad.parquet", "text"))
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(StudyError, match=r"latin\.txt: not UTF-8 text"):
        list(read_texts(tmp_path / "latin.txt", "text"))


def test_text_that_is_no_unicode_is_named_with_its_row(tmp_path):
    path = tmp_path / "a.parquet"
    texts = pa.array([b"one", b"two", b"three", b"caf\xe9", b"five"]).view(pa.string())
    pq.write_table(pa.table({"text": texts}), path, row_group_size=2)
    with pytest.raises(StudyError, match=r"a\.parquet: column text: row 3: not UTF-8 text"):
        list(read_texts(path, "text"))
    assert list(read_texts(path, "text", 1, 3)) == ["two", "three"]
    jsonl = tmp_path / "b.jsonl"
    jsonl.write_bytes(b'{"text": "a"}\n{"text": "caf\xe9"}\n')
    with pytest.raises(StudyError, match=r"b\.jsonl: line 2: not JSON"):
        list(read_texts(jsonl, "text"))
    jsonl.write_text("[" * 100_000)
    with pytest.raises(StudyError, match=r"b\.jsonl: line 1: not JSON"):
        list(read_texts(jsonl, "text"))


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    for name in ("a.txt", "b.jsonl", "c.parquet"):
        (tmp_path / name).mkdir()
        with pytest.raises(StudyError, match=f"{name}: "):
            list(read_texts(tmp_path / name, "text", 0, 1))


def test_jsonl_reads_what_json_writes(tmp_path):
    texts = ["tab\t", 'quote"', "line\u2028separator", "漢"]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in texts))
    assert list(read_texts(path, "text")) == texts


@pytest.mark.parametrize(
    ("boundary", "documents"),
    [
        ("file", ["A b.\nC d.\n \n\nE.\nF"]),
        ("blank-line", ["A b.\nC d.\n", "E.\nF"]),
        ("line", ["A b.\n", "C d.\n", "E.\n", "F"]),
        ("none", ["A b.\nC d.\n \n\nE.\nF"]),
    ],
)
def test_what_ends_a_document_of_a_text_file(tmp_path, boundary, documents):
    text = b"A b.\r\nC d.\n \n\nE.\nF"
    plain, packed = tmp_path / "a.txt", tmp_path / "a.txt.gz"
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    for path in (plain, packed):
        assert list(read_texts(path, "text", boundary=boundary)) == documents
        assert count_rows(path, boundary) == len(documents)
        assert list(read_texts(path, "text", 1, 2, boundary)) == documents[1:2]


@pytest.mark.parametrize(
    ("text", "cuts"),
    [
        ("x" * 9_000 + "\n\n" + "y" * 11_000 + "\n\n" + "z" * 100, [10_000]),
        ("x" * 12_000 + "\n" + "y y" * 4_000, [12_000]),
        ("word " * 5_000, [10_004]),
        ("x" * 45_000, [10_000, 20_000, 30_000]),
        ("x" * 19_999, []),
    ],
)
def test_plain_text_is_cut_where_something_ends(tmp_path, text, cuts):
    path = tmp_path / "a.txt"
    path.write_text(text)
    pieces = list(read_texts(path, "text", boundary="none"))
    assert "".join(pieces) == text
    assert list(accumulate(map(len, pieces[:-1]))) == cuts


@pytest.mark.parametrize("boundary", ["file", "blank-line", "line", "none"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_text_as_utf_16_is_no_text_with_or_without_a_mark(tmp_path, encoding, boundary):
    path = tmp_path / "a.txt"
    path.write_text("The cat sat.\nIt was good.\n", encoding=encoding)
    with pytest.raises(StudyError, match=r"a\.txt: expected text as UTF-8, found UTF-16"):
        list(read_texts(path, "text", boundary=boundary))


@pytest.mark.parametrize("kind", [pa.string_view(), pa.dictionary(pa.int8(), pa.large_string())])
def test_parquet_has_text_in_several_types(tmp_path, kind):
    path = tmp_path / "a.parquet"
    texts = pa.array(["x", "y", None], kind)
    pq.write_table(pa.table([texts, pa.array([{"b": "z"}] * 3)], ["a.b", "a"]), path)
    assert list(read_texts(path, "a.b", 1)) == ["y", ""]
    pq.write_table(pa.table([texts, texts], ["a", "a"]), path)
    with pytest.raises(StudyError, match=r"a\.parquet: 2 columns a; found a, a"):
        list(read_texts(path, "a"))


def test_cells_of_tables_are_texts(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(
        'id\tbody\n1\t"say ""a\nb"""\n2\t2020-01-01\n3\t\n4\tNA\n', encoding="utf-8-sig"
    )
    assert count_rows(path) == 4
    assert list(read_texts(path, "body")) == ['say "a\nb"', "2020-01-01", "", "NA"]
    assert list(read_texts(path, "body", 1, 2)) == ["2020-01-01"]
    for content, line in (
        (b"id,body\n1,a\n2\n", "cannot be read (CSV parse error: Row #3: Expected 2 columns, got"),
        (b"id,text\n1,a\n", "no column body; it has id, text"),
        (b"body,body\n1,a\n", "2 columns body; it has body, body"),
        (b"id,body\n1,a\n2,caf\xe9\n", "column body: row 1: not UTF-8 text"),
        (b"", "cannot be read (Empty CSV file)"),
    ):
        wrong = tmp_path / "b.csv"
        wrong.write_bytes(content)
        with pytest.raises(StudyError) as error:
            list(read_texts(wrong, "body"))
        assert str(error.value).startswith(f"{wrong}: {line}")


def test_a_compressed_file_that_is_cut_off_is_named(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "a"}\n' * 9_999)[:-20])
    with pytest.raises(StudyError, match=r"a\.jsonl\.gz: cannot be read \("):
        list(read_texts(path, "text"))
    (tmp_path / "a.txt").write_bytes(b"one\ncaf\xe9\n")
    with pytest.raises(StudyError, match=r"a\.txt: line 2: not UTF-8 text"):
        list(read_texts(tmp_path / "a.txt", "text", boundary="line"))
