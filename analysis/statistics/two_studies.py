"""Which of many numbers differ between two studies beyond noise, all of them judged together.

In: of each number the column that it stands in, and its replicates in both studies, a value by what
identifies the replicate (its recipe and seed). Out: the difference of the means and its p-value.
Replicates that both studies have are compared in pairs (Student's t-test on their differences), all
others by Welch's.

A number must stand out twice: from the noise of its own replicates, and from that of its column,
the variance pooled over the numbers in it. Two or three replicates may agree by chance, as
fine-tunings do that all failed; without the second test two equal studies of that kind, three
replicates and a hundred numbers are told apart in most cases. The p-values of all numbers are
Holm-adjusted together, so that two equal studies are told apart in 5 % of cases at most.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import variance
from typing import NamedTuple

from analysis.statistics.intervals import Estimate, estimate
from analysis.statistics.verdicts import holm

Replicates = Mapping[str, float]


class Apart(NamedTuple):
    """The mean of the second study's replicates minus that of the first's, `paired` or not.

    `p` is adjusted for all numbers that were judged together.
    """

    estimate: Estimate
    paired: bool
    p: float


def tell_apart(numbers: Sequence[tuple[str, Replicates, Replicates]]) -> list[Apart | None]:
    """Judge numbers (column, replicates in the first study, in the second) together.

    None for a number with fewer than two replicates in a study, or one that is NaN.
    """
    samples = [samples_of(first, second) for _, first, second in numbers]
    estimates = [estimate(*each) for each in samples]
    columns = [(number[0], len(each)) for number, each in zip(numbers, samples, strict=True)]
    pools: dict[tuple[str, int], list] = defaultdict(list)
    for column, each, found in zip(columns, samples, estimates, strict=True):
        pools[column] += each if found else []
    variances = {column: pooled_variance(pool) for column, pool in pools.items() if pool}
    judged = {}
    for place, found in enumerate(estimates):
        if found:
            pooled = in_column(found, samples[place], *variances[columns[place]])
            judged[place] = max(alone(found, samples[place]), pooled.p_other(0.0))
    adjusted = dict(zip(judged, holm([*judged.values()]), strict=True))
    return [
        found and Apart(found, len(samples[place]) == 1, adjusted[place])
        for place, found in enumerate(estimates)
    ]


def samples_of(first: Replicates, second: Replicates) -> list[list[float]]:
    """Differences of the replicates that both studies have, where these are all of one of them;
    else the second's replicates and the first's.
    """
    both = [key for key in first if key in second]
    if len(both) >= 2 and len(both) in (len(first), len(second)):
        return [[second[key] - first[key] for key in both]]
    return [[*second.values()], [*first.values()]]


def alone(found: Estimate, samples: Sequence[Sequence[float]]) -> float:
    """p of a difference by its own replicates.

    Where they do not vary, it is how many of all ways to deal signs to the differences, or
    replicates to the studies, give as much.
    """
    if found.error or not found.value:
        return found.p_other(0.0)
    sizes = list(map(len, samples))
    if len(sizes) == 1:
        return 2 / 2 ** sizes[0]
    return (2 if sizes[0] == sizes[1] else 1) / math.comb(sum(sizes), sizes[0])


def pooled_variance(pool: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The variance within samples, and its degrees of freedom."""
    freedom = sum(len(sample) - 1 for sample in pool)
    return sum((len(sample) - 1) * variance(sample) for sample in pool) / freedom, freedom


def in_column(
    found: Estimate, samples: Sequence[Sequence[float]], pooled: float, freedom: int
) -> Estimate:
    """The same difference with the error that the variance of its column gives it."""
    error = math.sqrt(pooled * sum(1 / len(sample) for sample in samples))
    return Estimate(found.value, error, freedom)
