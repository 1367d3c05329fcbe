"""Every key of the configuration is checked; every error is one line with file and key."""

from pathlib import Path

import pytest
import yaml
from bad_config_cases import ERRORS
from project import ROOT

from study.deltas import merge
from study.errors import StudyError
from study.graph import Study
from study.read import load_study_file


@pytest.fixture
def config(edit):
    """A copy of config/ in the current directory, with a function that edits one of its files."""
    return edit


@pytest.mark.parametrize("scale", sorted(p.stem for p in (ROOT / "config/scales").glob("*.yaml")))
def test_every_scale_is_valid(scale, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = Study(scale)
    assert study.table_cells("table2") == [
        "segment-pair",
        "sentence-pair",
        "full-sentences",
        "doc-sentences",
    ]


@pytest.mark.parametrize(("change", "message"), ERRORS, ids=[e[0][1] for e in ERRORS])
def test_one_line_names_file_and_key(config, change, message):
    config(*change)
    with pytest.raises(StudyError) as error:
        Study("smoke")
    assert str(error.value) == message


def test_unknown_scale_lists_the_known_ones(config):
    with pytest.raises(
        StudyError,
        match=r"huge\.yaml: no such scale; there are: babylm, demo, h200, laptop, night, paper",
    ):
        load_study_file("huge")


def test_broken_and_repeated_yaml_name_the_line(config):
    path = Path("config/scales/smoke.yaml")
    path.write_text("about: x\nabout: y\n")
    with pytest.raises(StudyError, match=r"smoke\.yaml: line 2: key about is written twice"):
        load_study_file("smoke")
    path.write_text("about: [1\n")
    with pytest.raises(StudyError, match=r"smoke\.yaml: line 2: "):
        load_study_file("smoke")


def test_merge_replaces_leaves_and_joins_mappings():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    assert merge(base, {"a": {"c": [9]}, "e": 4}) == {"a": {"b": 1, "c": [9]}, "d": 3, "e": 4}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 3}


def test_exponents_without_a_dot_are_numbers(config):
    assert load_study_file("paper").cells["full-sentences"].optimiser.learning_rate == 1e-4


def documented(section: str) -> dict:
    """The YAML that docs/data.md prints under a heading."""
    text = (ROOT / "docs/data.md").read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    return yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])


def test_what_docs_say_of_data_is_valid_configuration(config):
    shown = documented("Corpora of `laptop`, `h200` and the scales like them")
    config("scales/laptop.yaml", "corpora", shown["corpora"])
    corpora = load_study_file("laptop").corpora
    assert corpora["books"].source.repo == "lucadiliello/bookcorpusopen"
    assert corpora["web"].source.repo == "Skylion007/openwebtext"
    assert (corpora["news"].documents, corpora["news"].split) == (4000, "train")
    for name, value in documented("A copy of your own")["corpora"].items():
        config("scales/paper.yaml", f"corpora.{name}", value)
    corpora = load_study_file("paper").corpora
    assert (corpora["books"].source.folder, corpora["books"].bytes) == ("/data/books", 4700000000)
    assert (corpora["news"].column, corpora["news"].split) == ("plain_text", "train")


def test_a_cap_is_part_of_a_recipe_only_where_it_is_set(config):
    assert "bytes" not in Study("smoke").jobs.sentences("books", 0).recipe
    plain = Study("smoke").jobs.sentences("books", 0).key
    config("scales/smoke.yaml", "corpora.books.bytes", 5000)
    assert Study("smoke").jobs.sentences("books", 0).recipe["bytes"] == 5000
    assert Study("smoke").jobs.sentences("books", 0).key != plain
    assert Study("paper").jobs.sentences("wiki", 31).recipe["bytes"] == 11_700_000_000


def test_a_corpus_may_hold_out_a_share_of_its_own(config):
    config("scales/smoke.yaml", "corpora.books.heldout_fraction", 0.25)
    jobs = Study("smoke").jobs
    assert jobs.sentences("books", 0).recipe["heldout_fraction"] == 0.25
    assert jobs.sentences("wiki", 1).recipe["heldout_fraction"] == 0.1
    config("scales/smoke.yaml", "corpora.books.heldout_fraction", 0.1)
    config("scales/smoke.yaml", "heldout_fraction", 0.2)
    jobs = Study("smoke").jobs
    assert jobs.sentences("books", 0).recipe["heldout_fraction"] == 0.1
    assert jobs.sentences("wiki", 1).recipe["heldout_fraction"] == 0.2
    config("scales/smoke.yaml", "corpora.books.heldout_fraction", 0)
    told = "smoke.yaml: corpora.books.heldout_fraction: input should be greater than 0, found 0"
    with pytest.raises(StudyError, match=told):
        Study("smoke")


def test_optional_settings_stand_in_a_recipe_only_where_they_are_not_as_usual(config):
    def recipes():
        jobs = Study("smoke").jobs
        tuned = jobs.finetune("segment-pair", 0, "sst2")
        return jobs.samples("segment-pair", 0).recipe, tuned.recipe

    samples, tuned = recipes()
    names = {"decay_all", "clip_norm", "head_dropout", "group_by_length"}
    assert "negatives" not in samples and not names & set(tuned["settings"])
    config("study.yaml", "cells.segment-pair.format.negatives", "corpus")
    for name, value in {"decay_all": True, "clip_norm": 1.0, "head_dropout": 0.0}.items():
        config("study.yaml", f"finetuning.bert.default.{name}", value)
    config("study.yaml", "finetuning.bert.default.group_by_length", True)
    samples, tuned = recipes()
    assert samples["negatives"] == "corpus"
    assert names & set(tuned["settings"]) == {"decay_all", "clip_norm", "head_dropout"}
    assert tuned["settings"]["head_dropout"] == 0.0


def test_single_formats_have_no_negatives(config):
    config("study.yaml", "cells.doc-sentences.format.negatives", "corpus")
    with pytest.raises(StudyError, match="negatives needs a pair format, not doc-sentences"):
        Study("smoke")


def test_a_scale_leaves_out_columns_and_their_trainings_and_says_why(config):
    before = {job.names["task"] for job in Study("smoke").table_jobs("table2")}
    reason = "at this scale no model does better than chance"
    config("scales/smoke.yaml", "left_out", {"race": reason, "grammar": "no pairs", "cola": reason})
    study = Study("smoke")
    table2 = study.config.tables["table2"]
    assert [column.label for column in table2.columns] == [
        "SQuAD 1.1",
        "SQuAD 2.0",
        "MNLI-m",
        "SST-2",
    ]
    assert table2.notes == [f"Left out: RACE; {reason}."]
    assert {job.names["task"] for job in study.table_jobs("table2")} == before - {"race"}
    table5 = study.config.tables["table5"]
    assert "cola.matthews" not in {column.name for column in table5.columns}
    assert table5.notes[-1] == f"Left out: CoLA; {reason}." and table5.average
    # A table of nothing else shows what was asked for.
    for table in ("table7", "table_grammar"):
        assert study.config.tables[table] == Study("demo").config.tables[table]
