"""Masked-language targets of a batch (paper sections 2.3 and 4.1); torch, the same bits everywhere.

In: ids int64 (B,T), which positions may be masked, a key per row. Out: ids with masks, and the
target slots. A mask depends only on (seed, copy, sample id, position), where the copy is the epoch
(dynamic masking) or the epoch modulo the number of copies (static masking); so in their first
`copies` epochs both policies mask alike.

With unit "word" all pieces of a chosen word are masked together, as in BERT's whole-word masking:
words are taken in random order, each if the row's number of targets still has room for it. So a row
has exactly as many targets as with unit "token" where some one-piece word is left, and a word of
more pieces than that is never masked. Where words begin follows from the ids (`word_edges` of the
vocabulary). Six tokens and three targets:

    ids        a   ##b  c   d   ##e ##f
    word       0   0    2   3   3   3      place of its first piece
    sizes      2        1   3
    order      0, 3, 2                     first pieces by their draws
    taken      0 (two), not 3 (three more would be five), 2 (one): a ##b c

Legend: B rows, T padded length, K target slots (the same for every batch of length T).
"""

import torch
from torch import Tensor

from model.samples.keyed import below, chance, draws, key_of_stream
from model.text.tokenizer import Vocabulary
from study.cells import Masking

POSITION_BITS = 16  # low bits of a position's draw that hold the position itself
LAST = torch.iinfo(torch.int64).max  # behind all draws
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
        streams = ("mask.place", "mask.fate", "mask.word")
        self.streams_31 = torch.tensor([[key_of_stream(seed, stream)] for stream in streams])
        self.mask_id, self.pad = vocabulary.mask, vocabulary.pad
        self.words = torch.as_tensor(vocabulary.ordinary)
        self.in_text = torch.zeros(vocabulary.size, dtype=torch.bool)
        self.in_text[torch.as_tensor(vocabulary.in_text)] = True
        counts = [target_count(masking.rate, n) for n in range(length + 1)]
        self.counts = torch.tensor(counts)
        if masking.unit == "word":
            self.begins, self.ends = map(torch.from_numpy, vocabulary.word_edges)

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
        # A row's keys for its places, their fates and the random words.
        keys_3B = draws(self.streams_31.to(device), copies_B, samples_B)
        positions_BK, used_BK = self._choose(keys_3B[0, :, None], ids_BT, maskable_BT, slots)
        labels_BK = ids_BT.gather(1, positions_BK)
        fate_BK, word_BK = draws(keys_3B[1:, :, None], positions_BK)
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

    def _choose(
        self, keys_B1: Tensor, ids_BT: Tensor, maskable_BT: Tensor, slots: int
    ) -> tuple[Tensor, Tensor]:
        """Target positions (B,slots), ascending, and which slots are used: the positions with the
        smallest draws, or the words whose first positions have them.
        """
        length = maskable_BT.shape[1]
        positions_T = torch.arange(length, device=maskable_BT.device)
        drawn_BT = draws(keys_B1, positions_T)
        # A draw carries its position in its low bits, so no two are equal and the choice does not
        # depend on how a device orders equals.
        low = (1 << POSITION_BITS) - 1
        drawn_BT = (drawn_BT & ~low) | positions_T
        wanted_B = self.counts.to(keys_B1.device)[maskable_BT.sum(dim=1)]
        if self.masking.unit == "word":
            chosen_BT = self._whole_words(drawn_BT, ids_BT, maskable_BT, wanted_B)
            positions_BT = torch.where(chosen_BT, positions_T, length)
            positions_BK = positions_BT.sort(dim=1).values[:, :slots]
        else:
            drawn_BT = drawn_BT.masked_fill(~maskable_BT, LAST)
            smallest_BK = drawn_BT.topk(slots, dim=1, largest=False, sorted=True).values
            wanted_BK = torch.arange(slots, device=keys_B1.device) < wanted_B[:, None]
            positions_BK = torch.where(wanted_BK, smallest_BK & low, length).sort(dim=1).values
        used_BK = positions_BK < length
        return torch.where(used_BK, positions_BK, 0), used_BK

    def _whole_words(
        self, drawn_BT: Tensor, ids_BT: Tensor, maskable_BT: Tensor, wanted_B: Tensor
    ) -> Tensor:
        """Boolean (B,T): the tokens of words that together have at most wanted_B int64 (B,) tokens,
        taken in the order of their first tokens' draws, int64 (B,T).
        """
        # Words: the position of the first piece at every piece, and there the number of pieces.
        begins_BT = self.begins.to(ids_BT.device)[ids_BT]
        ends_BT = self.ends.to(ids_BT.device)[ids_BT]
        goes_on_BT = (begins_BT[:, 1:] & ends_BT[:, :-1] != 0) & maskable_BT[:, :-1]
        first_BT = maskable_BT.clone()
        first_BT[:, 1:] &= ~goes_on_BT
        positions_BT = torch.arange(ids_BT.shape[1], device=ids_BT.device).expand_as(ids_BT)
        word_BT = torch.where(first_BT, positions_BT, 0).cummax(dim=1).values
        sizes_BT = torch.zeros_like(ids_BT).scatter_add_(1, word_BT, maskable_BT.long())

        # In random order each word that fits into what is left; those that do not never will. A
        # round takes all up to the first that is too large for what the round has left.
        order_BT = drawn_BT.masked_fill(~first_BT, LAST).argsort(dim=1)
        sizes_BW = sizes_BT.gather(1, order_BT)
        taken_BW = torch.zeros_like(first_BT)
        left_B1 = wanted_B[:, None]
        while (fits_BW := ~taken_BW & (sizes_BW > 0) & (sizes_BW <= left_B1)).any():
            round_BW = fits_BW & ((sizes_BW * fits_BW).cumsum(dim=1) <= left_B1)
            taken_BW |= round_BW
            left_B1 = left_B1 - (sizes_BW * round_BW).sum(dim=1, keepdim=True)

        # Back to their pieces.
        taken_BT = torch.zeros_like(first_BT).scatter_(1, order_BT, taken_BW)
        return maskable_BT & taken_BT.gather(1, word_BT)
