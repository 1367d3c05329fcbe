"""From what a network predicts to metrics and stored predictions: what all task kinds share.

In: a network's outputs on the batches of a split, as `Predicted`. Out: an `Outcome`: metrics in
percent, the rows of predictions.parquet, and for some kinds the official files.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.tasks.features import Features
from model.tasks.metrics import METRICS
from study.manifest import write_atomic
from study.recipes import RecipeTask


@dataclass(frozen=True)
class Predicted:
    """One batch: its rows int64, their lengths, and the network's outputs."""

    rows: np.ndarray
    lengths: np.ndarray
    outputs: dict[str, np.ndarray]


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


def log_normaliser(logits: np.ndarray) -> np.ndarray:
    """log of the sum of exponentials over tokens, float64 (B,)."""
    logits = logits.astype(np.float64)
    peak = logits.max(1, keepdims=True)
    return peak[:, 0] + np.log(np.exp(logits - peak).sum(1))


def log_sigmoid(values: np.ndarray) -> np.ndarray:
    """log(1 / (1 + exp(-x))) without overflow, float64."""
    return -np.logaddexp(0.0, -values.astype(np.float64))


def in_order(batches: Iterable[Predicted], name: str) -> np.ndarray:
    """An output of one entry per row, in the order of the rows."""
    rows, outputs = zip(*((batch.rows, batch.outputs[name]) for batch in batches), strict=True)
    return np.concatenate(outputs)[np.argsort(np.concatenate(rows))]


def class_columns(logits: np.ndarray) -> tuple[dict[str, np.ndarray], bool]:
    """The columns of (N, C) logits: prediction int64 and probabilities float32; all finite."""
    finite = bool(np.isfinite(logits).all())
    # A diverged model is scored as any other; what it says is arbitrary but defined.
    logits = np.nan_to_num(logits.astype(np.float64))
    probabilities = np.exp(logits - log_normaliser(logits)[:, None]).astype(np.float32)
    return {"prediction": logits.argmax(1), "probabilities": probabilities}, finite


def score_columns(
    features: Features, task: RecipeTask, columns: dict[str, np.ndarray], finite: bool
) -> Outcome:
    """The outcome of one prediction per example, the column of this name.

    A split without labels has no metrics.
    """
    predictions, labels = columns["prediction"], features.arrays.get("labels")
    metrics, identified = {}, {"id": pa.array(features.ids)}
    if labels is not None:
        metrics = {name: METRICS[name](predictions, labels) for name in task.metrics}
        identified["label"] = pa.array(np.asarray(labels))
    arrays = {
        name: pa.array(values if values.ndim == 1 else list(values))
        for name, values in columns.items()
    }
    return Outcome(
        metrics, bool(np.all(predictions == predictions[0])), finite, identified | arrays
    )
