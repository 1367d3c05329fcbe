"""Metrics: literal values, and agreement with scikit-learn and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from model.tasks.metrics import accuracy, f1, matthews, pearson, spearman


def test_literal_values_in_percent():
    predictions, labels = np.array([1, 1, 0, 0]), np.array([1, 0, 0, 1])
    assert accuracy(predictions, labels) == 50
    assert f1(predictions, labels) == 50
    assert matthews(predictions, labels) == 0
    assert pearson(np.array([1.0, 2, 3]), np.array([2.0, 4, 6])) == pytest.approx(100)
    assert spearman(np.array([1.0, 2, 9]), np.array([3.0, 2, 1])) == pytest.approx(-100)


@pytest.mark.parametrize("seed", range(5))
def test_agreement_with_the_reference(seed):
    draw = np.random.default_rng(seed)
    predictions, labels = draw.integers(0, 2, (2, 57))
    assert accuracy(predictions, labels) == pytest.approx(
        100 * reference.accuracy_score(labels, predictions)
    )
    assert f1(predictions, labels) == pytest.approx(100 * reference.f1_score(labels, predictions))
    classes = draw.integers(0, 4, (2, 57))
    for pair in ((predictions, labels), classes):
        assert matthews(*pair) == pytest.approx(100 * reference.matthews_corrcoef(pair[1], pair[0]))
    values, gold = draw.normal(size=57), draw.integers(0, 6, 57) / 2  # golds with many ties
    assert pearson(values, gold) == pytest.approx(100 * stats.pearsonr(values, gold)[0])
    assert spearman(values, gold) == pytest.approx(100 * stats.spearmanr(values, gold)[0])


def test_constant_predictions_show_as_what_they_are():
    constant, labels = np.zeros(6, dtype=np.int64), np.array([0, 1, 0, 1, 1, 0])
    assert matthews(constant, labels) == 0
    assert f1(constant, labels) == 0
    assert math.isnan(pearson(constant, labels))
    assert math.isnan(spearman(constant, labels))
    assert math.isnan(spearman(np.array([1.0, math.nan]), np.array([1.0, 2.0])))
    assert math.isnan(accuracy(constant[:0], labels[:0]))


def classes_of(largest: int):
    """Predictions and labels, equally long."""
    pair = st.tuples(st.integers(0, largest), st.integers(0, largest))
    return st.lists(pair, min_size=1, max_size=40).map(lambda rows: np.array(rows).T)


# Eighths are exact, so that "constant" and "tied" mean the same to every implementation.
VALUES = st.lists(
    st.tuples(st.integers(-40, 40), st.integers(-40, 40)), min_size=2, max_size=40
).map(lambda rows: np.array(rows).T / 8)


@given(classes_of(1))
def test_two_classes_agree_with_scikit_learn(pair):
    predictions, labels = pair
    expected = reference.f1_score(labels, predictions, zero_division=0)
    assert f1(predictions, labels) == pytest.approx(100 * expected)


@given(st.integers(1, 4).flatmap(classes_of))
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_any_classes_agree_with_scikit_learn(pair):
    predictions, labels = pair
    expected = reference.accuracy_score(labels, predictions)
    assert accuracy(predictions, labels) == pytest.approx(100 * expected)
    expected = reference.matthews_corrcoef(labels, predictions)
    assert matthews(predictions, labels) == pytest.approx(100 * expected, abs=1e-9)


@given(VALUES)
@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_correlations_agree_with_scipy(pair):
    """Also in what is not defined: scipy gives NaN for a constant input, and so do we."""
    predictions, labels = pair
    for own, other in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        expected = 100 * other(predictions, labels)[0]
        assert own(predictions, labels) == pytest.approx(expected, abs=1e-7, nan_ok=True)


@pytest.mark.parametrize("label", [0, 1])
def test_a_constant_class_scores_its_share_and_correlates_with_nothing(label):
    """Accuracy is the class's share. F1 of class 1 is 0 where 1 is never predicted, and that of
    full recall at the share's precision where it always is. Matthews is 0 by convention: its
    denominator is 0, and scikit-learn sets it so too. Roles exchanged, the same holds.
    """
    labels = np.array([1, 1, 1, 0])
    constant = np.full(4, label)
    assert accuracy(constant, labels) == (75 if label else 25)
    assert f1(constant, labels) == pytest.approx(100 * 2 * 0.75 / 1.75 if label else 0)
    assert f1(labels, constant) == f1(constant, labels)
    assert matthews(constant, labels) == matthews(labels, constant) == 0


def test_where_class_1_is_neither_predicted_nor_labelled():
    """No true positive: F1 is 0 although every prediction is right, as in scikit-learn."""
    none = np.zeros(3, dtype=np.int64)
    assert f1(none, none) == 0
    assert accuracy(none, none) == 100
    assert matthews(none, none) == 0


def test_constant_or_broken_values_have_no_correlation():
    """A spread of 0 is divided by: not a number, so that a failed regression cannot pass as 0."""
    values, constant = np.array([0.5, 2.0, 1.0]), np.full(3, 2.5)
    broken = np.array([1.0, np.inf, 2.0])
    for metric in (pearson, spearman):
        for pair in ((constant, values), (values, constant), (constant, constant)):
            assert math.isnan(metric(*pair))
        with np.errstate(invalid="ignore"):
            assert math.isnan(metric(broken, values))
        assert math.isnan(metric(values[:1], values[:1]))
