"""Masked-language targets of a batch (paper sections 2.3 and 4.1); torch, the same bits everywhere.

In: ids int64 (B,T), which positions may be masked, a key per row. Out: ids with masks, and the
target slots. A mask depends only on (seed, copy, sample id, position), where the copy is the epoch
(dynamic masking) or the epoch modulo the number of copies (static masking); so in their first
`copies` epochs both policies mask alike.

Legend: B rows, T padded length, K target slots (the same for every batch of length T).
"""

import torch
from torch import Tensor

from model.samples.keyed import below, chance, draws, key_of_stream
from model.text.tokenizer import Vocabulary
from study.cells import Masking

POSITION_BITS = 16  # low bits of a position's draw that hold the position itself
# Held-out masks are BERT's whatever training does, so that perplexities can be compared.
HELDOUT_MASKING = Masking(policy="dynamic", rate=0.15, mask=0.8, random=0.1, special_tokens=False)


def target_count(rate: float, maskable: int) -> int:
    """How many of a row's maskable tokens are targets: `rate` of them, at least one if any."""
    return max(1, round(rate * maskable)) if maskable else 0


class Masker:
    """Masks batches of one length limit under one masking and seed.

    Of the chosen positions a share `masking.mask` becomes the mask token and a share
    `masking.random` a random word, by independent draws; the others stay as they are. All are
    predicted.
    """

    def __init__(self, masking: Masking, vocabulary: Vocabulary, seed: int, length: int):
        self.masking, self.seed = masking, seed
        self.mask_id, self.pad = vocabulary.mask, vocabulary.pad
        self.words = torch.as_tensor(vocabulary.ordinary)
        self.in_text = torch.zeros(vocabulary.size, dtype=torch.bool)
        self.in_text[torch.as_tensor(vocabulary.in_text)] = True
        counts = [target_count(masking.rate, n) for n in range(length + 1)]
        self.counts = torch.tensor(counts)

    def slots(self, maskable: int) -> int:
        """Target slots of rows with at most `maskable` maskable positions."""
        return int(self.counts[maskable])

    def maskable(self, ids_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Boolean (B,T): positions that may be masked. All tokens of the text, unknown words too
        (BERT leaves out its frame only); the frame if the masking says so; pads never.
        """
        if self.masking.special_tokens:
            return torch.arange(ids_BT.shape[1], device=ids_BT.device) < lengths_B[:, None]
        return self.in_text.to(ids_BT.device)[ids_BT]

    def __call__(
        self, ids_BT: Tensor, maskable_BT: Tensor, samples_B: Tensor, epochs_B: Tensor, slots: int
    ) -> dict[str, Tensor]:
        """Masked "ids" (B,T), and "positions", "labels" int64, "weights" float32, all (B,slots).

        samples_B and epochs_B int64 key the rows. Slots beyond a row's number of targets have
        position 0, label pad and weight 0.
        """
        device = ids_BT.device
        static = self.masking.policy == "static"
        copies_B = epochs_B % self.masking.copies if static else epochs_B
        place_B1, fate_B1, word_B1 = (
            draws(key_of_stream(self.seed, f"mask.{stream}"), copies_B, samples_B)[:, None]
            for stream in ("place", "fate", "word")
        )
        positions_BK, used_BK = self._choose(place_B1, maskable_BT, slots)
        labels_BK = ids_BT.gather(1, positions_BK)
        fate_BK = draws(fate_B1, positions_BK)
        word_BK = draws(word_B1, positions_BK)
        words_BK = self.words.to(device)[below(word_BK, len(self.words))]
        masked_BK = chance(fate_BK, self.masking.mask)
        random_BK = chance(fate_BK, self.masking.mask + self.masking.random) & ~masked_BK
        new_BK = torch.where(random_BK, words_BK, labels_BK)
        new_BK = torch.where(masked_BK, self.mask_id, new_BK)
        # Unused slots point at position 0, which must keep its id: write them to a spare column.
        spare = ids_BT.shape[1]
        ids = torch.cat([ids_BT, ids_BT[:, :1]], dim=1)
        ids.scatter_(1, torch.where(used_BK, positions_BK, spare), new_BK)
        return {
            "ids": ids[:, :spare].contiguous(),
            "positions": positions_BK,
            "labels": torch.where(used_BK, labels_BK, self.pad),
            "weights": used_BK.to(torch.float32),
        }

    def _choose(self, keys_B1: Tensor, maskable_BT: Tensor, slots: int) -> tuple[Tensor, Tensor]:
        """Target positions (B,slots), ascending, and which slots are used: the positions with the
        smallest draws.
        """
        length = maskable_BT.shape[1]
        positions_T = torch.arange(length, device=maskable_BT.device)
        drawn_BT = draws(keys_B1, positions_T)
        # A draw carries its position in its low bits, so no two are equal and the choice does not
        # depend on how a device orders equals.
        low = (1 << POSITION_BITS) - 1
        drawn_BT = (drawn_BT & ~low) | positions_T
        drawn_BT = drawn_BT.masked_fill(~maskable_BT, torch.iinfo(torch.int64).max)
        smallest_BK = drawn_BT.topk(slots, dim=1, largest=False, sorted=True).values
        wanted_B = self.counts.to(keys_B1.device)[maskable_BT.sum(dim=1)]
        used_BK = torch.arange(slots, device=keys_B1.device) < wanted_B[:, None]
        positions_BK = torch.where(used_BK, smallest_BK & low, length).sort(dim=1).values
        return torch.where(used_BK, positions_BK, 0), used_BK
