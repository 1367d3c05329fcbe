"""Scores example by example: what each example of a development set adds to a metric.

Two models that are scored on the same examples can be compared pair by pair, which tells how much
of a difference hangs on which examples the development set happens to hold.
"""

import math
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pyarrow.parquet as pq

from analysis.shown import Entry
from study.errors import StudyError
from study.fields import given
from study.graph import Study
from study.manifest import Manifest, load_manifest, seed_run
from study.tasks import Task

Scores = np.ndarray | float | None


def example_scores(run: Manifest, task: Task, metric: str) -> np.ndarray | None:
    """What each example adds to a metric, float64 (N,) in percent; None where it is no mean."""
    split, name = "predictions", metric
    for more in task.more_dev or {}:
        if metric.startswith(f"{more}_"):
            split, name = f"predictions-dev-{more}", metric.removeprefix(f"{more}_")
    with pq.ParquetFile(run.file(f"{split}.parquet")) as file:
        table = file.read()
    if name in table.column_names:
        return 100 * table[name].to_numpy()
    if name == "accuracy":
        return 100.0 * (table["prediction"].to_numpy() == table["label"].to_numpy())
    return None


def mean_example_scores(study: Study, cell: str, entry: Entry) -> np.ndarray | None:
    """Those of a cell in a column, float64 (N,), a mean over all its models.

    None where a model has no score, predictions are gone, or the metric is no mean over examples.
    """
    models = entry.models
    if not entry.column.task or models.empty or models["value"].isna().any():
        return None
    task, found = models["task"].iloc[0], []
    for pretraining, finetuning in zip(
        models["pretraining_seed"], models["finetuning_seed"], strict=True
    ):
        job = study.jobs.finetune(cell, int(pretraining), task, entry.setting)
        tuned = load_manifest(job.path, key=job.key, stage="finetune")
        scores = None
        with suppress(StudyError):
            run = seed_run(tuned, str(finetuning))
            scores = example_scores(run, study.config.tasks[task], given(entry.column.metric))
        if scores is None:
            return None
        found.append(scores)
    return sum(found[1:], found[0]) / len(models)


def dev_set_error(pairs: Sequence[tuple[Scores, Scores]]) -> float:
    """Standard error, in points, of a mean over columns of differences of two cells' mean scores,
    from which examples each development set holds; NaN where a metric is no mean over examples.

    `pairs` hold for each column both cells' scores of the same examples, float64 (N,), or a number.
    """
    squares = []
    for ours, other in pairs:
        if ours is None or other is None:
            return math.nan
        differences = np.atleast_1d(ours - other)
        if len(differences) < 2:
            return math.nan
        squares.append(np.var(differences, ddof=1) / len(differences))
    return math.sqrt(sum(squares)) / len(squares)
