"""Means over replicates and differences between two cells: estimates, intervals, p-values.

In: values of replicates (pre-training seeds, each the median over its fine-tuning seeds), a number
each. Out: the mean with Student's interval, the difference of means with Welch's, which keeps its
level for few replicates of unequal spread; an interval over fine-tuning seeds of one pre-training
would not. There is none where there are fewer than two replicates or a value is missing.
"""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from scipy.special import stdtr, stdtrit

LEVEL = 0.95


class Estimate(NamedTuple):
    """A mean or a difference of means, its standard error, and the error's degrees of freedom."""

    value: float
    error: float
    freedom: float

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The ends of its interval: the value itself where nothing varies."""
        half = self.error and float(stdtrit(self.freedom, (1 + level) / 2)) * self.error
        return self.value - half, self.value + half

    def p_above(self, bound: float) -> float:
        """How likely one as high is if the truth is `bound` or lower, one-sided."""
        return 1 - self.p_below(bound)

    def p_below(self, bound: float) -> float:
        """How likely one as low is if the truth is `bound` or higher, one-sided."""
        if self.error == 0:
            return 0.5 if self.value == bound else float(self.value > bound)
        return float(stdtr(self.freedom, (self.value - bound) / self.error))

    def p_other(self, bound: float) -> float:
        """How likely one as far from `bound` is if that is the truth, two-sided."""
        return min(1.0, 2 * min(self.p_above(bound), self.p_below(bound)))


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
    found = estimate(values)
    return found and Mean(found.value, *found.interval())


def welch_difference(ours: Sequence[float], baseline: Sequence[float]) -> Difference | None:
    """Mean of `ours` minus mean of `baseline`, with Welch's interval."""
    found = estimate(ours, baseline)
    return found and Difference(found.value, *found.interval())


def estimate(ours: Sequence[float], other: Sequence[float] | float = 0.0) -> Estimate | None:
    """Mean of `ours` minus that of `other` replicates, or minus a number that does not vary.

    Degrees of freedom are Welch and Satterthwaite's; of one sample, its size less one.
    """
    samples, behind = [ours], 0.0
    if isinstance(other, (int, float)):
        behind = other
    else:
        samples.append(other)
    if not all(len(sample) >= 2 and all(x == x for x in sample) for sample in samples):
        return None
    value = fmean(ours) - (fmean(samples[1]) if samples[1:] else behind)
    squares = [_variance(sample) / len(sample) for sample in samples]
    total = sum(squares)
    if total == 0:
        return Estimate(value, 0.0, math.inf)
    shares = [(one / total) ** 2 / (len(s) - 1) for one, s in zip(squares, samples, strict=True)]
    return Estimate(value, math.sqrt(total), 1 / sum(shares))


def _variance(sample: Sequence[float]) -> float:
    mean = fmean(sample)
    return math.fsum((value - mean) ** 2 for value in sample) / (len(sample) - 1)
