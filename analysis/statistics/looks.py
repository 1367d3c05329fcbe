"""Looking at growing numbers of replicates without erring more often than looking once.

A person who adds replicates while a claim is undecided, and tests each time at 5 %, calls a
difference that is none in 8 % of studies with two looks and in 11 % with three. So the looks are
planned, and each is tested at the same stricter level, at which all together err in 5 % (Pocock,
Biometrika 64, 1977). The level is that of a normal statistic; used with t-tests it keeps the rate
closely (Jennison and Turnbull, Group Sequential Methods, 2000, section 4.4), as
`results/calibration.csv` shows for ours.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

ALPHA = 0.05
POINTS = 64  # of the grid between the boundaries: the level is exact to 1e-9


def look_at(looks: Sequence[int], replicates: int) -> int | None:
    """The last planned look that so many replicates are enough for; None before the first."""
    return max((look for look in looks if look <= replicates), default=None)


@cache
def look_level(looks: tuple[int, ...], alpha: float = ALPHA) -> float:
    """The two-sided level of each look at which all `looks` together err with `alpha`."""
    if len(looks) == 1:
        return alpha
    bound = brentq(lambda bound: _crossing(looks, bound) - alpha, 1.0, 6.0, xtol=1e-9)
    return float(2 * norm.sf(bound))


def _crossing(looks: tuple[int, ...], bound: float) -> float:
    """How likely a mean of so many standard normal numbers, tested at each look, is ever called.

    The recursion of Armitage, McPherson and Rowe (J. R. Stat. Soc. A 132, 1969): the density of
    the sum at a look, of those that were not called before. With looks (5, 10) the sum of 5 is
    kept between -bound * sqrt(5) and bound * sqrt(5), and that of 5 more is added to it.
    """
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    sums = nodes * bound * math.sqrt(looks[0])
    density = norm.pdf(sums, scale=math.sqrt(looks[0])) * weights * bound * math.sqrt(looks[0])
    called = 1 - density.sum()
    for before, now in pairwise(looks):
        edge, spread = bound * math.sqrt(now), math.sqrt(now - before)
        stays = norm.cdf((edge - sums) / spread) - norm.cdf((-edge - sums) / spread)
        called += float((density * (1 - stays)).sum())
        reached = nodes * edge
        steps = norm.pdf((reached[:, None] - sums) / spread) / spread
        sums, density = reached, steps @ density * weights * edge
    return called
