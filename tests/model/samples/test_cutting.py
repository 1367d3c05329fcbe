"""Cutting: every sample once, within the limit, with no more padding than micro-batches cost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.samples.cutting import LENGTH_MULTIPLE, OVERHEAD, cut


@pytest.mark.parametrize(
    ("lengths", "tokens", "groups"),
    [
        ([10, 30, 12, 32, 9, 31], 64, [([3, 5], 32), ([1], 32), ([2, 0, 4], 16)]),
        # Shorter rows are worth a micro-batch of their own where they save more than it costs.
        ([32] + [16] * 31, 4096, [([*range(32)], 32)]),
        ([32] + [16] * 33, 4096, [([0], 32), ([*range(1, 34)], 16)]),
        ([1, 13], 4096, [([1, 0], 13)]),
    ],
)
def test_literal_groups(lengths, tokens, groups):
    found = cut(np.array(lengths), tokens, longest=max(lengths))
    assert [(group.indices.tolist(), group.length) for group in found] == groups


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 100), max_size=80), st.integers(1, 2000))
def test_every_sample_once_and_within_the_limit(lengths, tokens):
    lengths = np.array(lengths, dtype=np.int32)
    groups = cut(lengths, tokens, 100)
    assert sorted(i for group in groups for i in group.indices.tolist()) == [*range(len(lengths))]
    for group in groups:
        rows = len(group.indices)
        assert group.length % LENGTH_MULTIPLE == 0 or group.length == 100
        assert lengths[group.indices].max() <= group.length
        assert rows * group.length <= tokens or rows == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 128), min_size=1, max_size=200))
def test_two_lengths_or_one_never_cost_less(lengths):
    def cost(*groups: list[int]) -> int:
        longest = [
            min(128, -(-max(group) // LENGTH_MULTIPLE) * LENGTH_MULTIPLE) for group in groups
        ]
        rows = zip(groups, longest, strict=True)
        return sum(len(group) * length + OVERHEAD for group, length in rows)

    ordered = sorted(lengths, reverse=True)
    found = [[lengths[i] for i in group.indices] for group in cut(np.array(lengths), 10**6, 128)]
    pairs = [cost(ordered[:i], ordered[i:]) for i in range(1, len(ordered))]
    assert cost(*found) <= min([cost(ordered), *pairs])
