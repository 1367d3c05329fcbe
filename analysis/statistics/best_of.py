"""What the best of n tries is expected to be (Dodge et al. 2019, arXiv 1909.03004, section 3).

The best of many settings is not a typical result of one. Had fewer been tried, the best of them
would be expected to be worse; how much says what the search was worth.
"""

from collections.abc import Sequence

import numpy as np


def expected_best(values: Sequence[float]) -> np.ndarray:
    """The expected largest of 1, 2, ... N draws from N `values`, float64 (N,), in their units.

    Draws are with replacement: E[max of n] = sum over values v of v (F(v)^n - F(v-)^n), with the
    values' own distribution F. NaN where a value is not finite: no mean has one that failed.
    """
    if not np.isfinite(values).all():
        return np.full(len(values), np.nan)
    draws = np.arange(1, len(values) + 1)[:, np.newaxis]
    below = np.arange(len(values) + 1) / len(values)  # F before the first value, after each
    return np.diff(below**draws, axis=1) @ np.sort(np.asarray(values, dtype=np.float64))
