"""Cutting: every sample once, within the limit, longest first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.samples.cutting import cut


@pytest.mark.parametrize(
    ("lengths", "tokens", "groups"),
    [
        ([10, 30, 12, 32, 9, 31], 64, [([3, 5], 32), ([1, 2], 30), ([0, 4], 10)]),
        ([10, 30, 12, 32, 9, 31], 192, [([3, 5, 1, 2, 0, 4], 32)]),
        ([5, 5, 5], 10, [([0, 1], 5), ([2], 5)]),
        ([20, 7], 3, [([0], 20), ([1], 7)]),
        ([], 10, []),
    ],
)
def test_literal_groups(lengths, tokens, groups):
    found = cut(np.array(lengths), tokens)
    assert [(group.indices.tolist(), group.length) for group in found] == groups


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 100), max_size=80), st.integers(1, 2000))
def test_every_sample_once_and_within_the_limit(lengths, tokens):
    lengths = np.array(lengths, dtype=np.int32)
    groups = cut(lengths, tokens)
    assert sorted(i for group in groups for i in group.indices.tolist()) == [*range(len(lengths))]
    for group in groups:
        rows = len(group.indices)
        assert lengths[group.indices].max() == group.length
        assert rows * group.length <= tokens or rows == 1
        # Another row would not have fitted.
        assert group is groups[-1] or (rows + 1) * group.length > tokens
