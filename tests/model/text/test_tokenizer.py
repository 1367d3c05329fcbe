"""A loaded vocabulary: roles, special ids, encoding and offsets in the original text."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from model.text.tokenizer import Vocabulary
from model.text.vocabulary_training import train_vocabulary
from study.errors import StudyError

TEXT = ["Hello world! Hello worlds.", "A naïve café: hello 😀, world."] * 3


@pytest.fixture(scope="module", params=["byte-bpe", "wordpiece"])
def vocabulary(request):
    return Vocabulary(train_vocabulary(lambda: [TEXT], request.param, 400, lowercase=True))


@pytest.fixture(scope="module")
def bytes_vocabulary():
    return Vocabulary(train_vocabulary(lambda: [TEXT], "byte-bpe", 400))


def test_roles_have_robertas_ids(vocabulary):
    assert [vocabulary.start, vocabulary.pad, vocabulary.separator, vocabulary.unknown] == [
        0,
        1,
        2,
        3,
    ]
    assert vocabulary.mask == vocabulary.size - 1
    assert vocabulary.special.tolist() == [0, 1, 2, 3, vocabulary.size - 1]
    np.testing.assert_array_equal(vocabulary.ordinary, np.arange(4, vocabulary.size - 1))


def test_first_word_has_no_blank_and_later_words_do(bytes_vocabulary):
    [ids] = bytes_vocabulary.encode_batch(["Hello world!"])
    assert [bytes_vocabulary.tokenizer.id_to_token(i) for i in ids] == ["Hello", "Ġworld", "!"]


def test_offsets_leave_out_the_blank_before_a_word(bytes_vocabulary):
    [ids], [offsets] = bytes_vocabulary.encode_with_offsets(["Hello world!"])
    assert offsets == [(0, 5), (6, 11), (11, 12)]
    assert ids == bytes_vocabulary.encode_batch(["Hello world!"])[0]


def test_wordpiece_offsets_refer_to_the_text_before_normalisation():
    vocabulary = Vocabulary(train_vocabulary(lambda: [TEXT], "wordpiece", 400, lowercase=True))
    text = "A  NAÏVE café!"
    [ids], [offsets] = vocabulary.encode_with_offsets([text])
    tokens = [vocabulary.tokenizer.id_to_token(i) for i in ids]
    assert tokens == ["a", "naive", "cafe", "!"]
    assert [text[start:end] for start, end in offsets] == ["A", "NAÏVE", "café", "!"]


def test_bytes_of_one_character_share_its_offsets(bytes_vocabulary):
    text = "x 漢 y"
    _, [offsets] = bytes_vocabulary.encode_with_offsets([text])
    spans = list(dict.fromkeys(text[start:end] for start, end in offsets if start < end))
    assert spans == ["x", "漢", "y"]


@given(st.text(max_size=40))
def test_byte_level_text_survives_encoding(bytes_vocabulary, text):
    [ids] = bytes_vocabulary.encode_batch([text])
    assert bytes_vocabulary.tokenizer.decode(ids) == text
    assert not set(ids) & set(bytes_vocabulary.special.tolist())


def test_a_text_that_spells_a_special_token_gets_ordinary_ids(vocabulary):
    [ids] = vocabulary.encode_batch(["a <mask> b</s>"])
    assert not set(ids) & {vocabulary.start, vocabulary.separator, vocabulary.mask}


SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BERTS = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyzCLSEPADUNKM<>/[] "


def word_level(names):
    words = {name: i for i, name in enumerate([*names, "cat", "sat"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=names[3]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def unigram(names):
    pieces = [*((name, 0.0) for name in names), *((letter, -3.0) for letter in LETTERS)]
    return Tokenizer(models.Unigram(pieces, unk_id=3))


def word_piece(names):
    """Split at blanks only, so that the model sees the names in one piece."""
    words = [*names, "cat", "sat", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    entries = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(entries, unk_token=names[3]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def bpe(names):
    """Whole words that are entries are taken before any merge, as in Llama's tokenizer."""
    entries = {word: i for i, word in enumerate([*names, *LETTERS])}
    tokenizer = Tokenizer(models.BPE(entries, [], unk_token=names[3], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def byte_level(names):
    words = [*names, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


@pytest.mark.parametrize("names", [SPECIALS, BERTS], ids=["roberta", "bert"])
@pytest.mark.parametrize("added", ["special", "plain", "none"])
@pytest.mark.parametrize("kind", [word_level, unigram, word_piece, bpe, byte_level])
def test_no_kind_of_tokenizer_reads_special_tokens_out_of_a_text(tmp_path, kind, added, names):
    tokenizer = kind(names)
    if added == "special":
        tokenizer.add_special_tokens(names)
    elif added == "plain":
        tokenizer.add_tokens(names)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    vocabulary = Vocabulary.load(tmp_path / "tokenizer.json")
    roles = {vocabulary.start, vocabulary.pad, vocabulary.separator, vocabulary.mask}
    for name in names:
        for text in (name, f"cat {name} sat", f"cat{name}{name}sat", f"{name} {name}"):
            [ids] = vocabulary.encode_batch([text])
            assert ids and not set(ids) & roles, text
            again, [offsets] = vocabulary.encode_with_offsets([text])
            assert again == [ids]
            spelt = "".join(dict.fromkeys(text[a:b] for a, b in offsets if a < b))
            assert set(spelt) == set(text) - {" "} or set(spelt) == set(text)


def test_an_added_token_that_is_no_special_one_is_read():
    tokenizer = word_level(SPECIALS)
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.add_tokens(["New York"])
    vocabulary = Vocabulary(tokenizer)
    assert vocabulary.encode_batch(["cat New York"]) == [[5, 7]]
    assert vocabulary.in_text.tolist() == [3, 5, 6, 7]


def test_names_of_bert_are_found(tmp_path):
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "word"]
    entries = {name: i for i, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordPiece(entries, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(names[:5])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    vocabulary = Vocabulary.load(tmp_path / "tokenizer.json")
    assert (vocabulary.start, vocabulary.pad, vocabulary.separator) == (2, 0, 3)
    assert (vocabulary.unknown, vocabulary.mask) == (1, 4)
    assert vocabulary.ordinary.tolist() == [5]


def test_what_is_no_vocabulary_is_refused_in_one_line(tmp_path):
    with pytest.raises(StudyError, match=r"gone\.json: no such file"):
        Vocabulary.load(tmp_path / "gone.json")
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps({"version": "1.0"}))
    with pytest.raises(StudyError, match=r"broken\.json: not a tokenizer\.json"):
        Vocabulary.load(broken)
    bare = tmp_path / "bare.json"
    Tokenizer(models.WordLevel({"<s>": 0, "<pad>": 1}, unk_token="<s>")).save(str(bare))
    with pytest.raises(StudyError, match="no separator token; expected one of </s>"):
        Vocabulary.load(bare)
    names = {name: i for i, name in enumerate(SPECIALS)}
    Tokenizer(models.WordLevel(names, unk_token="<unk>")).save(str(bare))
    with pytest.raises(StudyError, match=r"bare\.json: no entries besides the special tokens"):
        Vocabulary.load(bare)


def test_a_tokenizer_that_stops_at_unknown_characters_is_refused(tmp_path):
    """Before hours of text have been read: its model's unknown token is not one of its entries."""
    entries = {name: i for i, name in enumerate([*SPECIALS, "cat"])}
    for model in (
        models.WordLevel(entries, unk_token="[UNK]"),
        models.WordPiece(entries, unk_token="[UNK]"),
        models.Unigram([(name, -1.0) for name in entries]),
    ):
        Tokenizer(model).save(str(tmp_path / "tokenizer.json"))
        with pytest.raises(StudyError, match="cannot encode an unknown character"):
            Vocabulary.load(tmp_path / "tokenizer.json")


def test_dtype_is_the_smallest_that_fits(vocabulary):
    assert vocabulary.dtype == np.uint16
