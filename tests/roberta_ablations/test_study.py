"""Data frames of what a study has found: `roberta_ablations.Study`."""

import re
from pathlib import Path

import pytest

from analysis.command import csv_text
from roberta_ablations import Study, StudyError

MINE = """
like: config/study.yaml
cells: {rate-30: {like: doc-sentences, masking: {rate: 0.3}}}
tables:
  rates:
    caption: How much to mask
    columns: [{value: perplexity, label: perplexity}]
    rows:
      - {id: rate_15, label: 15 %, cell: doc-sentences}
      - {id: rate_30, label: 30 %, cell: rate-30}
"""


@pytest.fixture
def study(finished, tmp_path, monkeypatch) -> Study:
    """Of the finished smoke-scale Table 2, seen from another folder."""
    monkeypatch.chdir(tmp_path)
    return Study("smoke", project=finished)


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix != ".pyc"}


def test_what_is_there_as_frames_and_nothing_is_written(study, finished, tmp_path):
    before = files(finished)
    table = study.table("table2").reset_index()
    assert csv_text(table) == (finished / "results/table2.csv").read_text()
    scores = study.scores()
    # Four cells, five tasks, two fine-tuning seeds.
    assert len(scores.drop_duplicates(["cell", "task", "finetuning_seed"])) == 40
    assert set(scores["cell"]) == {
        *("segment-pair", "sentence-pair", "full-sentences", "doc-sentences")
    }
    one = study.scores("doc-sentences")
    assert one.equals(scores[scores["cell"] == "doc-sentences"].reset_index(drop=True))
    assert study.tables()["state"].value_counts().to_dict() == {"not made yet": 18, "finished": 1}
    assert study.tables().loc["table7", "command"] == (
        "snakemake --cores all --config scale=smoke mirror=DIR -- results/table7.csv"
    )
    assert files(finished) == before
    assert Path.cwd() == tmp_path


def test_losses_are_those_of_the_logs_with_evaluations_beside_them(study):
    losses = study.losses("doc-sentences")
    assert losses["step"].tolist() == list(range(1, 21))
    assert losses.columns[:3].tolist() == ["cell", "pretraining_seed", "step"]
    assert losses["heldout_loss"].notna().sum() == 2
    assert (losses["loss"] > 0).all() and losses["tokens"].is_monotonic_increasing
    assert {*study.losses()["cell"]} == {*study.scores()["cell"]}
    assert study.losses("batch-2k").empty
    assert "heldout_loss" in study.losses("batch-2k")


def test_claims_have_verdicts_or_the_reason_why_not(study):
    claims = study.claims("table2")
    assert set(claims["verdict"]) == {"not testable"}
    assert claims["reason"].str.contains("one replicate|published").all()
    missing = study.claims("table1")["reason"]
    assert missing.str.startswith("no results: ").all()
    assert set(study.claims()["table"].dropna()) > {"table1", "table2", "table3"}


def test_a_number_is_traced(study):
    assert study.trace("table2", "doc_sentences", "sst2.accuracy").startswith(
        "table2, doc_sentences, sst2.accuracy: "
    )


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (lambda study: study.table("table1"), r"\d+ of \d+ scores are missing .*; build them with"),
        (lambda study: study.table("tabel2"), "tabel2: no such table; known: table1, table2, "),
        (lambda study: study.scores("blok"), "blok: no such cell; known: segment-pair, "),
        (lambda study: study.losses("blok"), "blok: no such cell; known: segment-pair, "),
        (lambda study: study.claims("tabel2"), "tabel2: no such table; known: table1, table2, "),
        (lambda study: Study("smok", project=study.project), r"config/scales/smok\.yaml: no such"),
    ],
)
def test_what_is_not_there_is_one_line(study, ask, line):
    with pytest.raises(StudyError) as error:
        ask(study)
    assert re.match(line, str(error.value))
    assert "\n" not in str(error.value)


def test_a_study_file_of_ones_own_lies_where_one_is(study, finished, tmp_path):
    Path("mine.yaml").write_text(MINE)
    own = Study("smoke", "mine.yaml", project=finished, overrides=["cells.rate-30.steps=9"])
    assert repr(own) == (
        "<Study smoke: a size for tests; its scores mean nothing, with cells.rate-30.steps=9>"
    )
    assert own.scores("doc-sentences").equals(study.scores("doc-sentences"))
    assert own.losses("rate-30").empty
    assert str(tmp_path / "mine.yaml") in own.tables().loc["rates", "command"]
