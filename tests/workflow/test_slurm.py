"""`snakemake --profile slurm` on a real SLURM of one machine (slurm_cluster.py).

Needs root and Debian's slurm-wlm and munge; skipped elsewhere with the reason. REQUIRE_SLURM=1
(CI) makes a missing SLURM a failure.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import slurm_cluster as slurm
import small_study
import smoke
from project import ROOT

# A cluster of our own may be asked often; jobs are short and its disk is local.
IMPATIENT = [
    *("--slurm-init-seconds-before-status-checks", "2"),
    *("--seconds-between-status-checks", "1"),
    *("--latency-wait", "5"),
]

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def slurm_cluster() -> Iterator[slurm.SlurmCluster]:
    """A private SLURM that runs until this module's tests are done."""
    reason = slurm.missing()
    if reason and os.environ.get("REQUIRE_SLURM"):
        pytest.fail(f"REQUIRE_SLURM is set, but {reason}")
    if reason:
        pytest.skip(reason)
    # Not pytest's folder: a socket's path is at most 107 characters long.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        cluster = slurm.SlurmCluster(Path(folder))
        yield cluster
        cluster.stop()


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The toy study beside copies of our profiles."""
    shutil.copy(ROOT / "tests/support/slurm_toy.smk", tmp_path / "Snakefile")
    for name in ("slurm", "profiles"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_failed_training_is_submitted_again_and_goes_on(slurm_cluster, toy: Path):
    """The profile alone: submission, GPU request, retry from the run directory, local table."""
    command = ["snakemake", "--profile", "slurm", *IMPATIENT, "--", "table.csv"]
    result = slurm_cluster.run(command, cwd=toy)
    assert result.returncode == 0, result.stdout
    assert (toy / "table.csv").read_text() == "a\nb\nstep 2, 1 GPU\n"
    queue = slurm_cluster.run(["squeue", "--noheader", "--states=all", "--format=%k %T"], cwd=toy)
    assert sorted(queue.stdout.splitlines()) == [
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
    idle = slurm_cluster.run(["sinfo", "--noheader", "--format=%T"], cwd=tmp_path)
    assert idle.stdout.strip() == "idle"


def test_table2_at_smoke_scale(slurm_cluster, tmp_path: Path, capsys):
    """The whole Table 2, every rule but downloads and tables a job of the cluster."""
    project = smoke.copy_project(tmp_path / "project")
    smoke.write_hub(project / "hub")
    settings = ["--config", "scale=smoke", "mirror=hub"]
    command = ["snakemake", "--profile", "slurm", *IMPATIENT, *settings, "--", "results/table2.csv"]
    began = time.monotonic()
    result = slurm_cluster.run(command, cwd=project)
    seconds = time.monotonic() - began
    assert result.returncode == 0, result.stdout
    ours = pd.read_csv(project / "results" / "table2.csv").dropna(subset="cell")
    assert len(ours) == 4
    assert (ours["race.accuracy.seeds"] == 2).all()
    queue = slurm_cluster.run(["squeue", "--noheader", "--states=all", "--format=%k"], cwd=project)
    assert sum("finetune" in line for line in queue.stdout.splitlines()) == 20
    with capsys.disabled():
        print(f"\nTable 2 at smoke scale on SLURM: {seconds:.0f} s")


def test_two_processes_train_on_the_cluster_to_the_bytes_of_one(
    slurm_cluster, small_finished, tmp_path: Path
):
    """Both training stages as jobs of the cluster, with the lines that the rules print."""
    project = small_study.untrained(small_finished, tmp_path / "project")
    small_study.change_execution(project, processes=2)
    command = ["snakemake", "--profile", "slurm", *IMPATIENT, *small_study.COMMAND[3:]]
    result = slurm_cluster.run(command, cwd=project)
    assert result.returncode == 0, result.stdout
    small_study.check_processes(project, 2)
    assert small_study.outcome(project) == small_study.outcome(small_finished)
