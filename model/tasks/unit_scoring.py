"""Predictions of the kinds that compare the rows of a unit: WSC and ranking (section 5.1).

In: the scores of all rows of a split. Out: metrics in percent (none without labels), whether all
predictions are equal, whether all scores are finite, and the columns of predictions.parquet:

  wsc      id, label, prediction 0 or 1, margin (nats: the query's score minus the best other's),
           probability (softmax of the query among all candidates)
  ranking  id, label, prediction 0 (answers) or 1, question (number of its group), score,
           probability (that it answers)

What is predicted is decided by `model.tasks.decisions`, for ensembles as here.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from torch import Tensor

from model.tasks.batches import DevBatches
from model.tasks.decisions import decide_pronouns, decide_ranking
from model.tasks.decoding import log_sigmoid
from model.tasks.features import Features
from model.tasks.metrics import CLASSIFICATION_METRICS

Result = tuple[dict[str, float], bool, bool, dict[str, pa.Array]]


def score_units(
    features: Features,
    task: dict,
    batches: DevBatches,
    predict: Callable[[dict[str, Tensor]], dict[str, Tensor]],
) -> Result:
    """Predict a whole split of kind wsc or ranking."""
    scores = np.empty(len(features.lengths))
    for units, micro in batches:
        scores[batches.rows(units)] = predict(micro)["scores"].numpy()
    finite = bool(np.isfinite(scores).all())
    # A diverged model is scored as any other; what it says is arbitrary but defined.
    scores = np.nan_to_num(scores)
    groups = np.asarray(features.arrays["groups"])
    columns = (pronoun_columns if task["kind"] == "wsc" else ranking_columns)(scores, groups)
    if task["kind"] == "ranking":
        order = np.argsort(features.arrays["order"])
        columns = {name: values[order] for name, values in columns.items()}
    predictions, labels = columns["prediction"], features.arrays.get("labels")
    metrics: dict[str, float] = {}
    identified = {"id": pa.array(features.ids)}
    if labels is not None:
        labels = np.asarray(labels)
        metrics = {
            name: CLASSIFICATION_METRICS[name](predictions, labels) for name in task["metrics"]
        }
        identified["label"] = pa.array(labels)
    constant = bool(np.all(predictions == predictions[0]))
    arrays = {name: pa.array(values) for name, values in columns.items()}
    return metrics, constant, finite, identified | arrays


def shares(scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Softmax of every row (R,) within its unit; groups (U + 1,) are the units' first rows."""
    sizes = np.diff(groups)
    best = np.repeat(np.maximum.reduceat(scores, groups[:-1]), sizes)
    powers = np.exp(scores - best)
    return powers / np.repeat(np.add.reduceat(powers, groups[:-1]), sizes)


def pronoun_columns(scores: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """prediction, margin and probability per example; the query is the first row of its unit.

    Without another candidate the margin is infinite: there is nothing else it could be.
    """
    first = groups[:-1]
    others = scores.copy()
    others[first] = -np.inf
    margins = scores[first] - np.maximum.reduceat(others, first)
    return {
        "prediction": decide_pronouns(margins),
        "margin": margins,
        "probability": shares(scores, groups)[first],
    }


def ranking_columns(scores: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """prediction, question, score and probability per row.

    A row's probability is its share within its question. A question's only row has nothing to be
    compared with, and the loss, which only sees differences, leaves the scores' origin open: its
    probability is the sigmoid of its score less `lone_threshold`.
    """
    sizes = np.diff(groups)
    question = np.repeat(np.arange(len(sizes)), sizes)
    alone = np.repeat(sizes == 1, sizes)
    level = lone_threshold(scores, groups)
    probability = np.where(alone, np.exp(log_sigmoid(scores - level)), shares(scores, groups))
    return {
        "prediction": decide_ranking(probability, question),
        "question": question,
        "score": scores,
        "probability": probability,
    }


def lone_threshold(scores: np.ndarray, groups: np.ndarray) -> float:
    """The score above which a question's only row is taken for an answer.

    Midway between the mean of the best rows and the mean of the others, over the questions of this
    split that have several rows: what the model itself takes for answers and for the rest, no label
    is used. Where no question has several rows, the median of all scores.
    """
    several = np.diff(groups) > 1
    if not several.any():
        return float(np.median(scores))
    compared = np.repeat(several, np.diff(groups))
    best = np.maximum.reduceat(scores, groups[:-1])[several]
    others = (scores[compared].sum() - best.sum()) / (compared.sum() - len(best))
    return float((best.mean() + others) / 2)
