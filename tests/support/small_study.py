"""A study that is small enough to be stopped, killed and repeated often: one cell, two tasks.

It is the smoke scale with Table 2 cut down to the row DOC-SENTENCES and the columns SST-2 (with the
best epoch kept) and RACE, and a checkpoint after every update.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import smoke
from signals import heed_signals

TABLE = "results/table2.csv"
COMMAND = ["snakemake", "--cores", "2", "--config", "scale=smoke", "mirror=hub", "--", TABLE]
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def make_project(folder: Path, **execution) -> Path:
    """Write the project and its mirror; `execution` changes how both training stages run."""
    project = smoke.copy_project(folder)
    smoke.write_hub(project / "hub")
    smoke.edit(project, "study.yaml", _one_small_table)
    smoke.edit(project, "scales/smoke.yaml", _best_epochs)
    change_execution(project, checkpoint_minutes=0.000001, **execution)
    return project


def change_execution(project: Path, **changes) -> None:
    """Change how both training stages are computed, which re-runs nothing."""

    def change(data: dict) -> None:
        for stage in ("pretrain", "finetune"):
            data["execution"].setdefault(stage, {}).update(changes)

    smoke.edit(project, "scales/smoke.yaml", change)


def _one_small_table(data: dict) -> None:
    table = data["tables"]["table2"]
    table["columns"] = [c for c in table["columns"] if c["task"] in ("sst2", "race")]
    table["rows"] = [row for row in table["rows"] if row.get("cell") == "doc-sentences"]
    del table["published"]  # which names all rows
    data["tables"] = {"table2": table}


def _best_epochs(data: dict) -> None:
    data["base"]["steps"] = 60
    sst2 = {"early_stopping": True, "epochs": 4, "batch": 8, "learning_rate": 0.02}
    data["finetuning"]["bert"] = {"sst2": sst2}


def start(project: Path, command: list[str] | None = None, **settings) -> subprocess.Popen:
    """Start a command in the project, README's plain snakemake unless told; output is one text."""
    return subprocess.Popen(
        command or COMMAND,
        cwd=project,
        env=os.environ | {"PATH": PATH},
        preexec_fn=heed_signals,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **settings},
    )


def build(project: Path, command: list[str] | None = None) -> str:
    """Run the command to its end; what it printed. It must succeed."""
    child = start(project, command)
    output, _ = child.communicate()
    assert child.returncode == 0, output
    return output


def outcome(project: Path) -> dict[str, bytes]:
    """What equal studies share: manifests, weights, predictions, scores, the table."""
    found = [*project.glob("results/table2.*"), *(project / "runs/smoke").rglob("*.safetensors")]
    found += (project / "runs/smoke").rglob("predictions*.parquet")
    runs = (project / "runs/smoke").rglob("*.json")
    found += [path for path in runs if re.fullmatch(r"[0-9a-f]{12}|seed-\d+|metrics", path.stem)]
    found += (project / "runs/smoke").rglob("log.jsonl")
    return {str(path.relative_to(project)): path.read_bytes() for path in sorted(found)}


def untrained(
    finished: Path, project: Path, stages: tuple[str, ...] = ("pretrain", "finetune")
) -> Path:
    """A copy of a finished project without what these stages made, and without results."""
    shutil.copytree(finished, project)
    for stage in stages:
        shutil.rmtree(project / "runs/smoke" / stage)
    shutil.rmtree(project / "results")
    return project


def check_processes(project: Path, number: int) -> None:
    """Assert that every training was done by so many processes."""
    trained = [*(project / "runs/smoke").rglob("events.jsonl")]
    assert len(trained) == 5  # one pre-training, two tasks of two seeds
    for path in trained:
        starts = [json.loads(line) for line in path.open() if '"start"' in line]
        assert [start["world"] for start in starts] == [number]
