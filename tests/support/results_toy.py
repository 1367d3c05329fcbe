"""Hand-written manifests of a finished study, as its stages would publish them: no training."""

import contextlib
import json
import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from project import ROOT

from analysis import hyperparameters, table
from study.graph import Study
from study.identity import key_of
from study.jobs import Job
from study.manifest import publish_manifest

RECORD = {
    "code": "abc123",
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
    "host": "machine",
    "processor": "Processor",
    "cores": 2,
    "command": ["model/stage.py"],
    "started": "2026-01-01T00:00:00Z",
    "wall_seconds": 12.5,
}
EXECUTION = {"device": "cpu", "precision": "fp32", "mode": "exact"}
DATA = {"train": [{"name": "train.parquet", "bytes": 3, "rows": 1, "sha256": "d" * 64}]}
CORPUS = dict.fromkeys(("tokens", "words", "bytes", "unknown_tokens"), 1000)
FIGURES = {
    "source": {"files": DATA},
    "vocabulary": {"size": 400},
    "store": {"train": {"books": CORPUS}, "heldout": {"books": CORPUS}, "unigram_entropy": 6.0},
    "minimal_pairs": {
        **{"pairs": 4, "accuracy": 75.0, "ties": 0, "tokens": 40, "diverged": False},
        "groups": {"linguistics_term": {"article": {"pairs": 4, "accuracy": 75.0, "ties": 0}}},
    },
    "samples": {"train": {"samples": 8, "next": 4, "store_tokens": 100, "shown_tokens": 98}},
}


def write_run(
    path: str | Path, recipe: dict, key: str, figures: dict, record: dict, files=None
) -> None:
    """One run: its files, its provenance, its manifest."""
    folder = Path(path).parent / key
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (files or {}).items():
        (folder / name).write_text(text)
    (folder / "provenance.json").write_text(json.dumps({**RECORD, **record}))
    publish_manifest(path, recipe, files=list(files or {}), figures=figures)


def write_pretrain(job: Job, losses: list[float | None], diverged: int | None = None) -> None:
    """A pre-training whose held-out losses along training are `losses`, the last one at its end."""
    steps = job.recipe["steps"] if diverged is None else diverged
    ends = [steps * (i + 1) // max(len(losses), 1) for i in range(len(losses))]
    last = losses[-1] if losses and diverged is None else None
    figures = {
        "curve": [[step, loss] for step, loss in zip(ends, losses, strict=True)],
        "heldout_loss": last,
        "heldout_perplexity": None if last is None else math.exp(last),
        "heldout_nsp_accuracy": None if last is None else 100 - 10 * last,
        "heldout_nsp_majority": 52.5,
        "corpora": {
            "books": {"loss": last, "perplexity": None if last is None else math.exp(last)}
        },
        "diverged": diverged,
        "steps": steps,
        "tokens": steps * 512,
        "masked": steps * 77,
        "epochs": 1.5,
        "parameters": 1000,
    }
    speed = {"training": {"gpu": "GPU", "execution": EXECUTION, "resumed_from": 0}}
    write_run(job.path, job.recipe, job.key, figures, speed, {"model.safetensors": job.key})


def write_finetune(
    study: Study, job: Job, values: dict[int, float | None], diverged: bool = False
) -> None:
    """All seeds of a fine-tuning: every metric has the seed's value."""
    seeds = {}
    metrics = study.config.tasks[job.recipe["task"]["name"]].reported_metrics
    for seed, value in values.items():
        recipe = {name: part for name, part in job.recipe.items() if name != "seeds"}
        recipe |= {"stage": "finetune-seed", "seed": seed}
        figures = {"metrics": dict.fromkeys(metrics, value), "diverged": diverged}
        path, key = Path(job.path).parent / f"seed-{seed}.json", key_of(recipe)
        speed = {"gpu": None, "execution": EXECUTION, "resumed_from": 0}
        write_run(path, recipe, key, figures, speed, {"metrics.json": f"{value}"})
        seeds[str(seed)] = {**figures, "key": key}
    write_run(job.path, job.recipe, job.key, {"seeds": seeds, "majority": 50.0}, {})


def write_study(study: Study, jobs: Iterable[Job] | None = None) -> None:
    """Every job, or these; the n-th pre-trained model scores 50 + n + fine-tuning seed / 4
    everywhere.
    """
    pretrained = [job.key for job in study.jobs.values() if job.stage == "pretrain"]
    for job in study.jobs.values() if jobs is None else jobs:
        stage = job.stage
        if stage == "pretrain":
            number = pretrained.index(job.key)
            write_pretrain(job, [5 - number / 10, 4 - number / 10])
        elif stage == "finetune":
            base = 50.0 + pretrained.index(job.recipe["pretrain"])
            write_finetune(study, job, {seed: base + seed / 4 for seed in job.recipe["seeds"]})
        elif stage == "selection":
            winner = study.config.families[job.names["family"]].cell
            write_run(job.path, job.recipe, job.key, {"winner": winner}, {})
        else:
            figures = FIGURES.get(stage, {})
            write_run(job.path, job.recipe, job.key, figures, {})


def write_pretrainings(study: Study) -> None:
    """What the notes of tables read of cells: stores, pre-trainings that left the plateau."""
    for job in study.store_jobs():
        write_run(job.path, job.recipe, job.key, FIGURES["store"], {})
    for job in study.pretrain_jobs():
        write_pretrain(job, [5.0, 4.0])


def finish_study(folder: Path, replicates: int, tables: Sequence[str] = ()) -> None:
    """A finished smoke study, with its configuration and the files of `tables`, in `folder`."""
    shutil.copytree(ROOT / "config", folder / "config")
    with contextlib.chdir(folder):
        study = Study("smoke", replicates=replicates)
        write_study(study)
        words = ["--scale", "smoke", "--replicates", str(replicates)]
        for name in tables:
            command = table if name in study.config.tables else hyperparameters
            command.main([name, *words, "--output", f"results/{name}.csv"])
