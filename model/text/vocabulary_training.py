"""Vocabulary training: sentences in, a `tokenizer.json` out (paper section 4.4).

byte-bpe   RoBERTa's: byte-level BPE on cased text, no preprocessing, no unknown words
wordpiece  BERT's: WordPiece over BERT's normaliser and pre-tokeniser, "##" inside words

Ids 0 to 3 are <s> <pad> </s> <unk> and the last one is <mask>. A sentence is encoded without a
blank in front. No post-processor is set: formats and exports put the special tokens where they
belong. Equal sentences give an equal file, whatever the number of threads.

Training takes the square of a word's length, so words of more than LONGEST_WORD characters are
learnt from in pieces of that many. Encoding is linear and takes any word: byte-level as it is,
WordPiece as unknown from 101 characters on, as in BERT.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.trainers import BpeTrainer, WordPieceTrainer

from model.text.splitting import training_sentences
from study.errors import StudyError

LEADING_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
MASK = "<mask>"
INSIDE_WORD = "##"
# BERT keeps 1000 characters in 30,000 entries; smaller vocabularies keep the same share.
ENTRIES_PER_CHARACTER = 30
FEWEST_CHARACTERS = 100
LONGEST_WORD = 1000

_WORD = re.compile(r"\S+")

# A function that reads the training sentences from their beginning, in blocks.
Blocks = Callable[[], Iterable[list[str]]]


def train_vocabulary(blocks: Blocks, kind: str, size: int, lowercase: bool = False) -> Tokenizer:
    """Train a tokenizer of at most `size` entries, special tokens included.

    `kind` is byte-bpe or wordpiece. Fewer come out when the text has too few distinct words. Raises
    StudyError for a size that cannot hold the special tokens and the alphabet, or a text without a
    word.
    """

    def bounded() -> Iterator[list[str]]:
        return (list(_cut_long_words(sentences)) for sentences in blocks())

    if kind == "byte-bpe":
        tokenizer = _train_byte_bpe(bounded, size - 1)
    else:
        tokenizer = _train_wordpiece(bounded, size - 1, lowercase)
    if not any(map(any, blocks())) or tokenizer.get_vocab_size() == len(LEADING_SPECIALS):
        raise StudyError(
            "--recipe: field characters: so few leave no word to train on; expected more text"
        )
    if tokenizer.get_vocab_size() > size - 1:
        raise StudyError(
            f"--recipe: field size: {size} cannot hold the special tokens and the alphabet; "
            f"expected at least {tokenizer.get_vocab_size() + 1}"
        )
    tokenizer.add_special_tokens([*LEADING_SPECIALS, AddedToken(MASK, lstrip=True)])
    return tokenizer


def limited_blocks(paths: list[Path], limits: list[int | None]) -> Iterator[list[str]]:
    """Yield training sentences of each shard up to its limit in characters (None: all)."""
    for path, limit in zip(paths, limits, strict=True):
        left = limit
        for sentences in training_sentences(path):
            if left is None:
                yield sentences
                continue
            kept = 0
            while kept < len(sentences) and left > 0:
                left -= len(sentences[kept])
                kept += 1
            yield sentences[:kept]
            if left <= 0:
                break


def share_characters(limit: int | None, available: list[int]) -> list[int | None]:
    """Share `limit` characters among shards in proportion to what they have; None is no limit."""
    total = sum(available)
    if limit is None or limit >= total:
        return [None] * len(available)
    return [limit * characters // total for characters in available]


def _cut_long_words(sentences: Iterable[str]) -> Iterator[str]:
    """The sentences, cut wherever a word has had LONGEST_WORD characters."""
    for sentence in sentences:
        start = 0
        if len(sentence) > LONGEST_WORD:
            for word in _WORD.finditer(sentence):
                for cut in range(word.start() + LONGEST_WORD, word.end(), LONGEST_WORD):
                    yield sentence[start:cut]
                    start = cut
        yield sentence[start:]


def _train_byte_bpe(blocks: Blocks, size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    # GPT-2's word pattern, without its habit of putting a blank before the first word
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=size,
        special_tokens=LEADING_SPECIALS,
        # all 256 bytes, so that no text is unknown
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(blocks(), trainer)
    return tokenizer


def _train_wordpiece(blocks: Blocks, size: int, lowercase: bool) -> Tokenizer:
    """Train WordPiece with an alphabet that is fixed beforehand.

    The library numbers the pieces inside words in the order of a hash map that differs from run to
    run, and drops characters of equal frequency in that order too; both decide later merges. So
    the alphabet is counted first, a training without merges tells which of it occurs inside words,
    and both enter the real training as given.
    """
    empty = _empty_wordpiece(lowercase)
    characters, words = _count(blocks(), empty)
    kept = max(FEWEST_CHARACTERS, size // ENTRIES_PER_CHARACTER)
    ranked = sorted(characters, key=lambda character: (-characters[character], character))
    alphabet = sorted(ranked[:kept])
    probe = _empty_wordpiece(lowercase)
    probe.train_from_iterator(sorted(words), _wordpiece_trainer(0, alphabet, []))
    pieces = sorted(probe.get_vocab())
    inside = [p for p in pieces if p.startswith(INSIDE_WORD) and p != INSIDE_WORD]
    trained = _empty_wordpiece(lowercase)
    trained.train_from_iterator(blocks(), _wordpiece_trainer(size, alphabet, inside))
    # The pieces given to the trainer as special are ordinary ones: keep the entries, not the mark.
    return _empty_wordpiece(lowercase, trained.get_vocab())


def _empty_wordpiece(lowercase: bool, entries: dict[str, int] | None = None) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(entries or {}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=True,
        strip_accents=lowercase,
        lowercase=lowercase,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=INSIDE_WORD)
    return tokenizer


def _wordpiece_trainer(size: int, alphabet: list[str], inside: list[str]) -> WordPieceTrainer:
    return WordPieceTrainer(
        vocab_size=size,
        special_tokens=[*LEADING_SPECIALS, *inside],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        continuing_subword_prefix=INSIDE_WORD,
        show_progress=False,
    )


def _count(blocks: Iterable[list[str]], tokenizer: Tokenizer) -> tuple[Counter, set[str]]:
    """Frequencies of the normalised characters, and the distinct blank-separated words."""
    raw: Counter = Counter()
    words: set[str] = set()
    for sentences in blocks:
        text = " ".join(sentences)
        raw.update(text)
        words.update(text.split())
    characters: Counter = Counter()
    for character, count in raw.items():
        for normalised in tokenizer.normalizer.normalize_str(character).strip():
            characters[normalised] += count
    return characters, words
