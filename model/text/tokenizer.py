"""A vocabulary: text in, token ids and character offsets out (paper section 4.4).

In: a `tokenizer.json` of the `tokenizers` library, trained by `model.text.vocabulary_training` or
named by the study. Out: token ids without special tokens (lists of int) and offsets in characters
of the original text. Special tokens are found by their common names, and are never read out of a
text: a document that spells `<mask>` gets the ids of its characters, or `<unk>` where the tokenizer
knows the name as an entry of its model (WordLevel, Unigram) or as an added token that is not
special.
"""

import json
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders

from study.errors import StudyError
from study.manifest import Manifest

TOKENIZER_FILE = "tokenizer.json"
# What a byte-level vocabulary's word may be made of: letters, numbers, or other characters.
LETTER, NUMBER, OTHER = 1, 2, 4
ANY = LETTER | NUMBER | OTHER
CUT = "\ufffd"  # what a part of a character's bytes is decoded to
STRANGE = "\U00012000 \U00013000"  # cuneiform and a hieroglyph, which normalisers keep

# role -> names it goes by, ours (RoBERTa's) first
ROLES = {
    "start": ("<s>", "[CLS]"),
    "pad": ("<pad>", "[PAD]"),
    "separator": ("</s>", "[SEP]"),
    "unknown": ("<unk>", "[UNK]"),
    "mask": ("<mask>", "[MASK]"),
}


class Vocabulary:
    """A tokenizer with its special tokens by role.

    `tokenizer` is the library's object; `size` the number of real entries; `start`, `pad`,
    `separator`, `unknown` and `mask` are ids.
    """

    def __init__(self, tokenizer: Tokenizer, where: str = TOKENIZER_FILE):
        """Find the roles; StudyError naming `where` and what is missing."""
        self.tokenizer = tokenizer
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        # A text that spells a special token must not become one.
        self.tokenizer.encode_special_tokens = True
        entries = tokenizer.get_vocab(with_added_tokens=True)
        self.size = len(entries)
        if set(entries.values()) != set(range(self.size)):
            raise StudyError(f"{where}: ids are not 0 to {self.size - 1} without gaps")
        self.start, self.pad, self.separator, self.unknown, self.mask = (
            _role_id(entries, role, where) for role in ROLES
        )
        if not len(self.ordinary):
            raise StudyError(f"{where}: no entries besides the special tokens")
        try:
            self.encode_batch([STRANGE])
        except Exception as error:  # the library raises bare Exception
            raise StudyError(f"{where}: cannot encode an unknown character ({error})") from None

    @classmethod
    def load(cls, source: str | Path | Manifest) -> "Vocabulary":
        """Read a `tokenizer.json`, or that of a vocabulary manifest.

        Raises StudyError when the file is missing, is no tokenizer, or lacks a special token.
        """
        path = source.file(TOKENIZER_FILE) if isinstance(source, Manifest) else Path(source)
        if not path.is_file():
            raise StudyError(f"{path}: no such file; expected a tokenizer.json")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise StudyError(f"{path}: not a tokenizer.json ({error})") from None
        return cls(tokenizer, str(path))

    @cached_property
    def special(self) -> np.ndarray:
        """Ids of the special tokens: the five roles and all others marked so, int64, sorted."""
        marked = {i for i, t in self.tokenizer.get_added_tokens_decoder().items() if t.special}
        roles = {self.start, self.pad, self.separator, self.unknown, self.mask}
        return np.array(sorted(marked | roles), dtype=np.int64)

    @cached_property
    def ordinary(self) -> np.ndarray:
        """Ids that are not special, int64, sorted: what a random word may be drawn from."""
        return np.setdiff1d(np.arange(self.size, dtype=np.int64), self.special)

    @cached_property
    def in_text(self) -> np.ndarray:
        """Ids that the tokens of a text may have, int64, sorted: the ordinary ones and unknown."""
        return np.union1d(self.ordinary, self.unknown)

    @cached_property
    def word_edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Bits of every id's begin and end, uint8 (size,) each: a token goes on with the word of
        the token before it where its begin and that one's end have a bit in common.

        WordPiece marks the pieces that go on. Byte-level entries begin with the blank before a
        word; but a sentence is encoded without one in front, and punctuation has none, so words
        also change where letters, numbers and other characters meet, as the vocabulary's own word
        pattern has it. The ends of two sentences with nothing but letters between them look like
        one word. Special tokens are words of their own.

        Raises StudyError for entries that tell nothing of words.
        """
        tokenizer = json.loads(self.tokenizer.to_str())
        entries = [self.tokenizer.id_to_token(i) for i in range(self.size)]
        if tokenizer["model"]["type"] == "WordLevel":
            edges = [(0, 0)] * self.size
        elif tokenizer["model"]["type"] == "WordPiece":
            inside = tokenizer["model"]["continuing_subword_prefix"]
            edges = [(int(entry.startswith(inside)), 1) for entry in entries]
        elif '"ByteLevel"' in json.dumps(tokenizer["pre_tokenizer"]):
            decoder = decoders.ByteLevel()
            edges = [_edges(decoder.decode([entry])) for entry in entries]
        else:
            raise StudyError(
                "masking.unit: word needs (and within_words: left-to-right) a vocabulary of kind "
                f"wordpiece or byte-bpe, or one like them, not {tokenizer['model']['type']}"
            )
        begins, ends = np.array(edges, dtype=np.uint8).T.copy()
        begins[self.special] = ends[self.special] = 0
        return begins, ends

    @property
    def dtype(self) -> np.dtype:
        """The smallest unsigned type that holds every id: uint16 or uint32."""
        return np.dtype(np.uint16 if self.size <= 1 << 16 else np.uint32)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, without special tokens."""
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [self._of_text(encoding.ids) for encoding in encodings]

    def encode_with_offsets(
        self, texts: Sequence[str]
    ) -> tuple[list[list[int]], list[list[tuple[int, int]]]]:
        """Ids of each text and, for each token, (start, end) in characters of that text.

        `text[start:end]` is the token's text without the blank before the word. The tokens of a
        character that the bytes of several tokens make up all have that character's offsets.
        """
        encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ids = [self._of_text(encoding.ids) for encoding in encodings]
        offsets = [
            _without_leading_blanks(text, encoding.offsets)
            for text, encoding in zip(texts, encodings, strict=True)
        ]
        return ids, offsets

    def _of_text(self, ids: list[int]) -> list[int]:
        """The ids of a text, unknown where the tokenizer read a special token out of it."""
        if self._never_in_text.isdisjoint(ids):
            return ids
        return [self.unknown if i in self._never_in_text else i for i in ids]

    @cached_property
    def _never_in_text(self) -> frozenset[int]:
        return frozenset(self.special.tolist()) - {self.unknown}


def _role_id(entries: dict[str, int], role: str, where: str) -> int:
    """Id of the special token for `role`."""
    for name in ROLES[role]:
        if name in entries:
            return entries[name]
    raise StudyError(f"{where}: no {role} token; expected one of {', '.join(ROLES[role])}")


def _edges(text: str) -> tuple[int, int]:
    """Bits of the begin and the end of a byte-level token's text, as in `word_edges`."""

    def bits(character: str) -> int:
        if character.isspace():
            return 0
        kinds = {"L": LETTER, "N": NUMBER}
        return ANY if character == CUT else kinds.get(unicodedata.category(character)[0], OTHER)

    # A last blank belongs to what follows it, other white space to nothing.
    return bits(text[0]), ANY if text[-1] == " " else bits(text[-1])


def _without_leading_blanks(text: str, offsets: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Offsets that start after the blanks which a byte-level token carries in front."""
    trimmed = []
    for start, end in offsets:
        while start < end and text[start].isspace():
            start += 1
        trimmed.append((start, end))
    return trimmed
