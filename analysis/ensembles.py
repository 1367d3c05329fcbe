"""Ensembles: the averaged predictions of a cell's models on one task (section 5.1).

In: the predictions that every fine-tuning seed stored. Out: metrics of the average, in percent.
Classes are averaged as probabilities, regressions as values. Members are all seeds of the setting
that counts (`analysis.settings`), at most seven, as in the paper.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from model.tasks.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS
from study.errors import StudyError
from study.graph import Study
from study.manifest import MANIFEST_NAME, load_manifest

MOST = 7


def member_runs(study: Study, cell: str, task: str, setting: str) -> list[Path]:
    """Run directories of the members: the fine-tuning seeds of all replicates, in order."""
    runs = []
    for seed in study.config.seeds.pretraining:
        job = study.finetune_job(cell, seed, task, setting)
        manifest = load_manifest(job.path, key=job.key, stage="finetune")
        folder = Path(job.path).parent
        runs += [folder / result["key"] for result in manifest.figures["seeds"].values()]
    return runs[:MOST]


def average_predictions(runs: list[Path], split: str = "dev") -> dict[str, np.ndarray]:
    """`id`, the averaged `outputs`, (N, classes) or (N,), and `label` where the split has labels.

    Raises StudyError naming the file when one is missing, lists other examples than the first, or
    holds answers that cannot be averaged.
    """
    name = "predictions.parquet" if split == "dev" else f"predictions-{split}.parquet"
    outputs, first = [], {}
    for run in runs:
        path = load_manifest(run / MANIFEST_NAME).path.parent / name
        if not path.is_file():
            raise StudyError(f"{path}: missing; the task has no such split, or is to be tuned anew")
        columns = pq.read_table(path).to_pydict()
        first = first or columns
        if columns["id"] != first["id"]:
            raise StudyError(f"{path}: column id: other examples than in {runs[0]}")
        key = "probabilities" if "probabilities" in columns else "prediction"
        if key == "prediction" and isinstance(columns[key][0], str):
            raise StudyError(f"{path}: answers in words cannot be averaged")
        outputs.append(np.array(columns[key], dtype=np.float64))
    found = {"id": np.array(first["id"]), "outputs": np.mean(outputs, axis=0)}
    return {**found, "label": np.array(first["label"])} if "label" in first else found


def ensemble_metrics(study: Study, cell: str, task: str, setting: str) -> dict[str, float]:
    """Metrics of the ensemble on the development splits, named as a single model's."""
    spec, runs = study.config.tasks[task], member_runs(study, cell, task, setting)
    metrics = {}
    for prefix, split in {"": "dev", **{f"{n}_": f"dev-{n}" for n in spec.more_dev or {}}}.items():
        average = average_predictions(runs, split)
        outputs, labels = average["outputs"], average["label"]
        for name in spec.metrics:
            if outputs.ndim == 1:
                value = REGRESSION_METRICS[name](outputs, labels)
            else:
                value = CLASSIFICATION_METRICS[name](outputs.argmax(1), labels)
            metrics[prefix + name] = value
    return metrics
