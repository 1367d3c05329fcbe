"""Cuts the samples of an update into padded micro-batches of few different shapes.

In: real lengths (n,), the tokens that a micro-batch may hold, padding included. Out: groups of
samples with the shape (rows, length) of each. Lengths are multiples of LENGTH_MULTIPLE and rows
come in ROW_STEPS steps, so that shapes repeat; the cuts are those with the least padded tokens,
a further micro-batch counting as much as 1/OVERHEAD of a full one.
"""

from dataclasses import dataclass

import numpy as np

LENGTH_MULTIPLE = 16
ROW_STEPS = 16
OVERHEAD = 16


@dataclass(frozen=True)
class Group:
    """The samples `indices` (int64, into the lengths) of a micro-batch of (rows, length)."""

    indices: np.ndarray
    rows: int
    length: int


@dataclass(frozen=True)
class _Capacity:
    """What micro-batches of one padded length hold."""

    rows: int
    step: int

    @classmethod
    def of(cls, length: int, tokens: int) -> "_Capacity":
        rows = max(1, tokens // length)
        return cls(rows, -(-rows // ROW_STEPS))

    def padded(self, count: int) -> int:
        """Rows of a micro-batch with `count` samples."""
        return min(self.rows, -(-count // self.step) * self.step)


def cut(lengths: np.ndarray, tokens: int, longest: int) -> list[Group]:
    """Groups of all samples, longest first (equal lengths in their order); no length over
    `longest`, no more than `tokens` padded tokens in a group unless a single sample needs them.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    padded = -(-np.asarray(lengths)[order] // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
    negative, counts = np.unique(-np.minimum(padded, longest), return_counts=True)
    levels, firsts = (-negative).tolist(), [0, *np.cumsum(counts).tolist()]
    groups = []
    for level, stop in _runs(levels, firsts, tokens):
        capacity = _Capacity.of(levels[level], tokens)
        for at in range(firsts[level], firsts[stop], capacity.rows):
            indices = order[at : min(at + capacity.rows, firsts[stop])]
            groups.append(Group(indices, capacity.padded(len(indices)), levels[level]))
    return groups


def _runs(levels: list[int], firsts: list[int], tokens: int) -> list[tuple[int, int]]:
    """Runs (level, stop) of levels that share the padded length of their first, at least cost."""
    best = [(0.0, 0)] * (
        len(levels) + 1
    )  # cost of all rows from a level on, and where its run ends
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


def _cost(length: int, count: int, tokens: int) -> float:
    """Padded tokens of `count` samples at this length, and the overhead of their micro-batches."""
    capacity = _Capacity.of(length, tokens)
    full, rest = divmod(count, capacity.rows)
    rows = full * capacity.rows + capacity.padded(rest)
    return rows * length + (full + (rest > 0)) * tokens / OVERHEAD
