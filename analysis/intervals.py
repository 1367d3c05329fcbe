"""Differences between two cells with an interval over replicates.

In: values of replicates (pre-training seeds, each the median over its fine-tuning seeds), points.
Out: the difference of means and its Welch interval, which keeps its level for few replicates of
unequal spread; an interval over fine-tuning seeds of one pre-training would not.
"""

from collections.abc import Sequence
from typing import NamedTuple

from scipy.stats import ttest_ind


class Difference(NamedTuple):
    """A difference of means with the ends of its 95 % interval, in points."""

    difference: float
    low: float
    high: float


def welch_difference(ours: Sequence[float], baseline: Sequence[float]) -> Difference | None:
    """Mean of `ours` minus mean of `baseline`, with Welch's interval.

    None where either has fewer than two replicates or a missing value. Without any spread on both
    sides the interval is the point itself.
    """
    if min(len(ours), len(baseline)) < 2 or any(v != v for v in (*ours, *baseline)):
        return None
    value = sum(ours) / len(ours) - sum(baseline) / len(baseline)
    if len(set(ours)) == len(set(baseline)) == 1:
        return Difference(value, value, value)
    interval = ttest_ind(ours, baseline, equal_var=False).confidence_interval()
    return Difference(value, float(interval.low), float(interval.high))
