"""The whole smoke-scale Table 2 through Snakemake, and what a change re-runs (exactly)."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import smoke
from project import ROOT
from smoke import TABLE, edit, planned, snakemake

from study.stages import VERSIONS

GOLDEN = ROOT / "tests/golden" / "smoke.json"
GUARDED = (
    *("sentences", "vocabulary", "tokens", "store", "samples", "pair samples"),
    *("features", "finetune"),
)

pytestmark = pytest.mark.slow


def make_table_directly(project: Path) -> subprocess.CompletedProcess:
    """The table's own command, which Snakemake would only run after its inputs."""
    return subprocess.run(
        [sys.executable, "-m", "analysis.table", "table2", "--scale", "smoke", "--output", "x.csv"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def reverse_keys(data):
    if isinstance(data, dict):
        return {key: reverse_keys(data[key]) for key in reversed(data)}
    return data


def test_table2_holds_four_rows_of_five_tasks_from_all_seeds(finished):
    frame = pd.read_csv(finished / TABLE)
    ours = frame[frame["cell"].notna()]
    assert list(ours["row"]) == ["segment_pair", "sentence_pair", "full_sentences", "doc_sentences"]
    for column in ("squad11.f1", "squad20.f1", "mnli.accuracy", "sst2.accuracy", "race.accuracy"):
        assert ours[f"{column}.median"].between(0, 100).all()
        assert (ours[f"{column}.seeds"] == 2).all()
    assert (finished / "results/table2.md").exists()
    assert (finished / "results/table2.tex").exists()
    names = {path.name for path in finished.iterdir()}
    assert names <= {*smoke.PARTS, "hub", "runs", "results", ".snakemake"}


def test_golden_results_guard_the_stage_versions(finished, tmp_path):
    """Other bytes, or other losses, at an unchanged version would pass for results of old code."""
    found = {stage: {"version": VERSIONS[stage], "results": {}} for stage in GUARDED}
    for path in sorted((finished / "runs/smoke").rglob("*.json")):
        data = json.loads(path.read_text()) if re.fullmatch(r"[0-9a-f]{12}", path.stem) else {}
        name = path.parent.relative_to(finished / "runs/smoke").as_posix()
        stage = data.get("stage")
        if stage == "samples" and "-pair-" in name:
            stage = "pair samples"
        if stage in GUARDED and stage != "finetune":
            files = {file: entry["sha256"][:12] for file, entry in data["files"].items()}
            found[stage]["results"][name] = files
    runs = finished / "runs/smoke/finetune/full-sentences/seed-0"
    for task in ("squad20", "sst2", "race"):
        key = json.loads((runs / task / "seed-0.json").read_text())["key"]
        lines = (runs / task / key / "log.jsonl").read_text().splitlines()
        losses = [json.loads(line)["loss"] for line in lines]
        found["finetune"]["results"][task] = [round(loss, 4) for loss in losses]
    (tmp_path / "smoke.json").write_text(json.dumps(found, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    for stage in GUARDED:
        told = f"{stage}: bump study.stages.VERSIONS and renew {GOLDEN} with {tmp_path}/smoke.json"
        assert golden[stage]["version"] == found[stage]["version"], told
        if stage != "finetune":
            assert golden[stage]["results"] == found[stage]["results"], told
    for task, losses in found["finetune"]["results"].items():
        expected = golden["finetune"]["results"][task]
        assert losses == pytest.approx(expected, abs=1e-3), f"finetune {task}: {told}"


def test_a_second_run_does_nothing(finished):
    assert planned(finished) == {}
    again = snakemake(finished, TABLE)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_one_recipe_key_of_one_cell_reruns_exactly_that_cell(project):
    def change(data):
        data["cells"]["doc-sentences"]["optimiser"] = {"learning_rate": 0.002}

    edit(project, "study.yaml", change)
    tasks = ["mnli", "race", "squad11", "squad20", "sst2"]
    assert planned(project) == {
        "pretrain": ["pretrain/doc-sentences/seed-0"],
        "finetune": [f"finetune/doc-sentences/seed-0/{task}" for task in tasks],
        "table": ["results/table2.csv"],
    }


def test_one_finetuning_key_reruns_that_task_only(project):
    def change(data):
        data["finetuning"]["bert"] = {"squad20": {"batch": 4}}

    edit(project, "scales/smoke.yaml", change)
    cells = ["doc-sentences", "full-sentences", "segment-pair", "sentence-pair"]
    assert planned(project) == {
        "finetune": [f"finetune/{cell}/seed-0/squad20" for cell in cells],
        "table": ["results/table2.csv"],
    }


def test_execution_order_of_keys_touching_and_moving_rerun_nothing(project):
    def change(data):
        data["execution"] |= {"finetune": {"micro_batch_tokens": 512}, "pretrain": {"threads": 2}}

    edit(project, "scales/smoke.yaml", change)
    edit(project, "study.yaml", reverse_keys)
    for path in [*project.glob("runs/**/*.json"), *project.glob("hub/**/*"), *project.glob("*")]:
        path.touch()
    assert planned(project) == {}


def test_without_snakemakes_metadata_a_changed_recipe_is_still_noticed(project):
    shutil.rmtree(project / ".snakemake")
    assert planned(project) == {}

    def change(data):
        data["cells"]["doc-sentences"]["masking"] = {"rate": 0.2}

    edit(project, "study.yaml", change)
    assert planned(project)["pretrain"] == ["pretrain/doc-sentences/seed-0"]
    refused = make_table_directly(project)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: 5 of 20 scores are missing or of another recipe")
    assert refused.stderr.count("\n") == 1
    assert not (project / "x.csv").exists()


def test_a_result_that_was_forged_into_place_is_refused(project):
    def change(data):
        data["cells"]["doc-sentences"]["steps"] = 21

    manifests = project.glob("runs/smoke/finetune/doc-sentences/seed-0/*/????????????.json")
    old = {path.parent: path for path in manifests}
    edit(project, "study.yaml", change)
    new = re.findall(
        r"runs/smoke/finetune/doc-sentences/seed-0/(\w+)/([0-9a-f]{12})\.json",
        snakemake(project, "-n", TABLE).stdout,
    )
    assert len(set(new)) == 5
    for task, key in set(new):
        folder = project / "runs/smoke/finetune/doc-sentences/seed-0" / task
        shutil.copy(old[folder], folder / f"{key}.json")
    refused = make_table_directly(project)
    assert refused.returncode == 2
    assert "field key: made from recipe" in refused.stderr
    assert not (project / "x.csv").exists()


def test_a_single_cell_is_one_command(project):
    result = snakemake(project, "results/cells/doc-sentences.csv")
    assert result.returncode == 0, result.stderr
    frame = pd.read_csv(project / "results/cells/doc-sentences.csv")
    assert set(frame["cell"]) == {"doc-sentences"}
    assert set(frame["task"]) == {"squad11", "squad20", "mnli", "sst2", "race"}


def test_figures_and_provenance_are_targets_of_their_own(project):
    """A figure or record that stands is drawn again for another recipe, and for nothing else."""
    targets = {
        "results/figures/table2.png": "table_figure",
        "results/provenance/table2.json": "table_provenance",
    }
    for target in targets:
        result = snakemake(project, target)
        assert result.returncode == 0, result.stderr
        assert planned(project, target) == {}
    assert (project / "results/figures/table2.pdf").read_bytes().startswith(b"%PDF")
    record = json.loads((project / "results/provenance/table2.json").read_text())
    assert len(record["tables"]["table2"]) == 7
    assert not any("note" in run for run in record["runs"].values())
    assert all(run["wall_seconds"] is not None for run in record["runs"].values())
    edit(project, "study.yaml", lambda data: data["finetuning"]["bert"].update(sst2={"batch": 4}))
    for target, rule in targets.items():
        assert planned(project, target)[rule] == [target]


def test_curves_train_nothing_and_wait_for_what_is_asked_for(project):
    curves = "results/figures/curves.png"
    assert planned(project, curves) == {"curves": [curves]}
    result = snakemake(project, curves)
    assert result.returncode == 0, result.stderr
    assert planned(project, curves) == {}
    told = snakemake(project, "-n", "all")
    waits = re.search(r"rule curves:\n    input: (.*)", told.stdout + told.stderr)[1]
    assert "pretrain/static-segment-pair/" in waits
    (manifest,) = project.glob("runs/smoke/pretrain/doc-sentences/seed-0/*.json")
    manifest.rename(project / "elsewhere.json")
    assert planned(project, curves) == {"curves": [curves]}


def test_another_recipe_and_back_never_shows_the_wrong_result(project):
    """Without Snakemake's metadata as well: a result knows what it stands for."""
    target = "results/cells/doc-sentences.csv"
    recipes = project / "config/study/finetuning.yaml"
    before = recipes.read_text()
    assert snakemake(project, target).returncode == 0
    first = (project / target).read_bytes()
    edit(project, "study.yaml", lambda data: data["finetuning"]["bert"].update(sst2={"batch": 4}))
    assert snakemake(project, target).returncode == 0
    assert (project / target).read_bytes() != first
    recipes.write_text(before)
    shutil.rmtree(project / ".snakemake")
    assert planned(project, target) == {"cell_scores": [target]}
    assert snakemake(project, target).returncode == 0
    assert (project / target).read_bytes() == first


def test_other_files_in_the_mirror_are_refused_and_a_moved_mirror_is_found(project):
    (project / "hub").rename(project / "elsewhere")
    assert snakemake(project, "-n", TABLE, mirror="elsewhere").returncode == 0
    file = project / "elsewhere/nyu-mll/glue/sst2/train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes() + b"x")
    refused = snakemake(project, "-n", TABLE, mirror="elsewhere")
    assert refused.returncode == 2
    line = refused.stderr.splitlines()[-1]
    size = file.stat().st_size
    differs = f"00000-of-00001.parquet: {size} bytes, expected {size - 1}, not as "
    assert f"{differs}runs/smoke/sources/sst2/" in line
    assert "name it in the study file (source: {folder: DIR})" in line


def test_a_moved_mirror_serves_new_jobs(project):
    (project / "hub").rename(project / "elsewhere")
    edit(
        project,
        "scales/smoke.yaml",
        lambda data: data["finetuning"].update(bert={"sst2": {"length": 32}}),
    )
    features = planned(project, mirror="elsewhere")["features"]
    assert [name.split("/")[1] for name in features] == ["sst2"]
    path = snakemake(project, "-n", TABLE, mirror="elsewhere").stdout
    found = re.search(r"runs/smoke/features/sst2/\S+\.json", path)[0].rstrip(",")
    result = snakemake(project, found, mirror="elsewhere")
    assert result.returncode == 0, result.stderr


def test_paper_scale_dry_runs(project):
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--config", "scale=paper", "--", TABLE],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", result.stdout + result.stderr, re.MULTILINE))
    assert counts["pretrain"] == "4"
    assert counts["finetune"] == "20"
    assert counts["sentences"] == "48"


def test_without_a_target_everything_is_planned(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--config", "scale=smoke"],
        cwd=smoke.copy_project(tmp_path / "project"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert re.search(r"^all +1$", result.stdout + result.stderr, re.MULTILINE)


@pytest.mark.parametrize("seed", range(3))
def test_several_results_are_planned_in_a_new_clone(tmp_path, seed):
    """In whatever order Snakemake takes its targets, which is that of their hashes."""
    targets = [f"results/{name}" for name in ("table1.csv", "table9.csv", "provenance.json")]
    project = smoke.copy_project(tmp_path / "project")
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--config", "scale=smoke", "--", *targets],
        cwd=project,
        env=os.environ | {"PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_a_study_needs_none_of_the_papers_tables(tmp_path):
    """Own tables alone are a study; what is made of others says which it lacks."""
    project = smoke.copy_project(tmp_path / "project")
    smoke.write_hub(project / "hub")

    def keep_table1(data):
        data["tables"] = {"table1": data["tables"]["table1"]}

    edit(project, "study.yaml", keep_table1)
    assert "table" in planned(project, "results/table1.csv")
    result = snakemake(project, "-n", "results/submission/glue.zip")
    assert result.returncode != 0
    said = result.stdout + result.stderr
    assert "results/submission/glue: config/study.yaml: tables: no table5" in said


def test_a_failed_study_ends_with_what_snakemake_said(project):
    """And only with that: what an earlier or another call printed stays in the log, unsaid."""
    log = project / "runs/smoke/logs/snakemake.log"
    log.write_text("printed by another call\n")
    edit(project, "study.yaml", lambda data: data["corpora"]["wiki"].update(column="texts"))
    command = [sys.executable, "-m", "study.watch", TABLE, "--scale", "smoke", "--mirror", "hub"]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "no column texts; found id, url, title, text" in result.stderr
    assert "printed by another call" not in result.stderr
    assert log.read_text().startswith("printed by another call\n")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["scale=huge"], "no such scale; there are: "),
        (
            ["scale=smoke", "mirrorr=x"],
            "--config mirrorr: unknown key, did you mean mirror?",
        ),
    ],
)
def test_bad_settings_end_with_one_line(finished, settings, message):
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "--config", *settings, "--", TABLE],
        cwd=finished,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    errors = [line for line in result.stderr.splitlines() if "Using workflow" not in line]
    assert len(errors) == 1
    assert message in errors[0]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("results/tabel2.csv", "error: tabel2: no such result, did you mean table2?"),
        ("table2", "error: table2: no file of results/table2, as results/table2.csv is"),
    ],
)
def test_a_misspelt_target_ends_with_the_name_that_is_meant(finished, target, message):
    result = snakemake(finished, "-n", target)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == message


def test_lint_is_clean(finished):
    result = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint", "--config", "scale=smoke"],
        cwd=finished,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "your workflow is in a good condition" in result.stdout + result.stderr
