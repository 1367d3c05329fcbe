"""From a network's outputs on the dev split to metrics and stored predictions.

In: `predict` outputs of a fine-tuning network, gathered by `outputs` over the dev batches. Out: an
`Outcome`: metrics in percent, the rows of predictions.parquet, and for SQuAD the official files.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from model.tasks.batches import DevBatches
from model.tasks.decoding import (
    WindowSpans,
    answer_texts,
    best_spans,
    log_normaliser,
    log_sigmoid,
    null_log_odds,
)
from model.tasks.features import Features
from model.tasks.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS, accuracy
from model.tasks.squad_metric import score_answers, squad11_metrics, squad20_metrics
from model.tasks.unit_scoring import score_units
from study.errors import StudyError
from study.manifest import write_atomic

LEVELS = ("middle", "high")  # of RACE: what a question's id starts with
SPAN_METRICS = ("em", "f1")
NULL_METRICS = (
    *(f"{kind}_{name}" for kind in ("has_answer", "no_answer", "best") for name in SPAN_METRICS),
    "best_threshold",
)

Predict = Callable[[dict[str, Tensor]], dict[str, Tensor]]


@dataclass
class Outcome:
    """What one fine-tuned model did on the dev split.

    `metrics` may hold NaN where a metric is undefined; `constant` tells that all predictions are
    the same, `finite` that all outputs are numbers; `columns` are those of predictions.parquet;
    `files` maps the names of JSON files to their content.
    """

    metrics: dict[str, float]
    constant: bool
    finite: bool
    columns: dict[str, pa.Array]
    files: dict[str, dict] = field(default_factory=dict)

    def save(self, directory, split: str = "dev") -> list[str]:
        """Write predictions.parquet and the JSON files; return their names.

        The files of another split than dev carry its name: `predictions-test-matched.parquet`.
        """
        directory.mkdir(parents=True, exist_ok=True)
        parquet = "predictions.parquet" if split == "dev" else f"predictions-{split}.parquet"
        pq.write_table(pa.table(self.columns), directory / parquet)
        for name, content in self.files.items():
            write_atomic(directory / name, json.dumps(content, ensure_ascii=False) + "\n")
        return [parquet, *self.files]


def known_metrics(task: dict) -> tuple[str, ...]:
    """Names of the metrics that a task's kind can have."""
    if task["kind"] == "classification":
        return tuple(CLASSIFICATION_METRICS)
    if task["kind"] == "regression":
        return tuple(REGRESSION_METRICS)
    if task["kind"] == "choice":
        return ("accuracy", *LEVELS)
    if task["kind"] in ("ranking", "wsc"):
        return ("accuracy",)
    return (*SPAN_METRICS, *NULL_METRICS) if task["answerability"] else SPAN_METRICS


def check_metrics(task: dict) -> None:
    """StudyError when the task asks for a metric that its kind does not have."""
    known = known_metrics(task)
    for name in task["metrics"]:
        if name not in known:
            raise StudyError(f"task {task['name']}: metrics: {name} is none of {', '.join(known)}")


def score(features: Features, task: dict, batches: DevBatches, predict: Predict) -> Outcome:
    """Predict a whole split and score it; a split without labels has no metrics."""
    if task["kind"] == "span":
        return _score_spans(features, task, batches, predict)
    if task["kind"] in ("ranking", "wsc"):
        return Outcome(*score_units(features, task, batches, predict))
    name = "values" if task["kind"] == "regression" else "logits"
    parts = [(units, predict(micro)[name].numpy()) for units, micro in batches]
    outputs = _in_order(parts)
    if task["kind"] == "regression":
        return _score_values(features, task, outputs)
    return _score_classes(features, task, outputs)


def _in_order(parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Outputs of all units in the units' order."""
    units, outputs = zip(*parts, strict=True)
    return np.concatenate(outputs)[np.argsort(np.concatenate(units))]


def _score_classes(features: Features, task: dict, logits: np.ndarray) -> Outcome:
    """Classification and choice: (N, C) logits."""
    labels, finite = features.arrays.get("labels"), bool(np.isfinite(logits).all())
    logits = np.nan_to_num(logits.astype(np.float64))
    probabilities = np.exp(logits - log_normaliser(logits)[:, None])
    predictions = logits.argmax(1)
    metrics: dict[str, float] = {}
    if labels is None:
        pass
    elif task["kind"] == "choice":
        metrics = {"accuracy": accuracy(predictions, labels)}
        for level in LEVELS:
            rows = np.array([name.startswith(level) for name in features.ids])
            metrics[level] = accuracy(predictions[rows], labels[rows])
    else:
        metrics = {
            name: CLASSIFICATION_METRICS[name](predictions, labels) for name in task["metrics"]
        }
    columns = {
        **identified(features, labels),
        "prediction": pa.array(predictions),
        "probabilities": pa.array(list(probabilities.astype(np.float32))),
    }
    return Outcome(metrics, bool(np.all(predictions == predictions[0])), finite, columns)


def identified(features: Features, labels: np.ndarray | None) -> dict[str, pa.Array]:
    """The columns id and, where there are labels, label."""
    columns = {"id": pa.array(features.ids)}
    return columns if labels is None else {**columns, "label": pa.array(np.asarray(labels))}


def _score_values(features: Features, task: dict, values: np.ndarray) -> Outcome:
    """Regression: (N,) values in the unit of the loss."""
    values = values * task.get("scale", 1)
    labels = features.arrays.get("labels")
    names = task["metrics"] if labels is not None else ()
    metrics = {name: REGRESSION_METRICS[name](values, labels) for name in names}
    columns = {**identified(features, labels), "prediction": pa.array(values)}
    finite = bool(np.isfinite(values).all())
    return Outcome(metrics, bool(np.ptp(values) == 0), finite, columns)


def _score_spans(features: Features, task: dict, batches: DevBatches, predict: Predict) -> Outcome:
    spans, answerable, finite = _window_spans(features, task, batches, predict)
    texts, scores = answer_texts(features, spans)
    golds, separate = features.answers, task["answerability"]
    predictions = texts
    if separate:
        odds = null_log_odds(features, answerable)
        predictions = [
            "" if refused else text for text, refused in zip(texts, odds > 0, strict=True)
        ]
        metrics = squad20_metrics(texts, odds, golds)
    else:
        metrics = squad11_metrics(texts, golds)
    each = score_answers(predictions, golds, no_answer=separate)
    columns = {
        "id": pa.array(features.ids),
        "golds": pa.array(golds, pa.list_(pa.string())),
        "prediction": pa.array(predictions),
        "em": pa.array(each.em),
        "f1": pa.array(each.f1),
        "span": pa.array(texts),
        "score": pa.array(scores),
    }
    files = {"predictions.json": dict(zip(features.ids, predictions, strict=True))}
    if separate:
        columns["null_odds"] = pa.array(odds)
        files["null_odds.json"] = dict(zip(features.ids, odds.tolist(), strict=True))
    return Outcome(metrics, len(set(predictions)) == 1, finite, columns, files)


def _window_spans(
    features: Features, task: dict, batches: DevBatches, predict: Predict
) -> tuple[WindowSpans, np.ndarray, bool]:
    """Best span of each window, its log-odds of an answer (0 without classifier), all finite."""
    rows = len(features.lengths)
    found = WindowSpans(np.empty(rows), np.empty(rows, np.int64), np.empty(rows, np.int64))
    answerable = np.zeros(rows)
    finite = True
    for units, micro in batches:
        outputs = {name: tensor.numpy() for name, tensor in predict(micro).items()}
        finite &= all(np.isfinite(array).all() for array in outputs.values())
        outputs = {name: np.nan_to_num(array) for name, array in outputs.items()}
        start, end = outputs["start"], outputs["end"]
        inside = np.arange(start.shape[1]) < micro["lengths"].numpy()[:, None]
        may_start = batches.gather("may_start", units, inside) & inside
        may_end = batches.gather("may_end", units, inside) & inside
        best = best_spans(start, end, may_start, may_end, task["answer_length"])
        if task["answerability"]:
            answerable[units] = outputs["answerable"]
            best.score += log_sigmoid(outputs["answerable"])
            best.score -= log_normaliser(start) + log_normaliser(end)
        found.score[units], found.first[units], found.last[units] = (
            best.score,
            best.first,
            best.last,
        )
    return found, answerable, finite
