"""Fine-tuning batches: features -> updates for the training engine, and dev batches.

In: `Features` of one split. Out: micro-batches, dicts of CPU tensors as the fine-tuning networks
take them (`model.network.finetuning`). Legend: B rows, T padded length, a multiple of 8.

A *unit* is what an update counts: an example, a window of SQuAD, a question of RACE or of a ranking
with all its rows, a pronoun with a row per candidate. An update is a pure function of (fine-tuning
seed, step): units are shuffled per epoch by a keyed permutation, sorted by length within pools of
32 updates, cut into updates of exactly `batch` units (the last may be smaller), and the updates are
shuffled. So an update's units are about equally long and little of it is padding; without
`group_by_length` a pool is one update, whose units are as the permutation draws them. Each is cut
into micro-batches of at most `micro_batch_tokens` padded tokens, which changes no sum.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from model.samples.keyed import permutation
from model.tasks.data import CHOICES
from model.tasks.features import Features
from model.training.update import Update

MULTIPLE = 8
POOL = 32  # updates among which units are sorted by length


class UnitBatches:
    """What training and dev batches share: units, their lengths, and how rows become tensors."""

    def __init__(
        self, features: Features, task: dict, *, pad: int, segments: bool, micro_batch_tokens: int
    ):
        self.features = features
        self.task = task
        self.pad = pad
        self.segments = segments
        self.micro_batch_tokens = micro_batch_tokens
        self.scale = np.float32(task.get("scale", 1))  # of a regression's targets
        self.row_lengths = features.lengths
        step = CHOICES if task["kind"] == "choice" else 1
        every = np.arange(0, len(self.row_lengths) + 1, step)
        # int64 (U + 1,): the first row of each unit, and the end
        self.unit_offsets = np.asarray(features.arrays.get("groups", every))
        self.unit_rows = np.diff(self.unit_offsets)
        self.unit_lengths = np.maximum.reduceat(self.row_lengths, self.unit_offsets[:-1])
        # No row is padded beyond the longest: it may fill the network's positions.
        self.longest = int(self.row_lengths.max())

    def cut(self, units: np.ndarray) -> Iterator[np.ndarray]:
        """Cut units sorted by length into runs that fit `micro_batch_tokens`, longest first."""
        rows = np.concatenate([[0], np.cumsum(self.unit_rows[units])])
        stop = len(units)
        while stop:
            room = self.micro_batch_tokens // self.padded(self.unit_lengths[units[stop - 1]])
            start = min(stop - 1, int(np.searchsorted(rows, rows[stop] - room)))
            yield units[start:stop]
            stop = start

    def padded(self, length: int) -> int:
        """Length rounded up to a multiple of 8, at most the longest row's."""
        return min(-(-int(length) // MULTIPLE) * MULTIPLE, self.longest)

    def rows(self, units: np.ndarray) -> np.ndarray:
        """Row numbers of the units."""
        return concatenated_ranges(self.unit_offsets[units], self.unit_rows[units])

    def inputs(self, units: np.ndarray) -> dict[str, Tensor]:
        """ids (B, T), lengths (B,) and, as the task needs, segments and context (B, T), and what
        `masked_targets` gives."""
        rows = self.rows(units)
        lengths = self.row_lengths[rows]
        places = np.arange(self.padded(lengths.max()))
        inside = places < lengths[:, None]
        ids = self.gather("tokens", rows, inside).astype(np.int64)
        ids[~inside] = self.pad
        micro = {"ids": ids, "lengths": lengths}
        second = (places >= self.features.arrays["boundaries"][rows][:, None]) & inside
        if self.segments:
            micro["segments"] = second.astype(np.int64)
        if self.task["kind"] == "span":
            context = second & (places < lengths[:, None] - 1)
            # Without a classifier, windows that lack the answer point to the first token.
            context[:, 0] = not self.task["answerability"]
            micro["context"] = context
        elif self.task["kind"] == "wsc":
            originals = self.gather("originals", rows, inside).astype(np.int64)
            micro |= masked_targets(ids, np.where(inside, originals, self.pad))
        return {name: torch.from_numpy(array) for name, array in micro.items()}

    def gather(self, name: str, rows: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Entries of an array parallel to tokens as (B, T); arbitrary where not `inside`."""
        offsets = self.features.arrays["offsets"][rows]
        places = np.where(inside, offsets[:, None] + np.arange(inside.shape[1]), 0)
        return self.features.arrays[name][places]


class FineTuningBatches(UnitBatches):
    """All updates of one fine-tuning run: `len()` of them, `[step]` gives one."""

    def __init__(
        self,
        features: Features,
        task: dict,
        *,
        batch: int,
        epochs: int,
        seed: int,
        pad: int,
        segments: bool,
        micro_batch_tokens: int,
        group_by_length: bool = True,
    ):
        super().__init__(
            features, task, pad=pad, segments=segments, micro_batch_tokens=micro_batch_tokens
        )
        self.batch = batch
        self.seed = seed
        self.pool = POOL if group_by_length else 1
        self.updates_per_epoch = -(-len(self.unit_lengths) // batch)
        self.passes = epochs  # over the data, of all updates
        self.updates = epochs * self.updates_per_epoch
        self._order: tuple[int, np.ndarray, np.ndarray] | None = None  # of one epoch

    def __len__(self) -> int:
        return self.updates

    def __getitem__(self, step: int) -> Update:
        """Update number `step`, from 0."""
        units = self.units(step)
        micro_batches = [self.micro_batch(part) for part in self.cut(units)]
        return Update(
            micro_batches,
            self.counts(units),
            {
                "tokens": int(self.row_lengths[self.rows(units)].sum()),
                "padded": sum(micro["ids"].numel() for micro in micro_batches),
                "samples": len(units),
                "epoch": step // self.updates_per_epoch,
            },
        )

    def units(self, step: int) -> np.ndarray:
        """Units of an update, by increasing length."""
        if not 0 <= step < self.updates:
            raise IndexError(step)
        epoch, place = divmod(step, self.updates_per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, *self._epoch_order(epoch))
        _, units, updates = self._order
        start = int(updates[place]) * self.batch
        return units[start : start + self.batch]

    def _epoch_order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Units in the order in which they are cut, and the order of the updates."""
        count = len(self.unit_lengths)
        shuffled = permutation(self.seed, "finetune-units", epoch, count)
        places = np.arange(count)
        pools = places // (self.pool * self.batch)
        order = np.lexsort((places, self.unit_lengths[shuffled], pools))
        updates = permutation(self.seed, "finetune-updates", epoch, self.updates_per_epoch)
        return shuffled[order], updates

    def counts(self, units: np.ndarray) -> dict[str, int]:
        """Number of targets per loss term."""
        kind = self.task["kind"]
        if kind != "span":
            return {kind: len(units)}
        if not self.task["answerability"]:
            return {"span": len(units)}
        answerable = self.features.arrays["answerable"][units]
        return {"span": int(answerable.sum()), "answerability": len(units)}

    def micro_batch(self, units: np.ndarray) -> dict[str, Tensor]:
        """Inputs and targets of the units."""
        micro = self.inputs(units)
        micro["weights"] = torch.ones(len(units))
        arrays = self.features.arrays
        if self.task["kind"] == "span":
            answerable = torch.from_numpy(arrays["answerable"][units])
            micro["starts"] = torch.from_numpy(arrays["starts"][units].astype(np.int64))
            micro["ends"] = torch.from_numpy(arrays["ends"][units].astype(np.int64))
            micro["answerable"] = answerable.long()
            separate = self.task["answerability"]
            micro["span_weights"] = answerable.float() if separate else torch.ones(len(units))
        elif self.task["kind"] == "regression":
            micro["values"] = torch.from_numpy(arrays["labels"][units] / self.scale)
        elif "groups" in arrays:
            micro["members"] = torch.from_numpy(members(self.unit_rows[units]))
        else:
            micro["labels"] = torch.from_numpy(arrays["labels"][units])
        return micro


class DevBatches(UnitBatches):
    """All units once, longest first: iterates over (units int64 (U,), micro-batch)."""

    def __iter__(self) -> Iterator[tuple[np.ndarray, dict[str, Tensor]]]:
        order = np.argsort(self.unit_lengths, kind="stable")
        for units in self.cut(order):
            yield units, self.inputs(units)


def concatenated_ranges(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The numbers start, start + 1, ... of every range in turn, int64 (sum of sizes,)."""
    before = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(starts - before, sizes)


def members(sizes: np.ndarray) -> np.ndarray:
    """Rows of units that follow each other: int64 (U, C), -1 where a unit has fewer than C rows."""
    places = np.arange(sizes.max())
    rows = (np.cumsum(sizes) - sizes)[:, None] + places
    return np.where(places < sizes[:, None], rows, -1)


def masked_targets(ids: np.ndarray, originals: np.ndarray) -> dict[str, np.ndarray]:
    """Where ids and originals (B, T) differ: positions and targets int64 (B, K), K the most masks
    of a row, and shares float32 (B, K): one over the row's masks, 0 in slots that it does not use.
    """
    masked = ids != originals
    counts = masked.sum(1)
    slots = np.arange(counts.max()) < counts[:, None]
    positions = np.zeros(slots.shape, dtype=np.int64)
    # Both list their true entries row by row, in order.
    positions[slots] = np.nonzero(masked)[1]
    return {
        "positions": positions,
        "targets": np.take_along_axis(originals, positions, 1),
        "shares": np.where(slots, 1.0 / counts[:, None], 0.0).astype(np.float32),
    }
