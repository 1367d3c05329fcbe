"""Stopped, killed, deleted, switched over: the same snakemake command makes what is missing.

And nothing else: what a result was made for is compared by value, and looking changes nothing.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import smoke
from smoke import TABLE, planned, snakemake

from study.graph import Study

TASKS = ["mnli", "race", "squad11", "squad20", "sst2"]
ONE_CELL = {
    "pretrain": ["pretrain/doc-sentences/seed-0"],
    "finetune": [f"finetune/doc-sentences/seed-0/{task}" for task in TASKS],
    "table": [TABLE],
}

pytestmark = pytest.mark.slow


def command(project: Path, *words: str) -> subprocess.CompletedProcess:
    """Run `python -m ...` in a project."""
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=project, capture_output=True, text=True, check=False
    )


def sst2_of_doc_sentences(project: Path) -> Path:
    """The run directory of one fine-tuning."""
    (manifest,) = (project / "runs/smoke/finetune/doc-sentences/seed-0/sst2").glob(
        "?" * 12 + ".json"
    )
    return manifest.with_suffix("")


def files_of(folder: Path) -> dict[str, bytes]:
    """All files by name, but for snakemake's own."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {".snakemake", "__pycache__"} & set(path.parts)
    }


def wait_for(condition, process: subprocess.Popen) -> None:
    while not condition():
        assert process.poll() is None, "ended before it came to that"
        time.sleep(0.05)


def test_a_killed_snakemake_goes_on_with_the_same_command_and_nothing_else(project):
    """Its job lives on. Meanwhile a second snakemake may look, or make other results."""
    run, before = sst2_of_doc_sentences(project), files_of(project / "results")
    for path in run.parent.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    run.mkdir()
    log = project / f"runs/smoke/logs/finetune/doc-sentences/seed-0/sst2/{run.name}.log"
    log.unlink()
    plain = [
        "-m",
        "snakemake",
        "--cores",
        "2",
        "--config",
        "scale=smoke",
        "mirror=hub",
        "--",
        TABLE,
    ]
    with (run / "lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)  # the job waits for it
        with subprocess.Popen(
            [sys.executable, *plain],
            cwd=project,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as first:
            try:
                wait_for(lambda: log.exists() and "waiting for" in log.read_text(), first)
                second = snakemake(project, TABLE)
                assert second.returncode == 2
                (line,) = (
                    line for line in second.stderr.splitlines() if line.startswith("error: ")
                )
                assert f"at work here already (process {first.pid} on " in line
                watched = command(
                    project, "study.watch", TABLE, "--scale", "smoke", "--mirror", "hub"
                )
                assert watched.returncode == 2
                assert watched.stderr.splitlines()[-1] == line
                assert "Building DAG" not in watched.stderr
                assert planned(project)["finetune"] == ["finetune/doc-sentences/seed-0/sst2"]
                assert snakemake(project, "results/table9.csv").returncode == 0
            finally:
                first.kill()
    result = snakemake(project, TABLE)
    assert result.returncode == 0, result.stderr
    assert {name: files_of(project / "results")[name] for name in before} == before
    assert planned(project) == {}


def test_a_deleted_cell_is_trained_again(project):
    for folder in (project / "runs/smoke").glob("*/doc-sentences"):
        shutil.rmtree(folder)
    assert planned(project) == ONE_CELL


def test_a_deleted_pretraining_is_trained_again_and_what_is_whole_is_taken_over(project):
    """Also without snakemake's metadata. The same bytes come out."""
    folder = project / "runs/smoke/pretrain/doc-sentences"
    before = {name: data for name, data in files_of(folder).items() if "safetensors" in name}
    predictions = sst2_of_doc_sentences(project).parent.glob("*/predictions.parquet")
    untouched = {path: path.stat().st_ino for path in predictions}
    shutil.rmtree(folder)
    shutil.rmtree(project / ".snakemake")
    assert planned(project) == ONE_CELL
    result = snakemake(project, TABLE)
    assert result.returncode == 0, result.stderr
    after = files_of(folder)
    assert before and {name: after[name] for name in before} == before
    assert untouched and {path: path.stat().st_ino for path in untouched} == untouched
    assert planned(project) == {}


def test_a_deleted_source_is_fetched_again_and_a_run_directory_alone_costs_nothing(project):
    shutil.rmtree(sst2_of_doc_sentences(project))
    assert planned(project) == {}
    shutil.rmtree(project / "runs/smoke/sources/sst2")
    jobs = planned(project)
    assert jobs["source"] == ["sources/sst2"]
    assert [name.split("/")[1] for name in jobs["features"]] == ["sst2"]
    assert len(jobs["finetune"]) == 4 and jobs["table"] == [TABLE]
    assert "pretrain" not in jobs


def test_forgetting_a_cell_leads_to_its_training(project):
    asked = ["study.forget", "doc-sentences", "--scale", "smoke"]
    before = files_of(project)
    told = command(project, *asked, "--dry-run")
    assert told.returncode == 0, told.stderr
    assert files_of(project) == before
    lines = told.stdout.splitlines()
    assert lines[0].endswith(f"  runs/smoke/{ONE_CELL['pretrain'][0]}/" + lines[0][-12:])
    assert "shown in: table2, table2_extended, table_grammar, table_heldout" in lines
    assert lines[-1].startswith("16 runs, ") and lines[-1].endswith(" would be deleted")
    done = command(project, *asked)
    assert done.stdout.splitlines()[-1] == lines[-1].replace("would be deleted", "deleted")
    assert not list((project / "runs/smoke").glob("*/doc-sentences"))
    assert planned(project) == ONE_CELL


def test_a_task_or_a_source_is_forgotten_with_what_was_made_from_it(project):
    runs = project / "runs/smoke"
    words = ["doc-sentences", "--task", "mnli", "--source", "race", "--scale", "smoke"]
    done = command(project, "study.forget", *words)
    assert done.returncode == 0, done.stderr
    others = {"full-sentences", "segment-pair", "sentence-pair"}
    assert {path.parts[-3] for path in runs.glob("finetune/*/*/mnli")} == others
    assert not list(runs.glob("finetune/*/*/race"))
    assert not (runs / "sources/race").exists() and not (runs / "features/race").exists()
    jobs = planned(project)
    assert jobs["source"] == ["sources/race"]
    assert [name.split("/")[1] for name in jobs["features"]] == ["race"]
    assert "pretrain" not in jobs and len(jobs["finetune"]) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["doc-sentence"],
            "doc-sentence: not among the cells of config/study.yaml, did you mean doc-s",
        ),
        (["--task", "mnl"], "mnl: not among the tasks of config/study.yaml, did you mean mnli?"),
        (
            ["--source", "wikis"],
            "wikis: not among the corpora, tasks and minimal pairs of config/study.yaml, did",
        ),
        ([], "expected a CELL, --task or --source to forget"),
    ],
)
def test_a_name_that_is_not_there_is_one_line(finished, words, message):
    result = command(finished, "study.forget", *words, "--scale", "smoke")
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def other_sst2(data):
    data["finetuning"]["bert"]["sst2"] = {"batch": 4}


def test_a_run_at_work_is_neither_forgotten_nor_pruned(project):
    run = sst2_of_doc_sentences(project)
    with (run / "lock").open("r+") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        refused = command(project, "study.forget", "doc-sentences", "--scale", "smoke")
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"error: {run.relative_to(project)}: at work (")
        # Who opens and closes a file drops the locks that he has on it: no look at it here.
        assert len(list(run.parents[1].glob("*/*/lock"))) == 15
        smoke.edit(project, "study.yaml", other_sst2)
        pruned = command(project, "study.prune", "--scale", "smoke", "--delete")
    assert f"at work, stays: {run.relative_to(project).parent}\n" in pruned.stdout
    assert pruned.stdout.splitlines()[-1].startswith("9 runs, ")
    assert run.with_suffix(".json").is_file() and len(list(run.parent.glob("*/lock"))) == 3


def test_pruning_takes_what_no_configuration_asks_for(project):
    """Runs of an earlier recipe and of a cell that is gone; not those of further seeds."""
    nothing = "0 runs, 0 B to delete, with --delete\n"
    runs = project / "runs/smoke"
    fewer = {"pretraining": [3], "finetuning": [0]}
    smoke.edit(project, "scales/smoke.yaml", lambda data: data["seeds"].update(fewer))
    assert command(project, "study.prune", "--scale", "smoke").stdout == nothing
    smoke.edit(project, "study.yaml", other_sst2)
    shutil.copytree(runs / "pretrain/doc-sentences", runs / "pretrain/gone")
    listed = command(project, "study.prune", "--scale", "smoke")
    assert listed.returncode == 0, listed.stderr
    names = [line.split()[-1] for line in listed.stdout.splitlines()[:-1]]
    assert len(names) == 13
    assert all("/gone/" in name or "/sst2/" in name for name in names)
    done = command(project, "study.prune", "--scale", "smoke", "--delete")
    assert done.returncode == 0, done.stderr
    assert not any((project / name).exists() for name in names)
    assert not (runs / "pretrain/gone").exists() and not list(runs.glob("finetune/*/*/sst2"))
    assert len(list(runs.glob("finetune/*/*/mnli/*/predictions.parquet"))) == 8
    assert command(project, "study.prune", "--scale", "smoke").stdout == nothing


@pytest.fixture(scope="module")
def table9(tmp_path_factory):
    """A new clone with Table 9 at the smallest scale: made of recipes, without a run."""
    project = smoke.copy_project(tmp_path_factory.mktemp("clone") / "project")
    at_scale(project, "smoke")
    return project


@pytest.fixture
def clone(table9, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(table9, copy)
    return copy


def at_scale(project, scale, *settings, options=(), target="results/table9.csv"):
    words = [*options, "--cores", "1", "--config", f"scale={scale}", *settings, "--", target]
    result = command(project, "snakemake", *words)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def is_due(project, scale, *settings, target="results/table9.csv"):
    told = at_scale(project, scale, *settings, options=["-n"], target=target)
    return "Nothing to be done" not in told


def test_looking_writes_nothing_and_finds_nothing_odd(tmp_path):
    project = smoke.copy_project(tmp_path / "project")
    before = files_of(project)
    told = at_scale(project, "smoke", options=["-n"], target="all")
    assert files_of(project) == before
    assert "orced" not in told


def test_a_result_shows_the_scale_that_is_asked_for(clone):
    """There, elsewhere and back, with a look in between, the clock set back, no metadata."""
    first = files_of(clone / "results")
    kept = {f"scales/smoke/{path.name}" for path in (clone / "results").glob("table9.*")}
    assert is_due(clone, "laptop") and not is_due(clone, "smoke")
    at_scale(clone, "laptop")
    laptop = files_of(clone / "results")
    assert laptop["table9.md"] != first["table9.md"]
    assert {name: laptop[name] for name in kept} == {name: first[name] for name in kept}
    for path in (clone / "results").glob("*.*"):
        os.utime(path, (2e9, 2e9))
    assert is_due(clone, "smoke")
    shutil.rmtree(clone / ".snakemake")
    assert not is_due(clone, "laptop") and is_due(clone, "smoke")
    at_scale(clone, "smoke")
    assert files_of(clone / "results").items() >= first.items()
    assert not is_due(clone, "smoke")


def test_a_result_made_by_hand_is_taken_for_what_it_is(clone):
    by_hand = ["analysis.hyperparameters", "table9", "--output", "results/table9.csv", "--scale"]
    assert command(clone, *by_hand, "laptop").returncode == 0
    assert is_due(clone, "smoke") and not is_due(clone, "laptop")
    assert command(clone, *by_hand, "smoke").returncode == 0
    assert not is_due(clone, "smoke")
    other = ["analysis.hyperparameters", "table9", "--scale", "laptop", "--output"]
    for output in ("elsewhere.csv", "results/mine.csv"):
        assert command(clone, *other, output).returncode == 0
    assert not is_due(clone, "smoke")
    shutil.copy(clone / "elsewhere.md", clone / "results/table9.md")
    assert is_due(clone, "smoke")


def test_a_table_under_another_tables_name_is_made_again(clone):
    words = ["table10", "--scale", "smoke", "--output", "results/table9.csv"]
    assert command(clone, "analysis.hyperparameters", *words).returncode == 0
    assert is_due(clone, "smoke")


def test_the_plan_is_made_again_when_its_speed_or_what_is_done_changes(clone):
    """One speed written in two ways is one speed."""
    words = ["--scale", "smoke", "--flops-per-second", "1e12", "--output", "results/plan.csv"]

    def make(cores):
        made = command(clone, "analysis.plan", *words, "--cores", cores)
        assert made.returncode == 0, made.stderr

    make("1")

    def due(flops):
        return is_due(clone, "smoke", f"flops={flops}", target="results/plan.csv")

    assert not due("1e12") and not due("1000000000000") and due("2e12")
    make("2")  # for other cores than the run has
    assert due("1e12")
    make("1")
    assert not due("1e12")
    path = clone / Study("smoke", clone / "config/study.yaml").jobs.source("books").path
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    assert due("1e12")


def test_files_of_the_future_are_no_obstacle_once_the_clock_is_right(clone):
    """Snakemake refuses, and deletes, what is older than what it was made from."""
    study = Study("smoke", clone / "config/study.yaml")
    source = study.jobs.source("web").path
    (sentences,) = (
        path
        for path, job in study.jobs.items()
        if source in job.input_paths.get("source", ()) and job.stage == "sentences"
    )
    at_scale(clone, "smoke", target=source)
    before = (clone / source).read_bytes()
    os.utime(clone / source, (2e9, 2e9))
    at_scale(clone, "smoke", target=sentences)
    assert (clone / sentences).is_file() and (clone / source).read_bytes() == before
    assert not is_due(clone, "smoke", target=sentences)


@pytest.mark.parametrize("name", ["runs/smoke/logs", "results/figures"])
def test_a_file_in_a_folders_place_is_named_before_anything_is_deleted(clone, name):
    shutil.rmtree(clone / name, ignore_errors=True)
    (clone / name).write_text("")
    (clone / "results/table9.md").unlink()
    targets = ["results/table9.csv", "results/figures/curves.png"]
    words = ["--cores", "1", "--config", "scale=smoke", "--", *targets]
    refused = command(clone, "snakemake", *words)
    assert refused.returncode == 2
    assert f"\nerror: {name}: expected a folder; remove what lies there\n" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (clone / "results/table9.csv").is_file()


def test_no_cores_are_one_line(clone):
    for number in ("0", "-1"):
        words = ["--cores", number, "--config", "scale=laptop", "--", "results/table9.csv"]
        refused = command(clone, "snakemake", *words)
        assert refused.returncode == 2
        assert refused.stderr.endswith(f"error: --cores: expected at least 1, found {number}\n")
