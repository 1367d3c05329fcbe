"""Ensembles: the averaged predictions of a cell's models on one task (section 5.1).

In: the predictions that every fine-tuning seed stored. Out: metrics of the average, in percent.
Classes are averaged as probabilities, regressions as values, Winograd schemas as margins, rankings
as probabilities within the question (`model.tasks.unit_scoring`). Members are all seeds of the
setting that counts (`analysis.settings`), at most seven, as in the paper.
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from model.tasks.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS
from model.tasks.unit_scoring import decide_pronouns, decide_ranking
from study.errors import StudyError
from study.graph import Study
from study.manifest import MANIFEST_NAME, load_manifest

MOST = 7
# Columns of answers, the first that a kind has is averaged.
AVERAGED = ("probabilities", "margin", "probability", "prediction")


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
    """`id`, the averaged `outputs`, (N, classes) or (N,), and, where the split has them, `label`
    and `question`.

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
        key = next(name for name in AVERAGED if name in columns)
        if key == "prediction" and isinstance(columns[key][0], str):
            raise StudyError(f"{path}: answers in words cannot be averaged")
        outputs.append(np.array(columns[key], dtype=np.float64))
    found = {"id": np.array(first["id"]), "outputs": np.mean(outputs, axis=0)}
    return found | {name: np.array(first[name]) for name in ("label", "question") if name in first}


def decide(kind: str, average: dict[str, np.ndarray]) -> np.ndarray:
    """Classes (N,) that averaged outputs of a task of this kind stand for."""
    outputs = average["outputs"]
    if kind == "wsc":
        return decide_pronouns(outputs)
    if kind == "ranking":
        return decide_ranking(outputs, average["question"])
    return outputs.argmax(1)


def ensemble_metrics(study: Study, cell: str, task: str, setting: str) -> dict[str, float]:
    """Metrics of the ensemble on the development splits, named as a single model's."""
    spec, runs = study.config.tasks[task], member_runs(study, cell, task, setting)
    metrics = {}
    for prefix, split in {"": "dev", **{f"{n}_": f"dev-{n}" for n in spec.more_dev or {}}}.items():
        average = average_predictions(runs, split)
        labels = average["label"]
        for name in spec.metrics:
            if spec.kind == "regression":
                value = REGRESSION_METRICS[name](average["outputs"], labels)
            else:
                value = CLASSIFICATION_METRICS[name](decide(spec.kind, average), labels)
            metrics[prefix + name] = value
    return metrics
