"""`snakemake --profile slurm` on a real SLURM of one machine (slurm_cluster.py).

Needs root and Debian's slurm-wlm and munge; skipped elsewhere with the reason. REQUIRE_SLURM=1
(CI) makes a missing SLURM a failure.
"""

import shutil
import tempfile
import time
from pathlib import Path

import pandas as pd
import pytest
import slurm_cluster as slurm
import small_study
import smoke
from project import ROOT

pytestmark = pytest.mark.slurm


def queue(cluster: slurm.SlurmCluster, form: str) -> str:
    """A line for every job that the cluster has had."""
    return "\n".join(cluster.ask("squeue", "--noheader", "--states=all", f"--format={form}"))


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The toy study beside copies of our profiles."""
    shutil.copy(ROOT / "tests/support/slurm_toy.smk", tmp_path / "Snakefile")
    for name in ("slurm", "profiles"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_failed_training_is_submitted_again_and_goes_on(slurm_cluster, toy: Path):
    """The profile alone: submission, GPU request, retry from the run directory, local table."""
    command = ["snakemake", "--profile", "slurm", *slurm.IMPATIENT, "--", "table.csv"]
    result = slurm_cluster.run(command, cwd=toy)
    assert result.returncode == 0, result.stdout
    assert (toy / "table.csv").read_text() == "a\nb\nstep 2, 1 GPU\n"
    assert sorted(queue(slurm_cluster, "%k %T").splitlines()) == [
        "rule_part_wildcards_a COMPLETED",
        "rule_part_wildcards_b COMPLETED",
        "rule_train COMPLETED",
        "rule_train FAILED",
    ]
    again = slurm_cluster.run(command, cwd=toy)
    assert again.returncode == 0 and "Nothing to be done" in again.stdout, again.stdout


def test_stopping_a_cluster_ends_its_jobs(tmp_path: Path, slurm_cluster):
    """A second cluster beside the first; the job it runs does not outlive it."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        cluster = slurm.SlurmCluster(Path(folder))
        try:
            script = "while sleep 0.1; do touch alive; done"
            submitted = cluster.run(["sbatch", "--wrap", script], cwd=tmp_path)
            assert submitted.returncode == 0, submitted.stdout
            slurm.wait_for((tmp_path / "alive").exists)
        finally:
            cluster.stop()
    (tmp_path / "alive").unlink()
    with pytest.raises(TimeoutError):
        slurm.wait_for((tmp_path / "alive").exists, seconds=0.5)
    idle = slurm_cluster.run(
        ["sinfo", "--noheader", "--partition=main", "--format=%T"], cwd=tmp_path
    )
    assert idle.stdout.strip() == "idle"


def two_rows_and_tasks(data: dict) -> None:
    """Table 2 with the formats of whole sentences, on SST-2 and RACE."""
    table = data["tables"]["table2"]
    table["columns"] = [one for one in table["columns"] if one["task"] in ("sst2", "race")]
    cells = ("full-sentences", "doc-sentences")
    table["rows"] = [row for row in table["rows"] if row.get("cell") in cells]
    del table["published"]  # which names all rows
    data["tables"] = {"table2": table}


def test_table2_at_smoke_scale(slurm_cluster, tmp_path: Path, capsys):
    """Every rule but downloads and tables is a job of the cluster."""
    project = smoke.copy_project(tmp_path / "project")
    smoke.write_hub(project / "hub")
    smoke.edit(project, "study/tables.yaml", two_rows_and_tasks)
    settings = ["--config", "scale=smoke", "mirror=hub"]
    profile = ["snakemake", "--profile", "slurm", *slurm.IMPATIENT]
    command = [*profile, *settings, "--", "results/table2.csv"]
    before, began = queue(slurm_cluster, "%k").count("finetune"), time.monotonic()
    result = slurm_cluster.run(command, cwd=project)
    seconds = time.monotonic() - began
    assert result.returncode == 0, result.stdout
    ours = pd.read_csv(project / "results" / "table2.csv").dropna(subset="cell")
    assert len(ours) == 2
    assert (ours["race.accuracy.seeds"] == 2).all()
    # Four fine-tunings, in as many jobs as there are pre-trainings.
    finetunings = [*(project / "runs/smoke/finetune").glob("*/*/*/????????????.json")]
    assert len(finetunings) == 4
    assert queue(slurm_cluster, "%k").count("finetune") == before + 2
    with capsys.disabled():
        print(f"\nTable 2 at smoke scale on SLURM: {seconds:.0f} s")


def small_command() -> list[str]:
    """The small study's command on SLURM; a failure is tried once more."""
    profile = ["snakemake", "--profile", "slurm", *slurm.IMPATIENT, "--retries", "1"]
    return [*profile, *small_study.COMMAND[3:]]


def test_two_processes_train_on_the_cluster_to_the_bytes_of_one(
    slurm_cluster, small_finished, tmp_path: Path
):
    """In pre-training on two nodes, in fine-tuning on one, with the lines that the rules print."""
    project = small_study.untrained(small_finished, tmp_path / "project")
    small_study.change_execution(project, processes=2)

    def two_nodes(data: dict) -> None:
        data["execution"]["pretrain"]["resources"] = {"nodes": 2}

    smoke.edit(project, "scales/smoke.yaml", two_nodes)
    result = slurm_cluster.run(small_command(), cwd=project)
    assert result.returncode == 0, result.stdout
    small_study.check_processes(project, 2)
    assert "2 node[1-2] rule_pretrain_wildcards_doc-sentences" in queue(slurm_cluster, "%D %N %k")
    assert small_study.outcome(project) == small_study.outcome(small_finished)


def test_a_failed_fine_tuning_costs_those_beside_it_nothing(
    slurm_cluster, small_finished, tmp_path: Path
):
    """Two share a job and one fails: the other is there at the end, and is trained once."""
    project = small_study.untrained(small_finished, tmp_path / "project", ("finetune",))
    place = "runs/smoke/finetune/doc-sentences/seed-0"
    (manifest,) = (small_finished / place / "race").glob("????????????.json")
    in_its_way = project / place / "race" / manifest.stem
    in_its_way.parent.mkdir(parents=True)
    in_its_way.write_text("no folder")
    before = queue(slurm_cluster, "%k").count("finetune")
    failed = slurm_cluster.run(small_command(), cwd=project)
    assert failed.returncode == 1
    assert "expected a folder; remove what lies there" in failed.stdout
    assert queue(slurm_cluster, "%k").count("finetune") == before + 2  # a retry
    assert len([*(project / place / "sst2").glob("????????????.json")]) == 1
    in_its_way.unlink()
    result = slurm_cluster.run(small_command(), cwd=project)
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("rule finetune:") == 1
    for path in project.glob(f"{place}/sst2/*/events.jsonl"):
        assert path.read_text().count('"start"') == 1
    assert small_study.outcome(project) == small_study.outcome(small_finished)
