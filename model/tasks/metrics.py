"""Metrics of classification and regression, in percent (protocol section 8).

In: predictions and labels as equally long one-dimensional arrays (int64 classes, or float64 values
for the correlations). Out: one float in [-100, 100]; NaN where the metric is not defined, so that
a constant regression shows as the failure it is. F1 is that of class 1, as GLUE has it.
"""

import numpy as np


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Share of equal entries, in percent; NaN without entries."""
    return 100.0 * float(np.mean(predictions == labels)) if len(labels) else float("nan")


def f1(predictions: np.ndarray, labels: np.ndarray) -> float:
    """F1 of class 1, in percent; 0 when nothing is predicted or labelled 1 (no true positive)."""
    true_positives = int(np.sum((predictions == 1) & (labels == 1)))
    if true_positives == 0:
        return 0.0
    return 200.0 * true_positives / int(np.sum(predictions == 1) + np.sum(labels == 1))


def matthews(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Matthews correlation times 100, for any number of classes; 0 when either is constant."""
    classes = int(max(predictions.max(), labels.max())) + 1
    confusion = np.bincount(labels * classes + predictions, minlength=classes * classes)
    confusion = confusion.reshape(classes, classes).astype(np.float64)
    true, predicted, total = confusion.sum(1), confusion.sum(0), confusion.sum()
    covariance = np.trace(confusion) * total - true @ predicted
    spread = (total**2 - true @ true) * (total**2 - predicted @ predicted)
    return 100.0 * float(covariance / np.sqrt(spread)) if spread > 0 else 0.0


def pearson(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Pearson correlation times 100; NaN when either is constant or not finite."""
    x = np.asarray(predictions, np.float64)
    y = np.asarray(labels, np.float64)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    return 100.0 * float((x @ y) / np.sqrt((x @ x) * (y @ y)))


def spearman(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Spearman rank correlation times 100, ties sharing their mean rank; NaN as in `pearson`."""
    if not (np.isfinite(predictions).all() and np.isfinite(labels).all()):
        return float("nan")
    return pearson(_ranks(predictions), _ranks(labels))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Mean rank of each value, float64, from 1."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[inverse]


METRICS = {function.__name__: function for function in (accuracy, f1, matthews, pearson, spearman)}
