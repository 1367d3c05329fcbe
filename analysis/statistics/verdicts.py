"""Evidence for and against a claim, and verdicts on the claims of one table together.

In: for each row of a claim a number per replicate, the higher the better; NaN where the replicate
has no score, which counts as the worst. Out: a verdict, which is

    replicated     what is claimed holds
    contradicted   the opposite holds
    equivalent     whichever is better, it is so by less than the margin
    undecided      these replicates cannot tell

One false verdict in twenty tables, whatever is true: Welch's t-test on replicates (their mean is
of numbers that are medians over fine-tuning seeds already), Holm's adjustment (Scand. J. Stat. 6,
1979) over the claims of a table, two one-sided tests for equivalence (Schuirmann 1987), all of them
Bonferroni-adjusted, as what is called equivalent may be followed by no easier test of another
claim.
Where a replicate has no score there is no mean, and ranks are permuted instead of values.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.stats import permutation_test, rankdata

from analysis.statistics.intervals import Estimate, estimate
from analysis.statistics.looks import ALPHA
from study.claims import Kind

REPLICATED, CONTRADICTED = "replicated", "contradicted"
EQUIVALENT, UNDECIDED, NOT_TESTABLE = "equivalent", "undecided", "not testable"
MOST_EXACT = 200_000  # permutations that are all counted; of more, so many random ones
RANDOM = 9999
Sample = Sequence[float] | float  # a number that does not vary: what others published


class Evidence(NamedTuple):
    """What speaks for a claim or against it.

    `p` is how likely as much is where the claim is on the edge of being true; `side` is 1 where it
    speaks for the claim, -1 against. `p_equivalent` is of the difference being beyond the margin.
    `otherwise` is the verdict where nothing of this is small.
    """

    p: float
    side: int
    p_equivalent: float = 1.0
    otherwise: str = UNDECIDED


def evidence(kind: Kind, samples: Sequence[Sample], margin: float) -> Evidence:
    """Of a claim of this kind; `samples` have the better row's replicates first.

    Kind `value` has the number that is claimed as its second sample, and differences within
    replicates have 0.
    """
    if kind == "ordering":
        return _ordering([evidence("direction", pair, margin) for pair in pairwise(samples)])
    ours, other = samples
    assert not isinstance(ours, float)
    if kind == "value":
        assert isinstance(other, (int, float))
        return _prediction(ours, other)
    found = estimate(ours, other)
    if kind == "equivalent":
        return _equivalence(found, margin)
    if found is None or found.error == 0:  # replicates that do not vary tell only their number
        return _dealt(ours, other, -margin if kind == "at_least" else 0.0)
    if kind == "at_least":
        return _apart(found, -margin)
    return _apart(found, 0.0)._replace(p_equivalent=p_within(found, margin))


def p_within(found: Estimate, margin: float) -> float:
    """Of two one-sided tests: the difference is beyond the margin on either side."""
    return max(found.p_above(-margin), found.p_below(margin))


def _apart(found: Estimate, bound: float) -> Evidence:
    return Evidence(found.p_other(bound), 1 if found.value > bound else -1)


def _equivalence(found: Estimate | None, margin: float) -> Evidence:
    if found is None or found.error == 0:
        return Evidence(1.0, -1)
    outside = min(found.p_above(margin), found.p_below(-margin))
    inside = p_within(found, margin)
    return Evidence(inside, 1) if inside <= outside else Evidence(outside, -1)


def _ordering(pairs: list[Evidence]) -> Evidence:
    """Holds if every pair does (intersection-union); fails if one does, of which there are many."""
    against = [pair.p for pair in pairs if pair.side < 0]
    if against:
        return Evidence(min(1.0, min(against) * len(pairs)), -1)
    return Evidence(max(pair.p for pair in pairs), 1)


def _prediction(ours: Sequence[float], claimed: float) -> Evidence:
    """Whether one further run may fall on the claimed number: it may, unless that is unlikely."""
    found = estimate(ours, claimed)
    if found is None:
        return Evidence(1.0, -1)
    further = found._replace(error=found.error * math.sqrt(len(ours) + 1))
    return Evidence(further.p_other(0.0), -1, otherwise=REPLICATED)


def _dealt(ours: Sequence[float], other: Sample, bound: float) -> Evidence:
    """By permutation; of ranks where a replicate has no score, which is then the worst."""
    both = [np.asarray(ours, float) - bound, np.atleast_1d(np.asarray(other, float))]
    if np.isnan(np.concatenate(both)).any():
        if isinstance(other, float):
            return Evidence(1.0, -1)
        ranks = rankdata(np.where(np.isnan(np.concatenate(both)), -np.inf, np.concatenate(both)))
        both = [ranks[: len(ours)], ranks[len(ours) :]]
    side = 1 if both[0].mean() > both[1].mean() else -1
    dealt = other if isinstance(other, float) else both[1].tolist()
    return Evidence(permutation_p(both[0].tolist(), dealt), side)


def permutation_p(ours: Sequence[float], other: Sample, bound: float = 0.0) -> float:
    """Two-sided, of the difference of means, over all ways to deal the replicates to two cells.

    With five replicates each it is 0.008 or more, with three 0.1. Of one sample, signs are dealt.
    """
    alone = isinstance(other, (int, float))
    shifted = np.asarray(ours, float) - bound - (other if alone else 0)
    data = (shifted,) if alone else (shifted, np.asarray(other, float))
    number = round(2 / smallest_p(ours, 0.0 if alone else other))

    def difference(*samples: np.ndarray, axis: int) -> np.ndarray:
        means = [sample.mean(axis) for sample in samples]
        return means[0] - (means[1] if len(means) > 1 else 0)

    found = permutation_test(
        data,
        difference,
        permutation_type="samples" if alone else "independent",
        n_resamples=np.inf if number <= MOST_EXACT else RANDOM,
        rng=np.random.default_rng(0),
        vectorized=True,
    )
    return float(found.pvalue)


def smallest_p(ours: Sequence[float], other: Sample) -> float:
    """The smallest that permutations of so many replicates give: 2 of all ways to deal them."""
    if isinstance(other, (int, float)):
        return 2 / 2 ** len(ours)
    return 2 / math.comb(len(ours) + len(other), len(ours))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in their order: the smallest times their number, the next times less."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda one: p_values[one])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - place)))
        adjusted[index] = largest
    return adjusted


def verdicts(claims: Sequence[Evidence], level: float = ALPHA) -> list[tuple[str, float]]:
    """A verdict on each claim of a table, with its adjusted p; all together err with `level`."""
    found = []
    for claim, adjusted in zip(claims, holm([claim.p for claim in claims]), strict=True):
        if adjusted <= level:
            found.append((REPLICATED if claim.side > 0 else CONTRADICTED, adjusted))
        elif claim.p_equivalent * len(claims) <= level:
            found.append((EQUIVALENT, adjusted))
        else:
            found.append((claim.otherwise, adjusted))
    return found
