"""Fine-tuning batches: features -> updates for the training engine, and dev batches.

In: `Features` of one split. Out: micro-batches, dicts of CPU tensors as the fine-tuning networks
take them (`model.tasks.kinds`). Legend: B rows, T padded length.

A *unit* is what an update counts: an example, a window of SQuAD, a question of RACE or of a ranking
with all its rows, a pronoun with a row per candidate. An update is a pure function of (fine-tuning
seed, step): units are shuffled per epoch by a keyed permutation, sorted by length within pools of
32 updates, cut into updates of exactly `batch` units (the last may be smaller), and the updates are
shuffled. So an update's units are about equally long and little of it is padding; without
`group_by_length` a pool is one update, whose units are as the permutation draws them. Each is cut
into micro-batches of at most `micro_batch_tokens` padded tokens, which changes no sum.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from model.samples.keyed import key_of_stream, permutation, token_keys
from model.tasks.features import Features, PaddedRows
from model.tasks.kinds import KINDS
from model.training.update import Update
from study.recipes import RecipeTask

POOL = 32  # updates among which units are sorted by length


class UnitBatches:
    """What training and dev batches share: units, their lengths, and how rows become tensors."""

    def __init__(
        self,
        features: Features,
        task: RecipeTask,
        *,
        pad: int,
        segments: bool,
        micro_batch_tokens: int,
        multiple: int = 1,
    ):
        """Rows are padded to the longest of a micro-batch, rounded up to a `multiple`."""
        self.features = features
        self.task = task
        self.pad = pad
        self.segments = segments
        self.micro_batch_tokens, self.multiple = micro_batch_tokens, multiple
        self.kind = KINDS[task.kind]
        self.row_lengths = features.lengths
        every = np.arange(0, len(self.row_lengths) + 1, task.rows)
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
        """Length rounded up to the multiple, at most the longest row's."""
        return min(-(-int(length) // self.multiple) * self.multiple, self.longest)

    def rows(self, units: np.ndarray) -> np.ndarray:
        """Row numbers of the units."""
        sizes = self.unit_rows[units]
        before = np.cumsum(sizes) - sizes
        return np.arange(sizes.sum()) + np.repeat(self.unit_offsets[units] - before, sizes)

    def micro_batch(self, units: np.ndarray, counts: Counter | None = None) -> dict[str, Tensor]:
        """ids (B, T), lengths (B,), where the encoder has them segments (B, T), and what the task's
        kind reads besides. With `counts`, to which the numbers of targets by loss term are added,
        also the targets and the units' weights.
        """
        rows = self.rows(units)
        width = self.padded(self.row_lengths[rows].max())
        padded = PaddedRows.of(self.features, rows, width, self.pad)
        micro = {"ids": padded.ids, "lengths": padded.lengths}
        if self.segments:
            micro["segments"] = padded.second.astype(np.int64)
        micro |= self.kind.inputs(self.features, self.task, padded)
        if counts is not None:
            number, targets = self.kind.targets(self.features, self.task, units)
            counts.update(number)
            micro |= targets | {"weights": np.ones(len(units), dtype=np.float32)}
        return {name: torch.from_numpy(array) for name, array in micro.items()}


class FineTuningBatches(UnitBatches):
    """All updates of one fine-tuning run: `len()` of them, `[step]` gives one."""

    def __init__(
        self,
        features: Features,
        task: RecipeTask,
        *,
        batch: int,
        epochs: int,
        seed: int,
        group_by_length: bool = True,
        **shape: int,
    ):
        """`shape` is that of the units: pad, segments, micro_batch_tokens, multiple."""
        super().__init__(features, task, **shape)
        self.batch = batch
        self.seed = seed
        self.dropout = key_of_stream(seed, "finetune-dropout")
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
        counts: Counter[str] = Counter()
        epoch = step // self.updates_per_epoch
        micro_batches = [self._with_keys(part, epoch, counts) for part in self.cut(units)]
        return Update(
            micro_batches,
            dict(counts),
            {
                "tokens": int(self.row_lengths[self.rows(units)].sum()),
                "padded": sum(micro["ids"].numel() for micro in micro_batches),
                "samples": len(units),
                "epoch": epoch,
            },
        )

    def _with_keys(self, units: np.ndarray, epoch: int, counts: Counter) -> dict[str, Tensor]:
        """`micro_batch` and the keys of dropout, int64 (B, T)."""
        micro = self.micro_batch(units, counts)
        length = micro["ids"].shape[1]
        keys = token_keys(self.dropout, np.array([epoch]), self.rows(units), length)
        return {**micro, "keys": torch.from_numpy(keys)}

    def units(self, step: int) -> np.ndarray:
        """Units of an update, by increasing length."""
        if not 0 <= step < self.updates:
            raise IndexError(step)
        epoch, number = divmod(step, self.updates_per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, *self._epoch_order(epoch))
        _, units, updates = self._order
        start = int(updates[number]) * self.batch
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


class DevBatches(UnitBatches):
    """All units once, longest first: iterates over (units int64 (U,), micro-batch)."""

    def __iter__(self) -> Iterator[tuple[np.ndarray, dict[str, Tensor]]]:
        order = np.argsort(self.unit_lengths, kind="stable")
        for units in self.cut(order):
            yield units, self.micro_batch(units)
