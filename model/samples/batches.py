"""Batches: the update that belongs to a step, as a pure function of the step (design: invariant 1).

In: the store, samples and vocabulary, the pre-training recipe. Out: `Update`s (update.py).

Which samples (`SampleStream`), their order and their masks depend neither on the micro-batch size
nor on where a run was resumed.

Legend: B rows of a micro-batch, T its padded length, K its target slots; where samples are packed
end to end (packed.py), P tokens and S places for samples.
"""

import numpy as np
import torch
from torch import Tensor

from model.samples.cutting import Group, cut
from model.samples.gather import Gatherer
from model.samples.index import Samples, special_count
from model.samples.keyed import Order, key_of_stream, token_keys
from model.samples.masking import HELDOUT_MASKING, Masker
from model.samples.packed import Shape, deal, pack
from model.samples.stream import SampleStream
from model.text.store import TokenStore
from model.text.tokenizer import Vocabulary
from model.training.update import Update
from study.errors import StudyError
from study.recipes import PretrainRecipe, RecipeFormat

HELDOUT_SEED = 0  # of the fixed choice and masks of held-out samples, in every study
HELDOUT_EPOCH = 0


class MicroBatches:
    """Cuts chosen samples into masked micro-batches: padded rows or, packed, samples end to end.

    Packed micro-batches all have one shape, and their number in an update is a multiple of `parts`.
    """

    def __init__(
        self,
        store: TokenStore,
        samples: Samples,
        vocabulary: Vocabulary,
        format: RecipeFormat,
        masker: Masker,
        *,
        tokens: int,
        update_tokens: int,
        packed: bool,
        parts: int = 1,
    ):
        """`format` is the recipe's format section; a micro-batch has `tokens` tokens, padding
        included, and an update about `update_tokens`.

        Raises StudyError when the samples are not of that format.
        """
        for field, wanted, given in (
            ("name", format.name, samples.format),
            ("length", format.length, samples.length),
        ):
            if wanted != given:
                raise StudyError(
                    f"format.{field}: the recipe says {wanted}, the samples are {given}"
                )
        self.samples, self.format, self.masker = samples, format, masker
        self.tokens = tokens if parts == 1 else min(tokens, -(-update_tokens // parts))
        self.pad, self.parts, self.shape = vocabulary.pad, parts, None
        if packed:
            self.shape = Shape.of(
                samples.tokens / len(samples),
                samples.length,
                update_tokens,
                self.tokens,
                masker.masking.rate,
            )
        # Tokens of a sample that are never masked.
        self._frame = 0 if masker.masking.special_tokens else special_count(samples.format)
        self._gatherer = Gatherer(store, samples, vocabulary)
        self._dropout = key_of_stream(masker.seed, "dropout")

    def cut(self, rows: np.ndarray) -> list[Group]:
        """Groups of `rows`; their indices point into `rows`."""
        lengths = np.asarray(self.samples.lengths[rows], dtype=np.int64)
        if self.shape is None:
            return cut(lengths, self.tokens)
        targets = self.masker.counts.numpy()[np.maximum(0, lengths - self._frame)]
        groups = deal(lengths, targets, self.shape, self.parts)
        return [Group(group, int(lengths[group].max())) for group in groups if len(group)]

    def update(
        self, rows: np.ndarray, epochs: np.ndarray, groups: list[Group], figures: dict
    ) -> Update:
        """The update of `groups` of samples `rows` in `epochs`; `figures` are added to its own."""
        members = rows[np.concatenate([group.indices for group in groups])]
        self._gatherer.will_need(members)
        micros = [
            self._micro(rows[group.indices], epochs[group.indices], group.length)
            for group in groups
        ]
        masked = int(sum(micro["weights"].sum() for micro in micros))
        own = {
            "samples": len(members),
            "tokens": int(self.samples.lengths[members].sum(dtype=np.int64)),
            "masked": masked,
            "padded": sum(micro["ids"].numel() for micro in micros),
        }
        counts = {"mlm": masked, **({"nsp": len(members)} if self.format.nsp else {})}
        return Update(micros, counts, {**own, **figures})

    def _micro(self, rows: np.ndarray, epochs: np.ndarray, length: int) -> dict[str, Tensor]:
        """One micro-batch with the samples `rows`, padded to `length` or of the one shape."""
        row_numbers, row_epochs = torch.from_numpy(rows), torch.from_numpy(epochs)
        ids_BT = torch.from_numpy(self._gatherer.ids(rows, length))
        lengths_B = torch.from_numpy(self.samples.lengths[rows].astype(np.int64))
        micro = {
            **self.masker(
                ids_BT,
                self.masker.maskable(ids_BT, lengths_B),
                row_numbers,
                row_epochs,
                self.masker.slots(length - self._frame),
            ),
            "lengths": lengths_B,
            "keys": torch.from_numpy(token_keys(self._dropout, epochs, rows, length)),
        }
        if self.format.segments:
            micro["segments"] = torch.from_numpy(self._gatherer.segments(rows, length))
        if self.format.nsp:
            micro["nsp"] = torch.from_numpy(self.samples.labels[rows].astype(np.int64))
            micro["nsp_weights"] = torch.ones(len(rows))
        return micro if self.shape is None else pack(micro, self.shape, self.pad)


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
            samples.lengths, samples.tokens, samples.length, batch.sequences, batch.unit, seed
        )
        update_tokens = self.stream.budget
        if batch.unit == "sequences":
            update_tokens *= round(samples.tokens / len(samples))
        self.micro_batches = MicroBatches(
            store,
            samples,
            vocabulary,
            recipe.format,
            masker,
            tokens=micro_batch_tokens,
            update_tokens=update_tokens,
            packed=packed,
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
        self._micro_batches = MicroBatches(
            store,
            samples,
            vocabulary,
            recipe.format,
            masker,
            tokens=micro_batch_tokens,
            update_tokens=micro_batch_tokens,
            packed=packed,
        )
        order = Order(HELDOUT_SEED, "heldout", HELDOUT_EPOCH, len(samples))
        self.rows = np.sort(order[np.arange(min(recipe.evaluation.samples, len(samples)))])
        if corpus is not None:
            corpora = store.corpora[samples.documents[self.rows, 0]]
            self.rows = self.rows[corpora == corpus]
        self.labels = None if samples.labels is None else samples.labels[self.rows]
        self._epochs = np.full(len(self.rows), HELDOUT_EPOCH)
        self._groups = self._micro_batches.cut(self.rows)

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: int) -> Update:
        """Micro-batch `index` as an update of its own."""
        return self._micro_batches.update(self.rows, self._epochs, [self._groups[index]], {})
