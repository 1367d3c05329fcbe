"""Cutting: every sample once, within the limit, little padding, few shapes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.samples.cutting import LENGTH_MULTIPLE, ROW_STEPS, cut


def test_literal_groups():
    groups = cut(np.array([10, 30, 12, 32, 9, 31]), tokens=64, longest=32)
    assert [(g.indices.tolist(), g.rows, g.length) for g in groups] == [
        ([3, 5], 2, 32),
        ([1], 1, 32),
        ([2, 0, 4], 3, 16),
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 100), max_size=80), st.integers(1, 2000))
def test_every_sample_once_and_within_the_limit(lengths, tokens):
    lengths = np.array(lengths, dtype=np.int32)
    groups = cut(lengths, tokens, 100)
    assert sorted(i for group in groups for i in group.indices.tolist()) == [*range(len(lengths))]
    for group in groups:
        assert len(group.indices) <= group.rows
        assert group.length % LENGTH_MULTIPLE == 0 or group.length == 100
        assert lengths[group.indices].max() <= group.length
        assert group.rows * group.length <= tokens or group.rows == 1


def test_shapes_repeat_and_padding_is_small():
    generator = np.random.default_rng(0)
    shapes, padded, real = set(), 0, 0
    for _ in range(200):
        lengths = np.clip(generator.lognormal(3.8, 0.5, 80), 5, 128).astype(int)
        for group in cut(lengths, 4096, 128):
            shapes.add((group.rows, group.length))
            padded += group.rows * group.length
        real += lengths.sum()
    assert padded / real < 1.4
    assert len(shapes) <= ROW_STEPS * 128 // LENGTH_MULTIPLE
