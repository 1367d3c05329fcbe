"""Ensembles: the averaged predictions of a cell's models on one task (section 5.1).

In: the predictions that every fine-tuning seed stored. Out: metrics of the average, in percent.
What is averaged is the task kind's business (`model.tasks.kind.Average`). Members are the
fine-tuning seeds of one pre-trained model at the setting that counts (`analysis.choices`), at most
seven, as in the paper; several pre-trained models make as many ensembles. Where each has a single
fine-tuning seed of its own, one ensemble takes a model of each. What diverged is left out.
"""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from model.tasks.metrics import METRICS
from study.errors import StudyError
from study.graph import Study
from study.manifest import Manifest, load_manifest, seed_run

MOST = 7


@dataclass(frozen=True)
class Member:
    """One fine-tuned model, and its run."""

    pretraining_seed: int
    finetuning_seed: int
    run: Manifest


@dataclass(frozen=True)
class Members:
    """The models of one ensemble, at most seven, and how many others diverged: perhaps all."""

    pretraining_seed: int  # of a model of each, that of the first
    models: list[Member]
    left_out: int


def ensembles(study: Study, cell: str, task: str, setting: str) -> list[Members]:
    """The ensembles of a cell on a task by pre-training seed, those without a model left too."""
    seeds, own = study.config.pretraining_seeds(cell), study.config.seeds.finetuning == "own"
    groups: dict[int, list[Member]] = {}
    diverged: Counter[int] = Counter()
    for seed in seeds:
        job = study.jobs.finetune(cell, seed, task, setting)
        manifest = load_manifest(job.path, key=job.key, stage="finetune")
        group = seeds[0] if own else seed
        models = groups.setdefault(group, [])
        for finetuning_seed in map(str, job.recipe["seeds"]):
            if manifest.figure("seeds", finetuning_seed, "diverged", kind=bool):
                diverged[group] += 1
                continue
            models.append(Member(seed, int(finetuning_seed), seed_run(manifest, finetuning_seed)))
    return [Members(group, models[:MOST], diverged[group]) for group, models in groups.items()]


@dataclass(frozen=True)
class Ensemble:
    """What an ensemble predicts on one split: classes int64 (N,), or values float64 (N,)."""

    ids: list[str]
    predictions: np.ndarray
    labels: np.ndarray | None


def ensemble_of(members: list[Member], kind: str, split: str = "dev") -> Ensemble:
    """Average the stored predictions of `members` on a split of a task of this kind.

    Raises StudyError naming the file when one is missing, altered, lists other examples than the
    first or has no numbers for them, and for kinds whose answers are words.
    """
    from model.tasks.kinds import KINDS  # with torch, which few results have to wait for

    average = KINDS[kind].average
    if average is None:
        raise StudyError(f"a task of kind {kind} answers in words, which cannot be averaged")
    name = "predictions.parquet" if split == "dev" else f"predictions-{split}.parquet"
    first: dict[str, list] = {}
    outputs = []
    for run in (member.run for member in members):
        if name not in run.files:
            path = run.run_directory / name
            raise StudyError(f"{path}: missing; the task has no such split at this scale")
        path = run.file(name)
        columns = pq.read_table(path).to_pydict()
        first = first or columns
        if columns["id"] != first["id"]:
            raise StudyError(
                f"{path}: column id: other examples than in {members[0].run.run_directory}"
            )
        outputs.append(numbers_of(path, columns, average.column))
        if outputs[-1].shape != outputs[0].shape:
            raise StudyError(f"{path}: column {average.column}: other classes than in the first")
    predictions = average.decide(np.mean(outputs, axis=0), first)
    labels = np.array(first["label"]) if "label" in first else None
    return Ensemble(first["id"], predictions, labels)


def numbers_of(path: Path, columns: dict[str, list], name: str) -> np.ndarray:
    """A column of predictions as float64 (N,) or (N, C); StudyError if it is not all numbers."""
    try:
        found = np.array(columns[name], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        found = np.array([])
    if not len(found) or np.isnan(found).any():
        raise StudyError(f"{path}: column {name}: expected a number, or one per class, in each row")
    return found


def ensemble_metrics(study: Study, task: str, members: list[Member]) -> dict[str, float]:
    """Metrics of an ensemble on the development splits, named as a single model's."""
    spec = study.config.tasks[task]
    metrics = {}
    for prefix, split in {"": "dev", **{f"{n}_": f"dev-{n}" for n in spec.more_dev or {}}}.items():
        ensemble = ensemble_of(members, spec.kind, split)
        if ensemble.labels is None:
            raise StudyError(f"{members[0].run.path}: predictions on {split}: no column label")
        for name in spec.metrics:
            metrics[prefix + name] = METRICS[name](ensemble.predictions, ensemble.labels)
    return metrics


def ensemble_scores(study: Study, task: str, metric: str, ensembles: list[Members]) -> pd.DataFrame:
    """Scores of ensembles on a task: pretraining_seed, value, models, left_out, diverged.

    A line per ensemble; `models` counts those averaged, `left_out` those that diverged. Where all
    did, the ensemble did, and has no value.
    """
    lines = []
    for members in ensembles:
        metrics = ensemble_metrics(study, task, members.models) if members.models else {}
        lines.append(
            {
                "pretraining_seed": members.pretraining_seed,
                "value": metrics.get(metric, math.nan),
                "models": len(members.models),
                "left_out": members.left_out,
                "diverged": not members.models,
            }
        )
    return pd.DataFrame(lines)
