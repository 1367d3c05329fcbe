"""Cuts the samples of an update into padded micro-batches.

In: real lengths (n,), the tokens that a micro-batch may hold, padding included. Out: groups of
samples with the padded length of each, a multiple of LENGTH_MULTIPLE. The cuts are those with the
least padded tokens, a further micro-batch counting as much as OVERHEAD tokens. Padded rows are for
a CPU, where nothing is compiled: shapes need not repeat, so no row is added.
"""

from dataclasses import dataclass

import numpy as np

LENGTH_MULTIPLE = 8
OVERHEAD = 512  # tokens: measured with the networks of one or two layers that a CPU trains


@dataclass(frozen=True)
class Group:
    """The samples `indices` (int64, into the lengths) of a micro-batch, padded to `length`."""

    indices: np.ndarray
    length: int


def cut(lengths: np.ndarray, tokens: int, longest: int) -> list[Group]:
    """Groups of all samples, longest first (equal lengths in their order); no length over
    `longest`, no more than `tokens` padded tokens in a group unless a single sample needs them.

    Samples of 30, 9, 25 and 12 tokens are padded to 32, 16, 32 and 16: two levels, 32 and 16, that
    begin at 0 and 2 in the order 0 2 3 1. At 64 tokens each of them is a group of two samples.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    padded = -(-np.asarray(lengths)[order] // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
    negative, counts = np.unique(-np.minimum(padded, longest), return_counts=True)
    levels, firsts = (-negative).tolist(), [0, *np.cumsum(counts).tolist()]
    groups = []
    for level, stop in _runs(levels, firsts, tokens):
        most = _most_rows(levels[level], tokens)
        for begin in range(firsts[level], firsts[stop], most):
            indices = order[begin : min(begin + most, firsts[stop])]
            groups.append(Group(indices, levels[level]))
    return groups


def _runs(levels: list[int], firsts: list[int], tokens: int) -> list[tuple[int, int]]:
    """Runs (level, stop) of levels that share the padded length of their first, at least cost."""
    # By level: the cost of all rows from there on, and where its run ends.
    best = [(0, 0)] * (len(levels) + 1)
    for level in reversed(range(len(levels))):
        best[level] = min(
            (_cost(levels[level], firsts[stop] - firsts[level], tokens) + best[stop][0], stop)
            for stop in range(level + 1, len(levels) + 1)
        )
    runs, level = [], 0
    while level < len(levels):
        runs.append((level, best[level][1]))
        level = best[level][1]
    return runs


def _cost(length: int, count: int, tokens: int) -> int:
    """Padded tokens of `count` samples at this length, and the overhead of their micro-batches."""
    return count * length + -(-count // _most_rows(length, tokens)) * OVERHEAD


def _most_rows(length: int, tokens: int) -> int:
    """Rows of this padded length in a full micro-batch."""
    return max(1, tokens // length)
