"""Classification: one of `labels` classes for one or two texts (GLUE).

Columns: the one or two `texts` and the `label` that the task names, 0 to `labels` - 1. One row per
example, the longer text of a pair cut first. Targets: labels (B,) int64, loss term
"classification". predictions.parquet: id, label, prediction, probabilities.

RoBERTa (arXiv 1907.11692) section 5.1: BERT's head on `<s>`.
"""

from collections.abc import Iterable

import numpy as np

from model.network.cross_entropy import weighted_cross_entropy
from model.network.finetuning import HeadModel, Tensors
from model.tasks.columns import Examples, Split
from model.tasks.features import Features, Rows, add_texts, label_figures
from model.tasks.kind import CLASSES, Kind
from model.tasks.scoring import Outcome, Predicted, class_columns, in_order, score_columns
from model.text.tokenizer import Vocabulary
from study.recipes import RecipeTask


def read(split: Split, task: RecipeTask, labelled: bool) -> Examples:
    """Texts and classes."""
    texts = [split.texts(column) for column in task.texts]
    labels = split.classes(task.label, task.labels) if labelled else None
    return Examples(split.ids, texts, labels)


def build(examples: Examples, vocabulary: Vocabulary, task: RecipeTask, length: int, train: bool):
    """One row per example; figures: the labels."""
    rows = Rows(vocabulary, task, length)
    add_texts(rows, examples.columns)
    return rows.finish(examples, label_figures(examples.labels))


def targets(features: Features, task: RecipeTask, units: np.ndarray):
    """The labels of the examples."""
    return {"classification": len(units)}, {"labels": features.arrays["labels"][units]}


def loss(task: RecipeTask, predicted: Tensors, micro: Tensors) -> Tensors:
    """Cross-entropies."""
    losses = weighted_cross_entropy(predicted["logits"], micro["labels"], micro["weights"])
    return {"classification": losses}


def score(features: Features, task: RecipeTask, batches: Iterable[Predicted]) -> Outcome:
    """The likeliest class."""
    return score_columns(features, task, *class_columns(in_order(batches, "logits")))


KIND = Kind(read, build, HeadModel, targets, loss, score, CLASSES)
