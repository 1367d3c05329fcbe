"""Evidence from replicates, verdicts on the claims of a table, planned looks, power."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_ind

from analysis.statistics.looks import look_at, look_level
from analysis.statistics.power import Needed, needed, power_of_equivalence
from analysis.statistics.verdicts import (
    CONTRADICTED,
    EQUIVALENT,
    REPLICATED,
    UNDECIDED,
    Evidence,
    evidence,
    holm,
    permutation_p,
    verdicts,
)

HIGH, LOW = [6.0, 7.5, 8.0, 9.0, 10.0], [1.0, 2.0, 3.0, 4.5, 5.0]
CLOSE, NAN = [6.1, 7.4, 8.2, 8.9, 9.9], math.nan
VALUES = st.lists(st.integers(0, 50), min_size=3, max_size=5)


def test_a_direction_is_welchs_test():
    found = evidence("direction", [HIGH, LOW], 1.0)
    assert found.side == 1
    assert found.p == pytest.approx(ttest_ind(HIGH, LOW, equal_var=False).pvalue)
    assert evidence("direction", [LOW, HIGH], 1.0) == pytest.approx(found._replace(side=-1))


def test_at_least_asks_whether_the_difference_is_above_minus_the_margin():
    shifted = [value + 2 for value in LOW]
    found = evidence("at_least", [shifted, HIGH], 2.0)
    other = ttest_ind([value + 2 for value in shifted], HIGH, equal_var=False)
    assert (found.p, found.side) == (pytest.approx(other.pvalue), -1)
    assert evidence("at_least", [CLOSE, HIGH], 10.0).side == 1
    assert evidence("at_least", [CLOSE, HIGH], 10.0).p < 0.001


def test_equivalence_is_two_one_sided_tests():
    for margin in (3.0, 6.0):
        one_sided = [
            ttest_ind([x + margin for x in CLOSE], HIGH, equal_var=False, alternative="greater"),
            ttest_ind([x - margin for x in CLOSE], HIGH, equal_var=False, alternative="less"),
        ]
        expected = max(test.pvalue for test in one_sided)
        assert evidence("direction", [CLOSE, HIGH], margin).p_equivalent == pytest.approx(expected)
        found = evidence("equivalent", [CLOSE, HIGH], margin)
        assert (found.p, found.side) == (pytest.approx(expected), 1)
    apart = evidence("equivalent", [HIGH, LOW], 1.0)
    beyond = ttest_ind(HIGH, [x + 1 for x in LOW], equal_var=False, alternative="greater")
    assert (apart.p, apart.side) == (pytest.approx(beyond.pvalue), -1)


def test_an_ordering_holds_if_every_pair_does_and_fails_if_one_does():
    top = [value + 6 for value in HIGH]
    pairs = [evidence("direction", [a, b], 1.0).p for a, b in ((top, HIGH), (HIGH, LOW))]
    assert evidence("ordering", [top, HIGH, LOW], 1.0) == Evidence(max(pairs), 1)
    wrong = evidence("direction", [LOW, HIGH], 1.0).p
    assert evidence("ordering", [top, LOW, HIGH], 1.0) == Evidence(2 * wrong, -1)


def test_a_published_number_is_compared_with_where_one_more_run_may_fall():
    """Five values of mean 8.1: one more falls within t * sd * sqrt(1 + 1/5) of it."""
    near = evidence("value", [HIGH, 11.0], 1.0)
    assert near.p > 0.05
    assert verdicts([near]) == [(REPLICATED, near.p)]
    far = evidence("value", [HIGH, 20.0], 1.0)
    assert verdicts([far]) == [(CONTRADICTED, far.p)]
    sd = math.sqrt(sum((x - 8.1) ** 2 for x in HIGH) / 4)
    scaled = [8.1 + (x - 8.1) * math.sqrt(6) for x in HIGH]  # standard error sd * sqrt(6 / 5)
    assert far.p == pytest.approx(ttest_1samp(scaled, 20.0).pvalue)
    assert sd * math.sqrt(6 / 5) == pytest.approx(
        math.sqrt(sum((x - 8.1) ** 2 for x in scaled) / 4 / 5)
    )


def test_one_sample_is_compared_with_a_number():
    found = evidence("direction", [HIGH, 3.0], 1.0)
    assert found.p == pytest.approx(ttest_1samp(HIGH, 3.0).pvalue)


def test_replicates_without_a_score_are_the_worst_and_ranks_are_permuted():
    found = evidence("direction", [HIGH, [1.0, 2.0, NAN, 4.0, NAN]], 1.0)
    assert (found.p, found.side) == (pytest.approx(2 / 252), 1)
    assert evidence("direction", [[6.0, NAN, NAN, NAN, NAN], LOW], 1.0).side == -1
    assert evidence("equivalent", [[NAN, 1.0], LOW], 1.0).p == 1


def test_replicates_that_do_not_vary_tell_only_how_many_they_are():
    assert evidence("direction", [[2.0] * 3, [1.0] * 3], 1.0).p == pytest.approx(0.1)
    assert evidence("direction", [[2.0] * 5, [1.0] * 5], 1.0).p == pytest.approx(2 / 252)
    assert evidence("direction", [[1.0] * 5, [1.0] * 5], 1.0).p == 1
    assert evidence("equivalent", [[1.0] * 5, [1.0] * 5], 1.0).p == 1


def test_exact_permutation():
    assert permutation_p([6, 7, 8, 9, 10], [1, 2, 3, 4, 5]) == pytest.approx(2 / 252)
    assert permutation_p([4, 5, 6], [1, 2, 3]) == pytest.approx(0.1)
    assert permutation_p([1, 2, 3], 0.0) == pytest.approx(0.25)
    many = list(range(20))
    assert permutation_p([x + 40 for x in many], many) == pytest.approx(2e-4)  # 9,999 random ones


@settings(deadline=None)
@given(VALUES, VALUES, st.permutations(range(3)), st.integers(-9, 9))
def test_neither_order_nor_a_constant_matters(ours, other, order, constant):
    found = evidence("direction", [ours, other], 2.0)
    turned = [ours[place] for place in order] + ours[3:]
    moved = [[value + constant for value in sample] for sample in (turned, other)]
    assert evidence("direction", moved, 2.0) == pytest.approx(found, abs=1e-9)
    swapped = evidence("direction", [other, ours], 2.0)
    assert swapped.p == pytest.approx(found.p, abs=1e-9)
    assert swapped.p_equivalent == pytest.approx(found.p_equivalent, abs=1e-9)
    if found.p < 1:
        assert swapped.side == -found.side


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_verdicts_of_a_table():
    claims = [
        Evidence(0.001, 1),
        Evidence(0.012, -1, 1.0),
        Evidence(0.3, 1, 0.01),
        Evidence(0.04, 1, 0.02),
    ]
    assert verdicts(claims) == [
        (REPLICATED, pytest.approx(0.004)),
        (CONTRADICTED, pytest.approx(0.036)),
        (EQUIVALENT, pytest.approx(0.3)),
        (UNDECIDED, pytest.approx(0.08)),
    ]
    assert [verdict for verdict, _ in verdicts(claims, 0.0294)] == [
        *(REPLICATED, UNDECIDED, UNDECIDED, UNDECIDED),
    ]


def test_the_levels_of_looks_are_pococks():
    """Pocock 1977, table 1: nominal levels of 2 to 5 equally spaced looks that err in 5 %."""
    assert look_level((5,)) == 0.05
    for number, level in ((2, 0.0294), (3, 0.0221), (4, 0.0182), (5, 0.0158)):
        assert look_level(tuple(range(1, number + 1))) == pytest.approx(level, abs=5e-5)
    assert look_level((5, 10, 20)) == pytest.approx(look_level((1, 2, 4)))


def test_verdicts_are_given_at_planned_looks():
    assert [look_at([5, 10], replicates) for replicates in (4, 5, 9, 30)] == [None, 5, 5, 10]


def test_replicates_for_power():
    """Two-sided 5 %: 64, 29, 17 per arm at 0.5, 0.75, 1 standard deviations (Cohen's tables)."""
    found = [needed(shift, 1.0, 8, 0.05).replicates for shift in (0.5, 0.75, 1, 1.5, 3)]
    assert found == [64, 29, 17, 9, 4]
    assert needed(1.0, 1.0, 8, 0.05) == Needed(17, 9, 59)
    assert needed(0.01, 1.0, 8, 0.05).replicates == math.inf
    assert needed(2.1, 1.0, 8, 0.05, test=power_of_equivalence).replicates == 5
