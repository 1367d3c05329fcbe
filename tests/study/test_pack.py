"""A packed study: what is in it, what is not, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
import results_toy
from project import ROOT

from analysis import hyperparameters, provenance, table
from model.stages import source
from study import pack
from study.archive import read_archive
from study.errors import StudyError
from study.graph import Study
from study.identity import key_of, seed_recipe
from study.jobs import needed
from study.manifest import load_manifest
from study.record import current_file

SECRET = "a passage of the corpus"
OPTIONS = ["--scale", "smoke"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A project with a finished Table 1 whose runs hold passages; leave as it is."""
    project = tmp_path_factory.mktemp("packed")
    shutil.copytree(ROOT / "config", project / "config")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        study = Study("smoke")
        results_toy.write_study(study, needed(study.shown_jobs("table1")))
        for job in study.table_jobs("table1"):
            write_predictions(job)
        table.main(["table1", *OPTIONS, "--output", "results/table1.csv"])
        provenance.main(["table1", *OPTIONS, "--output", "results/provenance/table1.json"])
        hyperparameters.main(["table9", *OPTIONS, "--output", "results/table9.csv"])
    return project


def write_predictions(job):
    """Runs of a fine-tuning's seeds with predictions, which of SQuAD are text."""
    tuned = load_manifest(job.path)
    for seed in job.recipe["seeds"]:
        recipe = seed_recipe(job.recipe, seed)
        figures = tuned.figures["seeds"][str(seed)]
        files = {"metrics.json": "{}", "predictions.parquet": "numbers"}
        if job.names["task"].startswith("squad"):
            files |= {"predictions.parquet": SECRET, "predictions.json": SECRET}
        path = Path(job.path).parent / f"seed-{seed}.json"
        results_toy.write_run(path, recipe, key_of(recipe), figures, {}, files)


@pytest.fixture
def project(packed, tmp_path, monkeypatch):
    """A copy that a test may change, as the current folder."""
    copy = tmp_path / "project"
    shutil.copytree(packed, copy)
    monkeypatch.chdir(copy)
    return copy


def members(*words):
    """What `pack` writes for these words."""
    pack.main(["study.zip", *OPTIONS, *words])
    return read_archive(Path("study.zip"), lambda name: True)


def test_it_holds_what_results_rest_on_without_weights_texts_and_this_machine(project):
    found = members("table1")
    names = set(found)
    study = Study("smoke")
    assert {job.path for job in needed(study.shown_jobs("table1"))} <= names
    assert {"results/table1.csv", "results/table1.md", "results/table1.tex"} <= names
    assert {"results/provenance/table1.json", "results/PACKED.md"} <= names
    assert {"config/study.yaml", "config/scales/smoke.yaml", "config/paper/table1.yaml"} <= names
    assert not any(name.startswith("results/table9") for name in names)
    predictions = {name for name in names if Path(name).name == "predictions.parquet"}
    assert {Path(name).parts[5] for name in predictions} == {"mnli", "sst2"}
    kinds = {Path(name).suffix for name in names}
    assert kinds == {".csv", ".md", ".tex", ".json", ".yaml", ".parquet"}
    everything = b"".join(found.values())
    assert SECRET.encode() not in everything
    of_runs = [json.loads(found[name]) for name in names if name.endswith("/provenance.json")]
    assert all({"host", "command"}.isdisjoint(told) for told in of_runs)
    assert {told["processor"] for told in of_runs} == {"Processor"}


def test_the_same_study_gives_the_same_bytes_also_packed_from_what_was_unpacked(
    project, tmp_path, monkeypatch
):
    first = members("results/table1.csv")
    archive = Path("study.zip").read_bytes()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.unpack_archive("study.zip", elsewhere)
    monkeypatch.chdir(elsewhere)
    assert current_file(Study("smoke"), "table1") == Path("results/table1.csv")
    assert members("results/table1.csv") == first
    assert Path("study.zip").read_bytes() == archive


def test_results_of_a_scale_that_is_not_shown_now_are_packed_where_they_belong(project):
    first = members("table1")
    hyperparameters.main(["table9", "--scale", "demo", "--output", "results/table9.csv"])
    for file in Path("results").glob("table1.*"):
        file.write_text("of another scale")
    record = Path("runs/identity/results/table1.csv.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"identity": "0" * 12}))
    assert members("table1") == first
    assert {"results/table9.md", "results/table1.md"} <= set(members("table1", "table9"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], r"results/\S+ \(and \d+ more\): not there as scale=smoke asks for it; snake"),
        (["all"], r"results/\S+ \(and \d+ more\): not there as scale=smoke asks for it"),
        (["table2"], r"results/table2\.csv \(and 1 more\): not there as scale=smoke asks"),
        (["table1", "--replicates", "2"], r"table1\.csv .*: not there as scale=smoke replicates=2"),
        (["tabel1"], r"tabel1: no such result, did you mean table1\?"),
        (["results/submission/squad20.json"], r"squad20\.json: holds answers that quote passages"),
    ],
)
def test_what_is_not_finished_is_refused(project, words, line):
    with pytest.raises(StudyError, match=line):
        members(*words)
    assert not Path("study.zip").exists()


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("results/table1.md", r"results/table1\.csv.*: not there as scale=smoke asks"),
        ("runs/smoke/sources/mnli/*.json", r"sources/mnli/\w+\.json: not a manifest"),
        ("runs/smoke/finetune/*/*/sst2/*/metrics.json", r"metrics\.json: 5 bytes, expected 2"),
        ("runs/smoke/finetune/*/*/sst2/*/predictions.parquet", r"predictions\.parquet: 5 bytes"),
    ],
)
def test_what_was_altered_is_refused(project, pattern, line):
    altered = next(Path().glob(pattern))
    altered.write_text("other")
    with pytest.raises(StudyError, match=line) as refused:
        members("table1")
    assert "\n" not in str(refused.value)
    assert not Path("study.zip").exists()


def test_a_study_file_elsewhere_is_refused(project, tmp_path):
    shutil.copytree("config", tmp_path / "other")
    with pytest.raises(StudyError, match=r"other/\S+: lies outside this folder"):
        pack.main(["study.zip", *OPTIONS, "table9", "--study", str(tmp_path / "other/study.yaml")])


def test_a_study_of_files_of_ones_own_opens_without_them(project, tmp_path, monkeypatch):
    Path("own.csv").write_text("text,opinion\nGood.,good\nBad.,bad\n")
    Path("my.yaml").write_text("""like: config/study.yaml
tasks:
  own: {like: sst2, source: {file: own.csv}, texts: [text], label: opinion, labels: [bad, good],
        dev_fraction: 0.5, dev: train, more_dev: null, test: null}
tables:
  other:
    caption: Own data.
    columns: [{task: own, metric: accuracy, label: own}]
    rows: [{id: a, label: a, cell: doc-sentences}]
""")
    [(key, place)] = Study("smoke", "my.yaml").jobs.places.items()
    assert place == "own.csv"
    own = Study("smoke", "my.yaml").jobs.source("own")
    with pytest.raises(StudyError, match=rf"{own.path}: .*snakemake"):
        members("results/table1.csv", "--study", "my.yaml")
    words = ["--recipe", own.recipe_json, "--manifest", own.path]
    source.main([*words, "--places", json.dumps({key: place})])
    found = members("results/table1.csv", "--study", "my.yaml")
    assert own.path in found and "own.csv" not in found
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.unpack_archive("study.zip", elsewhere)
    monkeypatch.chdir(elsewhere)
    assert Study("smoke", "my.yaml").jobs.source("own").path == own.path
    assert members("results/table1.csv", "--study", "my.yaml") == found


def test_all_files_of_a_study_that_is_like_another_are_in_it(edit):
    Path("mine.yaml").write_text("like: more/theirs.yaml\ninclude: [cells.yaml]\n")
    Path("cells.yaml").write_text("cells: {rate-30: {like: blocks, masking: {rate: 0.3}}}\n")
    Path("other.yaml").touch()
    Path("more").mkdir()
    Path("more/theirs.yaml").write_text("like: config/study.yaml\n")
    files = {str(path) for path in pack.config_files(Study("smoke", "mine.yaml"))}
    assert files > {"mine.yaml", "cells.yaml", "more/theirs.yaml", "config/study.yaml"}
    assert files > {"config/study/cells.yaml", "config/scales/smoke.yaml"}
    assert "other.yaml" not in files
