"""Metrics: literal values, and agreement with scikit-learn and scipy."""

import math

import numpy as np
import pytest
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
