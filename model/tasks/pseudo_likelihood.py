"""Pseudo-log-likelihoods: what a masked language model says of sentences, without fine-tuning.

In: sentences as token ids without special tokens, the pre-trained network, the vocabulary. Out: a
float64 per sentence, in nats: the sum over its tokens of the log-probability of each, all others
given (Salazar et al., arXiv 1910.14659). A sentence is framed as fine-tuning frames a single one,
`<s> tokens </s>`, all of segment 0 where the network has segments, whatever pre-training saw. The
frame's own tokens are neither masked nor scored.

A word of several pieces is nearly told by the pieces that stay, which favours long and rare words.
`left-to-right` hides with a piece those to its right in the word (Kauf and Ivanova, arXiv
2305.10588). Sentences of one length go through the network together: no token is padding. The head
looks at the masked token alone.

Legend: N sentences of a length, T their tokens with the frame, B copies, H hidden width, W rows of
the word table.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model.network.pretraining import PretrainingModel
from model.text.tokenizer import Vocabulary
from model.training.precision import Precision
from study.minimal_pairs import WithinWords

LOGITS = 2**21  # of a chunk of the head's rows: 8 MiB of float32
FRAME = 2


@dataclass(frozen=True)
class SameLength:
    """Sentences with one number of tokens: `numbers` int64 (N,) of the caller, `ids` int64 (N, T),
    and where pieces of a word are hidden together the number of each token's word, int64 (N, T).
    """

    numbers: np.ndarray
    ids: np.ndarray
    words: np.ndarray | None

    @property
    def copies(self) -> int:
        """How many masked copies there are: one for each token inside the frames."""
        return len(self.ids) * (self.ids.shape[1] - FRAME)

    def masked(self, first: int, stop: int, mask: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the copies `first` to `stop` the ids (B, T), the masked places and what they hide,
        both (B,); all int64. The copies of a sentence follow each other, its first token first.

        `<s> un ##do it </s>`, of the words 0 1 1 2 3, has the copies `<s> M ##do it </s>` (left to
        right: `<s> M M it </s>`), `<s> un M it </s>`, `<s> un ##do M </s>`.
        """
        sentences, places = np.divmod(np.arange(first, stop), self.ids.shape[1] - FRAME)
        places, rows = places + 1, np.arange(stop - first)
        ids = self.ids[sentences]
        targets = ids[rows, places]
        if self.words is None:
            ids[rows, places] = mask
        else:
            words = self.words[sentences]
            same = words == words[rows, places][:, None]
            ids[same & (np.arange(ids.shape[1]) >= places[:, None])] = mask
        return ids, places, targets


def by_length(
    sentences: Sequence[Sequence[int]], vocabulary: Vocabulary, within_words: WithinWords
) -> Iterator[SameLength]:
    """The framed sentences by length, the longest first.

    Raises StudyError where pieces are to be hidden together and the vocabulary tells no words.
    """
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
    for length in sorted(set(lengths.tolist()), reverse=True):
        numbers = np.flatnonzero(lengths == length)
        ids = np.empty((len(numbers), length + FRAME), dtype=np.int64)
        ids[:, 0], ids[:, -1] = vocabulary.start, vocabulary.separator
        ids[:, 1:-1] = [sentences[number] for number in numbers]
        words = word_numbers(ids, vocabulary) if within_words == "left-to-right" else None
        yield SameLength(numbers, ids, words)


def word_numbers(ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """The number in its row of the word that each token is of, int64 (N, T)."""
    begins, ends = vocabulary.word_edges
    starts_word = np.ones(ids.shape, dtype=np.int64)
    starts_word[:, 1:] = (begins[ids[:, 1:]] & ends[ids[:, :-1]]) == 0
    return np.cumsum(starts_word, axis=1) - 1


def pseudo_log_likelihoods(
    model: PretrainingModel,
    sentences: Sequence[Sequence[int]],
    vocabulary: Vocabulary,
    within_words: WithinWords,
    precision: Precision,
    tokens: int,
    told: Callable[[int, int], None] = lambda done, of: None,
    threads: int = 1,
) -> np.ndarray:
    """Nats of each sentence, float64 (len(sentences),); equal sentences are scored once.

    About `tokens` go through the network at once, in each of the `threads`, which do not wait for
    each other as those of an operation would. `told` hears how many sentences are done, and of how
    many.
    """
    places: dict[tuple[int, ...], int] = {}
    distinct = [places.setdefault(tuple(sentence), len(places)) for sentence in sentences]
    scores, done = np.zeros(len(places)), 0
    with ThreadPoolExecutor(threads) as pool:
        for group in by_length(list(places), vocabulary, within_words):
            most = max(1, tokens // group.ids.shape[1])
            starts = range(0, group.copies, most)

            def score(first: int, group: SameLength = group, most: int = most) -> np.ndarray:
                micro = group.masked(first, min(first + most, group.copies), vocabulary.mask)
                return _log_probabilities(model, *micro, precision)

            found = np.empty(group.copies)
            for first, part in zip(starts, pool.map(score, starts), strict=True):
                stop = first + len(part)
                found[first:stop] = part
                told(done + stop * len(group.numbers) // group.copies, len(places))
            scores[group.numbers] = found.reshape(len(group.numbers), -1).sum(1)
            done += len(group.numbers)
    return scores[distinct]


@torch.inference_mode()
def _log_probabilities(
    model: PretrainingModel,
    ids: np.ndarray,
    places: np.ndarray,
    targets: np.ndarray,
    precision: Precision,
) -> np.ndarray:
    """Log-probability of each copy's target at its masked place, float32 (B,)."""
    ids_BT, places_B1 = torch.from_numpy(ids), torch.from_numpy(places)[:, None]
    ids_BT, places_B1 = ids_BT.to(precision.device), places_B1.to(precision.device)
    targets_B = torch.from_numpy(targets).to(precision.device)
    segments_BT = None if model.encoder.segments is None else torch.zeros_like(ids_BT)
    with precision.autocast():
        hidden_BH = model.encoder(ids_BT, None, segments_BT, wanted=places_B1)[:, 0]
        rows = max(1, LOGITS // len(model.encoder.words.weight))
        chunks = zip(hidden_BH.split(rows), targets_B.split(rows), strict=True)
        losses = [_losses(model, hidden, targets) for hidden, targets in chunks]
    return -torch.cat(losses).cpu().numpy()


def _losses(model: PretrainingModel, hidden_BH: Tensor, targets_B: Tensor) -> Tensor:
    """Cross-entropy in nats of each row, taken in float32."""
    logits_BW = model.mlm(hidden_BH, model.encoder.words.weight).float()
    return functional.cross_entropy(logits_BW, targets_B, reduction="none")
