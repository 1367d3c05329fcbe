"""Submission files against a validator that knows the leaderboards' rules and nothing of ours."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml
from glue_validator import validate
from hypothesis import given
from hypothesis import strategies as st
from predictions_toy import publish_seeds, rewrite

from analysis.submission import main
from analysis.winograd import match_rows
from model.fetch import main as fetch
from study.errors import StudyError
from study.glue import GLUE
from study.graph import Study
from study.manifest import load_manifest, seed_run

ROOT = Path(__file__).parent.parent
ARGUMENTS = ["--scale", "smoke", "--output"]
# Of eight schemas the first and the last hold.
SCHEMAS = {
    "id": list("abcdefgh"),
    "label": [0, 1] * 4,
    "margin": [0.5, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 0.5],
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A smoke study whose Table 5 and 6 are finished; tests have two examples, WSC's eight."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    study = Study("smoke")
    for job in study.table_jobs("table5") + study.table_jobs("table6"):
        publish_seeds(job, 50, SCHEMAS if job.recipe["task"]["kind"] == "wsc" else None)
    for task in ("wnli", "wsc"):
        job = study.source_job(task)
        fetch(["--recipe", job.recipe_json, "--manifest", job.path])
    return study


def test_the_zip_passes_the_validator(study):
    main(["glue", *ARGUMENTS, "glue.zip"])
    archive = Path("glue.zip").read_bytes()
    assert validate(archive, dict.fromkeys(GLUE, 2) | {"WNLI.tsv": 8}) == []
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        assert found.read("RTE.tsv").decode() == "index\tprediction\n0\tentailment\n1\tentailment\n"
        # QNLI is ranked: one sentence of the question answers it, the other does not.
        assert found.read("QNLI.tsv").decode().split() == [
            *("index", "prediction", "0", "not_entailment", "1", "entailment"),
        ]
        assert found.read("STS-B.tsv").decode().split() == [
            *("index", "prediction", "0", "1.000", "1", "2.000"),
        ]
        predicted = [line.split()[1] for line in found.read("WNLI.tsv").decode().splitlines()]
        assert predicted == ["prediction", *"10000001"]
    main(["glue", *ARGUMENTS, "again.zip"])
    assert Path("again.zip").read_bytes() == archive


def test_the_validator_finds_faults():
    def zipped(files):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return buffer.getvalue()

    good = {name: "index\tprediction\n" for name in GLUE}
    assert validate(zipped(good), {}) == []
    faults = validate(zipped({**good, "RTE.tsv": "index\tprediction\n0\t1\n", "x.tsv": ""}), {})
    assert faults == ["x.tsv: no such file in GLUE", "RTE.tsv: line 0: 1 is no class"]
    del good["CoLA.tsv"]
    assert "CoLA.tsv: missing" in validate(zipped(good), {})
    assert validate(zipped(good), {"RTE.tsv": 3}) == [
        "CoLA.tsv: missing",
        "RTE.tsv: 0 rows, expected 3",
    ]
    assert validate(zipped({**good, "STS-B.tsv": "index\tprediction\n0\t5.5\n"}), {})[-1].endswith(
        "0..5"
    )


def test_wnli_rows_are_answered_by_the_schemas_with_their_text():
    schemas = ["It rained.", 'He said: "No."', "It rained.", "She  left ."]
    pairs = ["He said: No.", "it rained.", "It rained.", "She left."]
    assert match_rows(pairs, schemas) == [1, 0, 2, 3]
    with pytest.raises(StudyError, match=r"test\.parquet: row 1: WSC's test split has no schema"):
        match_rows(["It rained.", "It snowed."], schemas, "test.parquet")
    with pytest.raises(StudyError, match="row 2: WSC's test split has no schema left"):
        match_rows(["It rained."] * 3, schemas)
    with pytest.raises(StudyError, match="1 rows, WSC's test split has 4"):
        match_rows(["It rained."], schemas)


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.randoms())
def test_every_schema_answers_one_row(texts, random):
    shuffled = random.sample(texts, len(texts))
    order = match_rows(shuffled, texts)
    assert sorted(order) == list(range(len(texts)))
    assert [texts[place] for place in order] == shuffled
    for text in set(texts):
        places = [place for place in order if texts[place] == text]
        assert places == sorted(places)


def test_squad_answers_are_those_of_the_median_seed(study):
    job = study.finetune_job("large-160gb-500k", 0, "squad20")
    for seed in job.recipe["seeds"]:
        run = seed_run(load_manifest(job.path), str(seed))
        answers = json.dumps({"q1": f"answer of seed {seed}", "q2": ""})
        rewrite(run, "predictions.json", lambda path, text=answers: path.write_text(text))
    main(["squad20", *ARGUMENTS, "squad.json"])
    assert json.loads(Path("squad.json").read_text()) == {"q1": "answer of seed 0", "q2": ""}


def test_a_scale_without_test_examples_says_so_before_anything_is_trained(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(StudyError, match=r"tasks\.mnli\.test: no split matched at scale laptop"):
        Study("laptop").result_jobs("submission/glue")


def test_what_the_zip_needs_is_asked_of_table5_and_nothing_else(study):
    """A column that GLUE does not ask for may be there; one that it asks for may not be missing."""
    path = Path("config/study.yaml")
    data = yaml.safe_load(path.read_text())
    columns = data["tables"]["table5"]["columns"]
    del data["tables"]["table5"]["published"]
    columns.append({"task": "race", "metric": "accuracy", "label": "RACE"})
    path.write_text(yaml.safe_dump(data))
    assert Study("smoke").result_jobs("submission/glue")
    for task in ("sst2", "wnli"):
        data["tables"]["table5"]["columns"] = [c for c in columns if c["task"] != task]
        path.write_text(yaml.safe_dump(data))
        with pytest.raises(StudyError, match=f"tables.table5.columns: no task {task}"):
            Study("smoke").result_jobs("submission/glue")


def test_a_task_without_the_split_of_a_file_is_named(study):
    path = Path("config/study.yaml")
    data = yaml.safe_load(path.read_text())
    data["tasks"]["cola"]["test"] = {"other": "test"}
    path.write_text(yaml.safe_dump(data))
    for job in Study("smoke").table_jobs("table5"):
        publish_seeds(job, 50)
    with pytest.raises(StudyError, match=r"tasks\.cola\.test: no split test at scale smoke"):
        main(["glue", *ARGUMENTS, "glue.zip"])


def test_squad_answers_are_of_the_submitted_cell(study):
    """Its fine-tunings are what the file is made of, whatever Table 6 shows."""
    path = Path("config/study.yaml")
    data = yaml.safe_load(path.read_text())
    del data["tables"]["table6"]
    path.write_text(yaml.safe_dump(data))
    study = Study("smoke")
    jobs = study.result_jobs("submission/squad20")
    assert {job.path.split("/")[3] for job in jobs} == {"large-160gb-500k"}
    for row in data["tables"]["table5"]["rows"]:
        if row.get("ensemble"):
            row["cell"] = "base-160gb-500k"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(
        StudyError, match=r"cells\.base-160gb-500k: no table shows it on task squad20"
    ):
        Study("smoke").result_jobs("submission/squad20")
