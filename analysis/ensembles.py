"""Ensembles: the averaged predictions of a cell's models on one task (section 5.1).

In: the predictions that every fine-tuning seed stored. Out: metrics of the average, in percent.
Classes are averaged as probabilities, regressions as values, WSC as margins. Members are all seeds
of the setting that counts (`analysis.settings`), at most seven, as in the paper.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from model.tasks.decisions import decide_pronouns, decide_ranking
from model.tasks.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS
from study.errors import StudyError
from study.graph import Study
from study.manifest import load_manifest

MOST = 7
# What is averaged, a column of predictions.parquet, by the task's kind.
AVERAGED = {
    **{"classification": "probabilities", "choice": "probabilities", "regression": "prediction"},
    **{"wsc": "margin", "ranking": "probability"},
}


def member_runs(study: Study, cell: str, task: str, setting: str) -> list[Path]:
    """Run directories of the members: the fine-tuning seeds of all replicates, in order."""
    runs = []
    for seed in study.config.seeds.pretraining:
        job = study.finetune_job(cell, seed, task, setting)
        manifest = load_manifest(job.path, key=job.key, stage="finetune")
        folder = Path(job.path).parent
        runs += [folder / result["key"] for result in manifest.figures["seeds"].values()]
    return runs[:MOST]


@dataclass(frozen=True)
class Ensemble:
    """What an ensemble predicts on one split: classes int64 (N,), or values float64 (N,)."""

    ids: list[str]
    predictions: np.ndarray
    labels: np.ndarray | None


def ensemble_of(runs: list[Path], kind: str, split: str = "dev") -> Ensemble:
    """Average the stored predictions of `runs` on a split of a task of this kind.

    Raises StudyError naming the file when one is missing or lists other examples than the first,
    and for kinds whose answers are words.
    """
    if kind not in AVERAGED:
        raise StudyError(f"a task of kind {kind} answers in words, which cannot be averaged")
    name = "predictions.parquet" if split == "dev" else f"predictions-{split}.parquet"
    outputs, first = [], {}
    for run in runs:
        if not (run / name).is_file():
            raise StudyError(f"{run / name}: missing; the task has no such split at this scale")
        columns = pq.read_table(run / name).to_pydict()
        first = first or columns
        if columns["id"] != first["id"]:
            raise StudyError(f"{run / name}: column id: other examples than in {runs[0]}")
        outputs.append(np.array(columns[AVERAGED[kind]], dtype=np.float64))
    mean = np.mean(outputs, axis=0)
    if kind == "wsc":
        predictions = decide_pronouns(mean)
    elif kind == "ranking":
        predictions = decide_ranking(mean, np.array(first["question"]))
    else:
        predictions = mean if kind == "regression" else mean.argmax(1)
    labels = np.array(first["label"]) if "label" in first else None
    return Ensemble(first["id"], predictions, labels)


def ensemble_metrics(study: Study, cell: str, task: str, setting: str) -> dict[str, float]:
    """Metrics of the ensemble on the development splits, named as a single model's."""
    spec, runs = study.config.tasks[task], member_runs(study, cell, task, setting)
    known = REGRESSION_METRICS if spec.kind == "regression" else CLASSIFICATION_METRICS
    metrics = {}
    for prefix, split in {"": "dev", **{f"{n}_": f"dev-{n}" for n in spec.more_dev or {}}}.items():
        ensemble = ensemble_of(runs, spec.kind, split)
        for name in spec.metrics:
            metrics[prefix + name] = known[name](ensemble.predictions, ensemble.labels)
    return metrics
