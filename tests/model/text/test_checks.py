"""Corpora that nothing could be trained on: one line, before anything runs."""

import json

import pytest

from model.text.checks import check_corpora
from study.errors import StudyError
from study.graph import Study
from study.places import Places

DOCUMENTS = [f"Document {number}. It ends." for number in range(40)]


@pytest.fixture
def check(edit, tmp_path):
    """Look at a corpus of one's own, of what a line of a scale file says; for pairs, or not."""

    def check(corpus, cell="full-sentences"):
        edit("scales/smoke.yaml", ["corpora", "mine"], corpus)
        edit("scales/smoke.yaml", "base.data", ["mine"])
        jobs = Study("smoke").jobs
        needed = [jobs.store_of(cell), jobs.samples(cell, 0)]
        check_corpora(needed, Places(None, jobs.places))

    (tmp_path / "texts").mkdir()
    for number, text in enumerate(DOCUMENTS):
        (tmp_path / f"texts/{number:02}.txt").write_text(text)
    (tmp_path / "one.txt").write_text("\n\n".join(DOCUMENTS))
    return check


def test_enough_documents_are_looked_for_and_no_more(check, tmp_path):
    check({"source": {"folder": "texts"}})
    check({"source": {"folder": "texts"}, "heldout_fraction": 0.2}, "segment-pair")
    # Far behind the first that are enough, nobody looks.
    (tmp_path / "texts/39.txt").write_bytes(b"caf\xe9")
    check({"source": {"folder": "texts"}, "heldout_fraction": 0.4}, "segment-pair")


def test_a_folder_with_files_of_several_kinds_is_told_of(check, tmp_path, capsys):
    check({"source": {"folder": "texts"}})
    assert capsys.readouterr().err == ""
    (tmp_path / "texts/more.jsonl").write_text('{"text": "One more."}\n')
    check({"source": {"folder": "texts"}})
    assert capsys.readouterr().err == (
        "notice: corpora.mine: texts: 1 .jsonl and 40 .txt files are one corpus\n"
    )


@pytest.mark.parametrize(
    ("corpus", "cell", "line"),
    [
        (
            {"source": {"folder": "texts"}, "shards": 41},
            "full-sentences",
            "corpora.mine: 35 documents to train on; expected at least one for each of its 41 "
            "shards",
        ),
        (
            {"source": {"file": "one.txt"}},
            "full-sentences",
            "corpora.mine: 0 of 1 documents are held out (heldout_fraction 0.1); expected at least "
            "1 that are and 1 that are not: more text, another heldout_fraction, or a boundary, "
            "which says where documents end in .txt files",
        ),
        (
            {"source": {"file": "one.txt"}, "boundary": "blank-line", "heldout_fraction": 0.001},
            "full-sentences",
            "corpora.mine: 0 of 40 documents are held out (heldout_fraction 0.001); expected",
        ),
        (
            {"source": {"folder": "texts"}, "heldout_fraction": 0.03},
            "segment-pair",
            "corpora.mine: 1 of 40 documents are held out (heldout_fraction 0.03); expected at "
            "least 2 that are and 2 that",
        ),
        (
            {"source": {"folder": "texts"}, "documents": 3},
            "full-sentences",
            "corpora.mine: 0 of 3 documents are held out",
        ),
        (
            {"source": {"folder": "texts"}, "bytes": 50},
            "full-sentences",
            "corpora.mine: 0 of 2 documents are held out",
        ),
        (
            {"source": {"file": "rows.jsonl"}, "column": "body"},
            "full-sentences",
            "rows.jsonl: line 1: no text in column body; found text",
        ),
        (
            {"source": {"file": "rows.csv"}, "column": "body"},
            "full-sentences",
            "rows.csv: no column body; it has id, text",
        ),
    ],
)
def test_what_nothing_could_be_trained_on_is_one_line(check, tmp_path, corpus, cell, line):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "A. B."}) + "\n")
    (tmp_path / "rows.csv").write_text("id,text\n1,A. B.\n")
    with pytest.raises(StudyError) as error:
        check(corpus, cell)
    assert str(error.value).startswith(line)


def test_what_is_on_the_hub_is_not_looked_at(check):
    check({"source": {"repo": "org/name"}, "column": "body"})


@pytest.mark.parametrize(
    ("corpus", "line"),
    [
        ({"source": {"folder": "none"}}, "none: no such folder or file (field folder or file of"),
        ({"source": {"file": "none.txt"}}, "none.txt: no such folder or file"),
        ({"source": {"file": "config/study.yaml"}}, "config/study.yaml: expected a file of .jsonl"),
        (
            {"source": {"repo": "org/name"}, "boundary": "line"},
            "config/scales/smoke.yaml: corpora.mine: boundary is of .txt files, of a source with",
        ),
        (
            {"source": {"folder": "texts", "file": "one.txt"}},
            "config/scales/smoke.yaml: corpora.mine.source: expected either repo",
        ),
    ],
)
def test_a_source_that_is_none_is_one_line(check, corpus, line):
    with pytest.raises(StudyError) as error:
        check(corpus)
    assert str(error.value).startswith(line)
