"""Submission files against a validator that knows the leaderboards' rules and nothing of ours."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import smoke
import yaml
from glue_validator import validate
from hypothesis import given
from hypothesis import strategies as st
from predictions_toy import OUTPUTS, publish_seeds, rewrite
from project import ROOT

from analysis.submission import main
from analysis.winograd import match_rows
from model.stages.source import main as fetch
from model.text.sources import source_files
from study.digests import sha256_file
from study.errors import StudyError
from study.glue import GLUE
from study.graph import Study
from study.manifest import load_manifest, publish_manifest, seed_run

ARGUMENTS = ["--scale", "smoke", "--output"]
# Of eight schemas the first and the last hold.
SCHEMAS = {
    "id": list("abcdefgh"),
    "label": [0, 1] * 4,
    "margin": [0.5, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 0.5],
}
# Test examples: those of tests/smoke.py, else those that the generator was asked for.
ROWS = dict.fromkeys(GLUE, 8) | dict.fromkeys(
    ("AX.tsv", "MNLI-m.tsv", "MNLI-mm.tsv", "SST-2.tsv"), 6
)


def outputs_of(job):
    """Predictions of as many rows as the task's test sets have."""
    kind, name = job.recipe["task"]["kind"], job.recipe["task"]["name"]
    if kind == "wsc":
        return SCHEMAS
    rows = 6 if name in ("mnli", "sst2") else 8
    columns = {key: (values * rows)[:rows] for key, values in OUTPUTS[kind].items()}
    if kind == "ranking":
        columns["question"] = [row // 2 for row in range(rows)]
    return columns


def publish_table5(study, diverged=()):
    """Table 5's fine-tunings; of the pre-training seeds in `diverged`, all as diverged."""
    for job in study.table_jobs("table5"):
        lost = any(f"/seed-{seed}/" in job.path for seed in diverged)
        publish_seeds(job, 50, outputs_of(job), diverged=job.recipe["seeds"] if lost else ())


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A smoke study whose Table 5 and 6 are finished, with the files of its test sets."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    smoke.write_hub("hub")
    study = Study("smoke")
    publish_table5(study)
    for job in study.table_jobs("table6"):
        publish_seeds(job, 50)
    for job in study.result_jobs("submission/glue"):
        if job.stage == "source":
            fetch(["--recipe", job.recipe_json, "--manifest", job.path, "--mirror", "hub"])
    return study


def zipped_lines(path, name):
    """Lines of one file of a zip, without the header."""
    with zipfile.ZipFile(path) as archive:
        return archive.read(name).decode().splitlines()[1:]


def test_the_zip_passes_the_validator(study):
    main(["glue", *ARGUMENTS, "glue.zip"])
    archive = Path("glue.zip").read_bytes()
    assert validate(archive, ROWS) == []
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        rte = found.read("RTE.tsv").decode()
        assert rte.startswith("index\tprediction\n0\tentailment\n1\tentailment\n2\t")
        # QNLI is ranked: one sentence of the question answers it, the other does not.
        assert found.read("QNLI.tsv").decode().split()[:6] == [
            *("index", "prediction", "0", "not_entailment", "1", "entailment"),
        ]
        assert found.read("STS-B.tsv").decode().split()[:6] == [
            *("index", "prediction", "0", "1.000", "1", "2.000"),
        ]
        predicted = [line.split()[1] for line in found.read("WNLI.tsv").decode().splitlines()]
        assert predicted == ["prediction", *"10000001"]
    main(["glue", *ARGUMENTS, "again.zip"])
    assert Path("again.zip").read_bytes() == archive


def rewrite_test_set(study, task, change):
    """Put `change` of a task's test set in its place, as if the source had been fetched so."""
    source = load_manifest(study.jobs.source(task).path)
    (path,) = source_files(source, "test")
    pq.write_table(change(pq.read_table(path)), path)
    for entry in source.figures["files"]["test"]:
        entry |= {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    publish_manifest(source.path, source.recipe, files=[], figures=source.figures)
    return path


def numbered(idx):
    """A change of a table: other values of its column idx."""

    def change(table):
        place = table.schema.get_field_index("idx")
        return table.set_column(place, "idx", pa.array(idx, table.schema.field("idx").type))

    return change


def test_rows_are_numbered_by_the_test_sets_idx(study):
    main(["glue", *ARGUMENTS, "before.zip"])
    order = [3, 0, 7, 1, 6, 2, 5, 4]
    for task in ("stsb_from_mnli", "qnli_ranking", "wnli"):
        rewrite_test_set(study, task, numbered(order))
    main(["glue", *ARGUMENTS, "after.zip"])
    assert validate(Path("after.zip").read_bytes(), ROWS) == []
    assert zipped_lines("after.zip", "RTE.tsv") == zipped_lines("before.zip", "RTE.tsv")
    for name in ("STS-B.tsv", "QNLI.tsv", "WNLI.tsv"):
        before = [line.split("\t")[1] for line in zipped_lines("before.zip", name)]
        expected = [f"{row}\t{before[order.index(row)]}" for row in range(8)]
        assert zipped_lines("after.zip", name) == expected != zipped_lines("before.zip", name)


@pytest.mark.parametrize(
    ("idx", "message"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 6], "row 7: 6 stands in row 6 too"),
        ([0, 1, 2, None, 4, 5, 6, 7], "row 3: None, expected 0 to 7, each once"),
        ([1, 2, 3, 4, 5, 6, 7, 8], "row 7: 8, expected 0 to 7, each once"),
        ([-1, 1, 2, 3, 4, 5, 6, 7], "row 0: -1, expected 0 to 7, each once"),
    ],
)
def test_a_test_set_whose_numbers_are_not_each_once_is_refused(study, idx, message):
    path = rewrite_test_set(study, "cola", numbered(idx))
    with pytest.raises(StudyError) as error:
        main(["glue", *ARGUMENTS, "glue.zip"])
    assert str(error.value) == f"{path}: column idx: {message}"
    assert not Path("glue.zip").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.slice(0, 5), r"^CoLA\.tsv: 8 predictions for 5 test examples"),
        (
            lambda table: table.drop_columns(["idx"]),
            r"test.*\.parquet: no column idx; it has sentence, label$",
        ),
    ],
)
def test_a_test_set_without_numbers_or_of_another_length_is_refused(study, change, message):
    rewrite_test_set(study, "cola", change)
    with pytest.raises(StudyError, match=message):
        main(["glue", *ARGUMENTS, "glue.zip"])


def test_the_zip_is_of_one_pretraining_that_has_a_model_for_every_file(study):
    study = Study("smoke", replicates=3)
    publish_table5(study, diverged=[0])
    arguments = ["glue", *ARGUMENTS, "glue.zip", "--replicates", "3"]
    # Of the second pre-training, CoLA is lost: all files are the third one's.
    for setting in study.config.settings("large-160gb-500k", "cola"):
        job = study.jobs.finetune("large-160gb-500k", 1, "cola", setting)
        publish_seeds(job, 50, outputs_of(job), diverged=[0, 1])
    for setting in study.config.settings("large-160gb-500k", "stsb_from_mnli"):
        job = study.jobs.finetune("large-160gb-500k", 2, "stsb_from_mnli", setting)
        publish_seeds(job, 50, {**outputs_of(job), "prediction": [4.0] * 8})
    main(arguments)
    assert zipped_lines("glue.zip", "STS-B.tsv")[0] == "0\t4.000"
    publish_table5(study, diverged=[0, 1, 2])
    with pytest.raises(
        StudyError, match=r"every fine-tuning diverged that these files need, of pre"
    ):
        main(arguments)


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
    job = study.jobs.finetune("large-160gb-500k", 0, "squad20")
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
    path = Path("config/study/tables.yaml")
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
    path = Path("config/study/tasks.yaml")
    data = yaml.safe_load(path.read_text())
    data["tasks"]["cola"]["test"] = {"other": "test"}
    path.write_text(yaml.safe_dump(data))
    publish_table5(Study("smoke"))
    with pytest.raises(StudyError, match=r"tasks\.cola\.test: no split test at scale smoke"):
        main(["glue", *ARGUMENTS, "glue.zip"])


def test_squad_answers_are_of_the_submitted_cell(study):
    """Its fine-tunings are what the file is made of, whatever Table 6 shows."""
    path = Path("config/study/tables.yaml")
    data = yaml.safe_load(path.read_text())
    del data["tables"]["table6"]
    path.write_text(yaml.safe_dump(data))
    study = Study("smoke")
    jobs = study.result_jobs("submission/squad20")
    assert {job.names["cell"] for job in jobs} == {"large-160gb-500k"}
    for row in data["tables"]["table5"]["rows"]:
        if row.get("ensemble"):
            row["cell"] = "base-160gb-500k"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(
        StudyError, match=r"cells\.base-160gb-500k: no table shows it on task squad20"
    ):
        Study("smoke").result_jobs("submission/squad20")
