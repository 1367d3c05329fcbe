"""Vocabulary training: sizes, special tokens, determinism, and who is read."""

import hashlib
import json

import pytest

from model.text.splitting import write_sentences
from model.text.tokenizer import Vocabulary
from model.text.vocabulary_training import limited_blocks, share_characters, train_vocabulary
from study.errors import StudyError

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "lmnrst"]
SENTENCES = [" ".join(WORDS[i : i + 7]) + " Über 漢字." for i in range(0, len(WORDS), 3)]


@pytest.mark.parametrize("kind", ["byte-bpe", "wordpiece"])
def test_size_counts_special_tokens_and_ids_are_robertas(kind):
    tokenizer = train_vocabulary(lambda: [SENTENCES], kind, 300, lowercase=True)
    assert tokenizer.get_vocab_size() == 300
    assert [tokenizer.id_to_token(i) for i in (0, 1, 2, 3, 299)] == [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "<mask>",
    ]
    assert tokenizer.post_processor is None


@pytest.mark.parametrize("kind", ["byte-bpe", "wordpiece"])
def test_equal_sentences_give_equal_files(kind):
    trained = {train_vocabulary(lambda: [SENTENCES], kind, 290, True).to_str() for _ in range(4)}
    assert len(trained) == 1


def test_only_the_five_special_tokens_are_marked_so():
    text = train_vocabulary(lambda: [SENTENCES], "wordpiece", 300, True).to_str()
    marked = [token["content"] for token in json.loads(text)["added_tokens"]]
    assert marked == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def test_wordpiece_follows_berts_normaliser():
    tokenizer = train_vocabulary(lambda: [SENTENCES], "wordpiece", 300, lowercase=True)
    tokens = tokenizer.encode("Über漢字, balx").tokens
    assert tokens == ["uber", "漢", "字", "<unk>", "<unk>"]
    cased = train_vocabulary(lambda: [SENTENCES], "wordpiece", 300, lowercase=False)
    assert cased.encode("Über").tokens == ["Über"]


def test_rare_characters_give_way_in_a_fixed_order():
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 300)]
    tokenizer = train_vocabulary(lambda: [letters], "wordpiece", 600, lowercase=True)
    assert sorted(token for token in tokenizer.get_vocab() if len(token) == 1) == letters[:100]


def test_a_size_below_the_alphabet_is_refused():
    with pytest.raises(StudyError, match=r"field size: 200 cannot hold .* at least 261"):
        train_vocabulary(lambda: [SENTENCES], "byte-bpe", 200)


@pytest.mark.parametrize(
    ("kind", "digest"), [("byte-bpe", "741f0dcb0c08f453"), ("wordpiece", "a43011560ff37242")]
)
def test_golden_vocabularies(kind, digest):
    """Another file from the same sentences is another result: bump the stage's version with it."""
    text = train_vocabulary(lambda: [SENTENCES], kind, 400, lowercase=True).to_str()
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("kind", ["byte-bpe", "wordpiece"])
def test_long_words_are_learnt_from_in_pieces(kind):
    pieces = [["a" * 1000], ["a" * 1000, "a"], SENTENCES]
    whole = train_vocabulary(lambda: [["a" * 2001], SENTENCES], kind, 400, lowercase=True)
    assert whole.to_str() == train_vocabulary(lambda: pieces, kind, 400, lowercase=True).to_str()
    assert max(len(token.removeprefix("##")) for token in whole.get_vocab()) <= 1000
    middle = [["x " + "a" * 1000, "a y"], SENTENCES]
    inside = train_vocabulary(lambda: [["x " + "a" * 1001 + " y"], SENTENCES], kind, 400, True)
    assert inside.to_str() == train_vocabulary(lambda: middle, kind, 400, True).to_str()


@pytest.mark.parametrize("kind", ["byte-bpe", "wordpiece"])
def test_a_word_of_a_megabyte_ends(kind):
    """Training takes the square of a word's length, so this would take hours if it were whole."""
    word = "abcdefghijk" * 100_000
    tokenizer = train_vocabulary(lambda: [[f"see {word} there"], SENTENCES], kind, 400, True)
    assert tokenizer.get_vocab_size() == 400
    [ids] = Vocabulary(tokenizer).encode_batch([word])
    # BERT's WordPiece gives up on words of more than 100 characters.
    assert ids == [3] if kind == "wordpiece" else tokenizer.decode(ids) == word


@pytest.mark.parametrize("kind", ["byte-bpe", "wordpiece"])
def test_a_text_without_words_is_refused(kind):
    for blocks in ([], [[]], [[""]], [[], [""]]):
        with pytest.raises(StudyError, match="field characters: so few leave no word to train on"):
            train_vocabulary(lambda blocks=blocks: blocks, kind, 400, lowercase=True)
    with pytest.raises(StudyError, match="field characters: so few leave no word to train on"):
        train_vocabulary(lambda: [["\u200b"]], "wordpiece", 400, lowercase=True)


def test_characters_are_shared_in_proportion():
    assert share_characters(100, [300, 100]) == [75, 25]
    assert share_characters(None, [3, 1]) == [None, None]
    assert share_characters(400, [300, 100]) == [None, None]


def test_blocks_stop_at_the_limit_and_leave_heldout_documents_out(tmp_path):
    path = tmp_path / "sentences.parquet"
    figures = write_sentences((f"Number {i}. Yes." for i in range(50)), path, "en", 0.5)
    kept = [s for block in limited_blocks([path], [None]) for s in block]
    assert 0 < figures["train"]["documents"] < 50
    assert len(kept) == 2 * figures["train"]["documents"]
    first = [s for block in limited_blocks([path, path], [5, 20]) for s in block]
    assert first == [kept[0], *kept[:3]]
