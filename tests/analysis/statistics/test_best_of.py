"""The expected best of n draws from a grid's values."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.best_of import expected_best

VALUES = st.lists(st.floats(-1000, 1000), min_size=1, max_size=4)


def test_the_expected_best_of_three_values():
    # Of two draws from 60, 70, 90: one in nine 60, three in nine 70, five in nine 90.
    expected = [220 / 3, (60 + 3 * 70 + 5 * 90) / 9, (60 + 7 * 70 + 19 * 90) / 27]
    assert expected_best([90, 60, 70]).tolist() == pytest.approx(expected)
    assert expected_best([80.5]).tolist() == [80.5]
    assert expected_best([70, 70, 90])[1] == pytest.approx((4 * 70 + 5 * 90) / 9)


@given(VALUES)
def test_it_is_the_mean_over_all_draws(values):
    for number, found in enumerate(expected_best(values), start=1):
        best = [max(draw) for draw in product(values, repeat=number)]
        assert found == pytest.approx(np.mean(best), abs=1e-9)


@given(VALUES)
def test_more_draws_are_no_worse_and_never_better_than_the_best(values):
    curve = expected_best(values)
    assert (np.diff(curve) >= -1e-9).all()
    assert curve[0] == pytest.approx(np.mean(values), abs=1e-9)
    assert curve[-1] <= max(values) + 1e-9


@pytest.mark.parametrize("failed", [float("nan"), float("-inf")])
def test_with_a_value_that_failed_there_is_none(failed):
    assert np.isnan(expected_best([50, failed])).all()
