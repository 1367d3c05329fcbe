"""Regression: a real number for one or two texts (STS-B).

Columns: the one or two `texts` and the `label` that the task names, finite numbers; it is trained
on label / `scale`. Rows as in a classification. Targets: values (B,) float32, loss term
"regression". predictions.parquet: id, label, prediction, in the unit of the labels.

RoBERTa (arXiv 1907.11692) section 5.1: BERT's head on `<s>` with one output.
"""

from collections.abc import Iterable

import numpy as np

from model.network.finetuning import HeadModel, Tensors
from model.tasks.columns import Examples, Split, is_number
from model.tasks.features import Features, Rows, add_texts
from model.tasks.kind import Average, Kind
from model.tasks.scoring import Outcome, Predicted, in_order, score_columns
from model.text.tokenizer import Vocabulary
from study.errors import StudyError
from study.recipes import RecipeTask


def read(split: Split, task: RecipeTask, labelled: bool) -> Examples:
    """Texts and finite numbers."""
    texts = [split.texts(column) for column in task.texts]
    return Examples(split.ids, texts, _values(split, task.label) if labelled else None)


def _values(split: Split, column: str) -> np.ndarray:
    """A column of numbers as float32 (N,)."""
    values = np.array(split.values(column, "numbers", is_number), dtype=np.float64)
    wrong = np.flatnonzero(~(np.abs(values) <= np.finfo(np.float32).max))
    if len(wrong):
        raise StudyError(f"{split.where(column, int(wrong[0]))}: {values[wrong[0]]}: not finite")
    return values.astype(np.float32)


def build(examples: Examples, vocabulary: Vocabulary, task: RecipeTask, length: int, train: bool):
    """One row per example."""
    rows = Rows(vocabulary, task, length)
    add_texts(rows, examples.columns)
    return rows.finish(examples, {})


def targets(features: Features, task: RecipeTask, units: np.ndarray):
    """The labels of the examples in the unit of the loss."""
    values = features.arrays["labels"][units] / np.float32(task.scale)
    return {"regression": len(units)}, {"values": values}


def loss(task: RecipeTask, predicted: Tensors, micro: Tensors) -> Tensors:
    """Squared errors."""
    errors_B = predicted["logits"][:, 0] - micro["values"]
    return {"regression": (errors_B.square() * micro["weights"]).sum()}


def score(features: Features, task: RecipeTask, batches: Iterable[Predicted]) -> Outcome:
    """The values in the unit of the labels; NaN where a metric of them is."""
    values = in_order(batches, "logits")[:, 0] * task.scale
    return score_columns(features, task, {"prediction": values}, bool(np.isfinite(values).all()))


AVERAGE = Average("prediction", lambda mean, columns: mean)
KIND = Kind(read, build, HeadModel, targets, loss, score, AVERAGE)
