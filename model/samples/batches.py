"""Batches: the update that belongs to a step, as a pure function of the step (design: invariant 1).

In: the store, samples and vocabulary, the pre-training recipe. Out: `Update`s (update.py).

The samples come as one endless stream, epoch after epoch, each epoch in its own keyed order. With
unit "tokens", update u takes the samples whose last real token in that stream lies in
(u·budget, (u+1)·budget], budget = sequences x length, so that every format gets the same number of
tokens per update; with unit "sequences" it takes `sequences` samples. Which samples, their order
and their masks depend neither on the micro-batch size nor on where a run was resumed.

Legend: B rows of a micro-batch, T its padded length, K its target slots; where samples are packed
end to end (packed.py), P tokens and S places for samples.
"""

from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor

from model.samples.cutting import Group, cut
from model.samples.gather import Gatherer
from model.samples.index import Samples, special_count
from model.samples.keyed import draws, key_of_stream, permutation
from model.samples.masking import HELDOUT_MASKING, Masker, target_count
from model.samples.packed import Shape, deal, filled, pack
from model.text.store import TokenStore
from model.text.tokenizer import Vocabulary
from model.training.update import Update
from study.errors import StudyError
from study.recipes import PretrainRecipe, RecipeFormat

CACHED_EPOCHS = 2  # an update usually touches one epoch or the seam of two
HELDOUT_SEED = 0  # of the fixed choice and masks of held-out samples, in every study
HELDOUT_EPOCH = 0


class SampleStream:
    """The endless order of samples and where updates begin and end in it."""

    def __init__(self, lengths: np.ndarray, length: int, sequences: int, unit: str, seed: int):
        """lengths int (N,): real tokens; `length`: the longest possible input."""
        self.unit, self.seed = unit, seed
        self._lengths = np.asarray(lengths)
        self.mean_length = float(self._lengths.mean(dtype=np.float64))
        # One sample costs its tokens, or one; an epoch and an update have so much to spend.
        if unit == "tokens":
            self.epoch_cost = int(self._lengths.sum(dtype=np.int64))
            self.budget = sequences * length
        else:
            self.epoch_cost = len(self._lengths)
            self.budget = sequences
        self._epochs: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()

    def update(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples of update `index` and the epoch of each, int64 (n,), in stream order."""
        low, high = index * self.budget, (index + 1) * self.budget
        samples, epochs = [], []
        for epoch in range(low // self.epoch_cost, -(-high // self.epoch_cost)):
            order, ends = self._epoch(epoch)
            first, stop = np.searchsorted(
                ends, [low - epoch * self.epoch_cost, high - epoch * self.epoch_cost], side="right"
            )
            samples.append(order[first:stop])
            epochs.append(np.full(stop - first, epoch, dtype=np.int64))
        return np.concatenate(samples).astype(np.int64), np.concatenate(epochs)

    def passes(self, index: int) -> float:
        """Epochs over the data that are done after update `index`."""
        return (index + 1) * self.budget / self.epoch_cost

    def _epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Order of the samples in an epoch, and where each ends, in tokens or samples."""
        if epoch not in self._epochs:
            while len(self._epochs) >= CACHED_EPOCHS:
                self._epochs.popitem(last=False)
            order = permutation(self.seed, "order", epoch, len(self._lengths))
            if self.unit == "tokens":
                ends = np.cumsum(self._lengths[order], dtype=np.int64)
            else:
                ends = np.arange(1, len(order) + 1)
            self._epochs[epoch] = (order, ends)
        self._epochs.move_to_end(epoch)
        return self._epochs[epoch]


class MicroBatches:
    """Cuts chosen samples into padded, masked micro-batches."""

    def __init__(
        self,
        store: TokenStore,
        samples: Samples,
        vocabulary: Vocabulary,
        format: RecipeFormat,
        masker: Masker,
        tokens: int,
    ):
        """`format` is the recipe's format section, `tokens` the padded tokens of a micro-batch.

        Raises StudyError when the samples are not of that format.
        """
        for field, wanted, found in (
            ("name", format.name, samples.format),
            ("length", format.length, samples.length),
        ):
            if wanted != found:
                raise StudyError(
                    f"format.{field}: the recipe says {wanted}, the samples are {found}"
                )
        if tokens < 1:
            raise StudyError(f"micro_batch_tokens: {tokens}, expected at least 1")
        self.samples, self.format, self.masker, self.tokens = samples, format, masker, tokens
        self.pad = vocabulary.pad
        self._gatherer = Gatherer(store, samples, vocabulary)

    def cut(self, rows: np.ndarray) -> list[Group]:
        """Groups of `rows`; their indices point into `rows`."""
        return cut(self.samples.lengths[rows], self.tokens, self.samples.length)

    def update(
        self, rows: np.ndarray, epochs: np.ndarray, groups: list[Group], figures: dict
    ) -> Update:
        """The update of `groups` of samples `rows` in `epochs`; `figures` are added to its own."""
        micros, samples, tokens, padded = [], 0, 0, 0
        for group in groups:
            members = group.indices
            micros.append(self._micro(rows[members], epochs[members], group.rows, group.length))
            samples += len(members)
            tokens += int(self.samples.lengths[rows[members]].sum(dtype=np.int64))
            padded += micros[-1]["ids"].numel()
        masked = int(sum(micro["weights"].sum() for micro in micros))
        counts = {"mlm": masked, **({"nsp": samples} if self.format.nsp else {})}
        own = {"samples": samples, "tokens": tokens, "masked": masked, "padded": padded}
        return Update(micros, counts, {**own, **figures})

    def _micro(
        self, rows: np.ndarray, epochs: np.ndarray, height: int, length: int
    ) -> dict[str, Tensor]:
        """One micro-batch of (height, length) with the samples `rows` and empty rows below."""
        ids_BT = filled(self._gatherer.ids(rows, length), height, self.pad)
        lengths_B = filled(self.samples.lengths[rows].astype(np.int64), height, 0)
        maskable_BT = self.masker.maskable(ids_BT, lengths_B)
        frame = 0 if self.masker.masking.special_tokens else special_count(self.samples.format)
        micro = {
            **self.masker(
                ids_BT,
                maskable_BT,
                filled(rows, height, 0),
                filled(epochs, height, 0),
                self.masker.slots(length - frame),
            ),
            "lengths": lengths_B,
        }
        if self.format.segments:
            micro["segments"] = filled(self._gatherer.segments(rows, length), height, 0)
        if self.format.nsp:
            labels = self.samples.labels[rows].astype(np.int64)
            micro["nsp"] = filled(labels, height, 0)
            micro["nsp_weights"] = filled(np.ones(len(rows), np.float32), height, 0)
        return micro


class PackedMicroBatches(MicroBatches):
    """Cuts chosen samples into masked micro-batches of one shape, samples end to end.

    `update_tokens` are the tokens of an update, about; the number of an update's micro-batches is a
    multiple of `parts`.
    """

    def __init__(self, *inputs, update_tokens: int, parts: int = 1):
        super().__init__(*inputs)
        samples, rate = self.samples, self.masker.masking.rate
        self.parts = parts
        self.shape = Shape.of(samples.lengths, samples.length, update_tokens, self.tokens, rate)
        maskable = np.arange(samples.length + 1)
        if not self.masker.masking.special_tokens:
            maskable = np.maximum(0, maskable - special_count(samples.format))
        self._targets = np.array([target_count(rate, count) for count in maskable.tolist()])

    def cut(self, rows: np.ndarray) -> list[Group]:
        """Groups of `rows`; their indices point into `rows`."""
        lengths = np.asarray(self.samples.lengths[rows], dtype=np.int64)
        groups = deal(lengths, self._targets[lengths], self.shape, self.parts)
        return [
            Group(group, len(group), int(lengths[group].max())) for group in groups if len(group)
        ]

    def _micro(
        self, rows: np.ndarray, epochs: np.ndarray, height: int, length: int
    ) -> dict[str, Tensor]:
        """The samples `rows`, packed."""
        padded = super()._micro(rows, epochs, height, length)
        stream = key_of_stream(self.masker.seed, "dropout")
        row_keys = draws(stream, torch.from_numpy(epochs), torch.from_numpy(rows))
        return pack(padded, row_keys, self.shape, self.pad)


def make_micro_batches(
    *inputs, micro_batch_tokens: int, packed: bool, update_tokens: int, parts: int
) -> MicroBatches | PackedMicroBatches:
    """Packed or padded micro-batches; `inputs` are those of MicroBatches but for its last."""
    tokens = micro_batch_tokens
    if parts > 1:
        tokens = min(tokens, -(-update_tokens // parts))
    if packed:
        return PackedMicroBatches(*inputs, tokens, update_tokens=update_tokens, parts=parts)
    return MicroBatches(*inputs, tokens)


class PretrainingBatches:
    """Updates of a pre-training: `len()` of them, `batches[step]` in any order at no extra cost."""

    def __init__(
        self,
        store: TokenStore,
        samples: Samples,
        vocabulary: Vocabulary,
        recipe: PretrainRecipe,
        micro_batch_tokens: int,
        packed: bool = False,
        parts: int = 1,
    ):
        """StudyError names a field of the recipe that does not fit the samples.

        `packed` micro-batches are for GPUs; an update has a multiple of `parts` of them.
        """
        seed, batch = recipe.seed, recipe.batch
        masker = Masker(recipe.masking, vocabulary, seed, samples.length)
        self.steps = recipe.steps
        self.stream = SampleStream(
            samples.lengths, samples.length, batch.sequences, batch.unit, seed
        )
        update_tokens = self.stream.budget
        if batch.unit == "sequences":
            update_tokens *= round(self.stream.mean_length)
        self.micro_batches = make_micro_batches(
            store,
            samples,
            vocabulary,
            recipe.format,
            masker,
            micro_batch_tokens=micro_batch_tokens,
            packed=packed,
            update_tokens=update_tokens,
            parts=parts,
        )

    @property
    def passes(self) -> float:
        """Passes over the data of all updates."""
        return self.stream.passes(self.steps - 1) if self.steps else 0.0

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Update:
        """The update of `step`; figures: samples, tokens, masked, padded (tokens with padding) and
        epoch (passes over the data that are done after it).
        """
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of {self.steps}")
        rows, epochs = self.stream.update(step)
        groups = self.micro_batches.cut(rows)
        return self.micro_batches.update(rows, epochs, groups, {"epoch": self.stream.passes(step)})


class HeldoutBatches:
    """Held-out samples with fixed masks: a sequence of Updates with one micro-batch each.

    The samples (at most evaluation.samples) and the masks (15 %, 80/10/10, no special tokens) are
    the same whatever the recipe's seed and masking, so that perplexities can be compared.
    """

    def __init__(
        self,
        store: TokenStore,
        samples: Samples,
        vocabulary: Vocabulary,
        recipe: PretrainRecipe,
        micro_batch_tokens: int,
        corpus: int | None = None,
        packed: bool = False,
    ):
        """`samples` are those of the held-out split; `corpus` keeps those of one of the store's
        corpora (the choice and the masks stay the same). StudyError names what does not fit.
        """
        masker = Masker(HELDOUT_MASKING, vocabulary, HELDOUT_SEED, samples.length)
        self._micro_batches = make_micro_batches(
            store,
            samples,
            vocabulary,
            recipe.format,
            masker,
            micro_batch_tokens=micro_batch_tokens,
            packed=packed,
            update_tokens=micro_batch_tokens,
            parts=1,
        )
        order = permutation(HELDOUT_SEED, "heldout", HELDOUT_EPOCH, len(samples))
        self.rows = np.sort(order[: recipe.evaluation.samples])
        if corpus is not None:
            corpora = store.corpora[samples.documents[self.rows, 0]]
            self.rows = self.rows[corpora == corpus]
        self._epochs = np.full(len(self.rows), HELDOUT_EPOCH)
        self._groups = self._micro_batches.cut(self.rows)

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: int) -> Update:
        """Micro-batch `index` as an update of its own."""
        return self._micro_batches.update(self.rows, self._epochs, [self._groups[index]], {})
