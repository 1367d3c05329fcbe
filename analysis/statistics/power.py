"""How many replicates would show a difference: those with which a test finds it in 80 % of studies.

In: a difference, the standard deviation of replicates in each cell, the level of the test. Two
cells have the same number of replicates and are compared by Student's t-test, to which Welch's
comes when the cells are alike; one cell is compared with a number.
"""

import math
from typing import NamedTuple

from scipy.stats import chi2, nct, t

POWER = 0.8
MOST = 1000  # replicates that are counted; more is told as infinity


class Needed(NamedTuple):
    """Replicates, and their range as the standard deviation is known: its 95 % interval."""

    replicates: float
    low: float
    high: float


def power(difference: float, deviation: float, replicates: int, level: float, cells: int) -> float:
    """How often a two-sided test of that level calls a true difference, on its side."""
    freedom = cells * (replicates - 1)
    shift = difference / (deviation * math.sqrt(cells / replicates))
    return float(nct.sf(t.isf(level / 2, freedom), freedom, shift))


def power_of_equivalence(
    margin: float, deviation: float, replicates: int, level: float, cells: int
) -> float:
    """How often two one-sided tests of that level tell equal cells to be within the margin."""
    freedom = cells * (replicates - 1)
    room = margin / (deviation * math.sqrt(cells / replicates)) - t.isf(level, freedom)
    return float(1 - 2 * t.sf(room, freedom)) if room > 0 else 0.0


def needed(
    difference: float,
    deviation: float,
    freedom: float,
    level: float,
    cells: int = 2,
    test=power,
) -> Needed:
    """Replicates in each cell for 80 % power; `deviation` is known with so many degrees of freedom.

    `difference` is that of `power` or the margin of `power_of_equivalence`, and above zero like
    `deviation`.
    """
    ends = [deviation * math.sqrt(freedom / chi2.isf(tail, freedom)) for tail in (0.025, 0.975)]
    return Needed(*(_fewest(difference, sd, level, cells, test) for sd in (deviation, *ends)))


def _fewest(difference: float, deviation: float, level: float, cells: int, test) -> float:
    """The fewest replicates with enough power, by halving; infinity above MOST."""
    low, high = 1, MOST  # low is too few
    if test(difference, deviation, high, level, cells) < POWER:
        return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        enough = test(difference, deviation, middle, level, cells) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high
