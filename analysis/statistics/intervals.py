"""Means over replicates and differences between two cells, with 95 % intervals.

In: values of replicates (pre-training seeds, each the median over its fine-tuning seeds), a number
each. Out: the mean with Student's interval, the difference of means with Welch's, which keeps its
level for few replicates of unequal spread; an interval over fine-tuning seeds of one pre-training
would not. Both are None where there are fewer than two replicates or a value is missing, and the
point itself where nothing varies.
"""

import math
from collections.abc import Sequence
from statistics import fmean, variance
from typing import NamedTuple

from scipy.special import stdtrit

LEVEL = 0.95


class Mean(NamedTuple):
    """A mean over replicates with the ends of its interval, in units of the values."""

    mean: float
    mean_low: float
    mean_high: float


class Difference(NamedTuple):
    """A difference of means with the ends of its interval, in units of the values."""

    difference: float
    low: float
    high: float


def replicate_mean(values: Sequence[float]) -> Mean | None:
    """The mean of `values`, with Student's interval."""
    return Mean(*_interval(fmean(values), values)) if _enough(values) else None


def welch_difference(ours: Sequence[float], baseline: Sequence[float]) -> Difference | None:
    """Mean of `ours` minus mean of `baseline`, with Welch's interval."""
    if not (_enough(ours) and _enough(baseline)):
        return None
    return Difference(*_interval(fmean(ours) - fmean(baseline), ours, baseline))


def _enough(values: Sequence[float]) -> bool:
    return len(values) >= 2 and all(value == value for value in values)


def _interval(value: float, *samples: Sequence[float]) -> tuple[float, float, float]:
    """`value`, a sum or difference of the means of `samples`, with the ends of its interval.

    Degrees of freedom are Welch and Satterthwaite's; of one sample, its size less one.
    """
    squares = [variance(sample) / len(sample) for sample in samples]
    total = sum(squares)
    if total == 0:
        return value, value, value
    sizes = map(len, samples)
    shares = [(square / total) ** 2 / (n - 1) for square, n in zip(squares, sizes, strict=True)]
    half = float(stdtrit(1 / sum(shares), 1 - (1 - LEVEL) / 2)) * math.sqrt(total)
    return value, value - half, value + half
