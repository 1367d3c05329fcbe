"""Packs the samples of an update into micro-batches of one shape.

In: real lengths of the samples and how many of their tokens may become targets. Out: groups of
samples, each a micro-batch of `Shape`: samples stand end to end, dummies without weight fill the
rest. All micro-batches of a training have one shape, so that a GPU compiles it once; how an update
is dealt to micro-batches changes no sum.
"""

import heapq
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MULTIPLE = 64  # of tokens and targets: matrix products like it
SPARE_SAMPLES = 1.25  # places for samples, per sample that a micro-batch holds on average


@dataclass(frozen=True)
class Shape:
    """What every micro-batch of a training holds at most."""

    tokens: int  # P, dummies included
    samples: int  # S, dummies included
    targets: int  # K
    longest: int  # tokens of a sample

    @classmethod
    def of(cls, mean: float, longest: int, update: int, micro_batch: int, rate: float) -> "Shape":
        """The shape for updates of about `update` tokens in micro-batches of about `micro_batch`.

        Samples have `mean` tokens on average and `longest` at most; `rate` is the share of tokens
        that are targets. An update is as many equal micro-batches as fit it best; half a sample of
        room in each lets whole samples be dealt evenly.
        """
        parts = max(1, round(update / micro_batch))
        room = (update + longest) / parts + (longest / 2 if parts > 1 else 0)
        tokens = up(room, MULTIPLE)
        held = tokens / mean
        dummies = -(-tokens // longest)
        samples = up(SPARE_SAMPLES * held + dummies, 8)
        # A sample's number of targets is rounded, by half a target at most, or one if it is short.
        targets = up(rate * tokens + held / 2, MULTIPLE)
        return cls(tokens, samples, targets, longest)

    @classmethod
    def of_rows(cls, padded: dict[str, Tensor]) -> "Shape":
        """The shape that full rows of a padded micro-batch fill."""
        rows, length = padded["ids"].shape
        return cls(rows * length, rows, up(padded["labels"].numel(), MULTIPLE), length)


def up(number: float, multiple: int) -> int:
    """The least multiple that is not below the number."""
    return -int(-number // multiple) * multiple


def deal(lengths: np.ndarray, targets: np.ndarray, shape: Shape, parts: int) -> list[np.ndarray]:
    """Indices int64 of the samples of each micro-batch, a multiple of `parts` in number.

    lengths and targets int (n,). The longest sample goes first, each to the micro-batch with the
    fewest tokens, so that all are about equally full. Where that does not fit the shape, `parts`
    more are taken. Samples of 9, 7, 5 and 4 tokens in two micro-batches: 0 and 3, 1 and 2.
    """
    if not len(lengths):
        return []
    count = parts * max(1, -(-int(lengths.sum()) // (shape.tokens * parts)))
    order = np.argsort(-lengths, kind="stable")
    while (groups := _dealt(order, lengths, targets, shape, count)) is None:
        count += parts
    return groups


def _dealt(
    order: np.ndarray, lengths: np.ndarray, targets: np.ndarray, shape: Shape, count: int
) -> list[np.ndarray] | None:
    """The samples dealt to `count` micro-batches; None if one of them would be too full."""
    groups: list[list[int]] = [[] for _ in range(count)]
    targets_of = [0] * count
    emptiest = [(0, number) for number in range(count)]  # tokens and number, a heap
    for sample, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        tokens, number = emptiest[0]
        targets_of[number] += int(targets[sample])
        groups[number].append(sample)
        dummies = -(-(shape.tokens - tokens - length) // shape.longest)
        if (
            tokens + length > shape.tokens
            or targets_of[number] > shape.targets
            or len(groups[number]) + dummies > shape.samples
        ):
            return None
        heapq.heapreplace(emptiest, (tokens + length, number))
    return [np.array(group, dtype=np.int64) for group in groups]


def pack(padded: dict[str, Tensor], shape: Shape, pad: int) -> dict[str, Tensor]:
    """A padded pre-training micro-batch (model.network.pretraining) as a packed one of `shape`.

    Where that has no lengths, every row is full.
    """
    height, width = padded["ids"].shape
    lengths = padded.get("lengths", torch.full((height,), width))
    offsets = offsets_of(lengths.numpy(), shape)

    # What is taken out of the rows: real tokens, used targets.
    real_BT = torch.arange(width) < lengths[:, None]
    used_BK = padded["weights"] == 1

    # Where it stands end to end: targets in all tokens, tokens in their samples.
    targets_BK = padded["positions"] + torch.from_numpy(offsets[:height, None])
    places = np.arange(shape.tokens) - np.repeat(offsets[:-1], np.diff(offsets))
    micro = {
        "keys": filled(padded["keys"][real_BT], shape.tokens, 0),
        "ids": filled(padded["ids"][real_BT], shape.tokens, pad),
        "places": torch.from_numpy(places),
        "offsets": torch.from_numpy(offsets),
        "positions": filled(targets_BK[used_BK], shape.targets, 0),
        "labels": filled(padded["labels"][used_BK], shape.targets, pad),
        "weights": filled(padded["weights"][used_BK], shape.targets, 0),
    }
    if "segments" in padded:
        micro["segments"] = filled(padded["segments"][real_BT], shape.tokens, 0)
    for name in ("nsp", "nsp_weights"):
        if name in padded:
            micro[name] = filled(padded[name], shape.samples, 0)
    return micro


def offsets_of(lengths: np.ndarray, shape: Shape) -> np.ndarray:
    """Where samples of these lengths, then dummies, then empty places begin: int32 (S + 1,)."""
    total = int(lengths.sum())
    dummies = np.arange(total, shape.tokens, shape.longest)
    offsets = np.full(shape.samples + 1, shape.tokens, dtype=np.int32)
    offsets[: len(lengths)] = np.cumsum(lengths) - lengths
    offsets[len(lengths) : len(lengths) + len(dummies)] = dummies
    return offsets


def filled(array: np.ndarray | Tensor, size: int, value: int) -> Tensor:
    """The array as a tensor with `value` behind it along the first dimension, `size` in all."""
    array = np.asarray(array)
    whole = np.full((size, *array.shape[1:]), value, dtype=array.dtype)
    whole[: len(array)] = array
    return torch.from_numpy(whole)
