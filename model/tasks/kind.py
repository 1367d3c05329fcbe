"""What a task kind is: the operations that the shared parts ask of each one.

A kind is one file of `model.tasks.kinds` and one `Kind` in its dictionary; what the study must know
of it (fields, metrics, rows of an example) is its line in `study.kinds.KIND_FACTS`. In each
operation `task` is the task of a recipe. Legend: B rows, T their padded length, U units, which an
update counts: examples, windows or questions.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from model.network.finetuning import FineTuningModel, Loss
from model.tasks.columns import Examples, Split
from model.tasks.features import Features, PaddedRows
from model.tasks.scoring import Outcome, Predicted
from model.text.tokenizer import Vocabulary
from study.recipes import RecipeTask

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Average:
    """How an ensemble predicts: the mean of a column of predictions.parquet, float64 (N, ...), and
    what is decided from it and all columns, int64 or float64 (N,).
    """

    column: str
    decide: Callable[[np.ndarray, dict[str, list]], np.ndarray]


CLASSES = Average("probabilities", lambda mean, columns: mean.argmax(1))


@dataclass(frozen=True)
class Kind:
    """One kind of task."""

    # Columns -> examples; without labels unless `labelled`.
    read: Callable[[Split, RecipeTask, bool], Examples]
    # Examples -> features of rows of at most so many tokens, and figures; True: to train on.
    build: Callable[[Examples, Vocabulary, RecipeTask, int, bool], tuple[Features, dict]]
    network: type[FineTuningModel]
    # Units int64 (U,) -> the number of targets by loss term, and the arrays that the losses need.
    targets: Callable[[Features, RecipeTask, np.ndarray], tuple[dict[str, int], Arrays]]
    # What the network predicts, and the micro-batch -> fp32 sums by loss term.
    loss: Loss
    # What the network predicts of a whole split -> metrics and stored predictions.
    score: Callable[[Features, RecipeTask, Iterable[Predicted]], Outcome]
    average: Average | None  # None: its answers are words
    # What the network reads besides ids, lengths and segments.
    inputs: Callable[[Features, RecipeTask, PaddedRows], Arrays] = lambda features, task, padded: {}
