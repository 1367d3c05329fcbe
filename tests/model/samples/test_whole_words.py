"""Whole-word masking: which tokens make a word, and that its pieces are masked together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples_toy import build, framed_rows, store_of, toy_vocabulary
from tokenizers import Tokenizer, models

from language.corpora import corpus_columns
from model.samples.gather import Gatherer
from model.samples.keyed import draws, key_of_stream
from model.samples.masking import HELDOUT_MASKING, Masker, target_count
from model.text.splitting import split_with_sentencex
from model.text.tokenizer import Vocabulary
from model.text.vocabulary_training import train_vocabulary
from study.cells import Masking
from study.errors import StudyError
from study.graph import Study

NAMES = ["<s>", "<pad>", "</s>", "<unk>"]
WHOLE = Masking.model_validate({**dict(HELDOUT_MASKING), "unit": "word"})
TEXTS = [
    "Hello world! Hello worlds.",
    "Don't we've 'quoted' it's 1999 B2B NASA's 2nd 3.5% go?",
    "x  y\tz  (in three) lines\n\nof text",
]


def pieces_vocabulary(size: int = 64) -> Vocabulary:
    """WordPiece: even ids from 4 on begin a word, odd ones go on with it."""
    pieces = [f"##w{i}" if i % 2 else f"w{i}" for i in range(4, size - 1)]
    entries = {name: i for i, name in enumerate([*NAMES, *pieces, "<mask>"])}
    return Vocabulary(Tokenizer(models.WordPiece(entries, unk_token="<unk>")))


def mask(ids, vocabulary, masking=WHOLE, epoch=0, slots=None, samples=None) -> dict:
    masker = Masker(masking, vocabulary, 0, ids.shape[1])
    maskable = masker.maskable(ids, (ids != vocabulary.pad).sum(dim=1))
    samples = torch.arange(len(ids), device=ids.device) if samples is None else samples
    epochs = torch.full_like(samples, epoch)
    slots = masker.slots(ids.shape[1] - 2) if slots is None else slots
    return masker(ids, maskable, samples, epochs, slots)


def targets(found: dict, row: int) -> list[int]:
    """Positions of a row's targets."""
    return found["positions"][row][found["weights"][row] == 1].tolist()


def words_of(ids: list[int], vocabulary: Vocabulary) -> list[list[int]]:
    """Positions of each word of a row, by the vocabulary's edges, token by token."""
    begins, ends = vocabulary.word_edges
    words, text = [], set(vocabulary.in_text.tolist())
    for position, token in enumerate(ids):
        if token in text:
            before = ids[position - 1]
            if words and before in text and begins[token] & ends[before]:
                words[-1].append(position)
            else:
                words.append([position])
    return words


def rows_of_pieces(rows: int, length: int, seed: int = 0) -> torch.Tensor:
    """Framed rows of random pieces and lengths, most of them of one piece, some of many."""
    draw = np.random.default_rng(seed)
    ids = np.full((rows, length), 1)
    for row, size in enumerate(draw.integers(5, length + 1, rows)):
        odd = draw.random(size) < 0.4
        ids[row, :size] = 2 * draw.integers(2, 31, size) + odd
        ids[row, 0], ids[row, size - 1] = 0, 2
    return torch.from_numpy(ids)


def test_literal_words():
    """Words of two, one and three pieces, and room for half of the six: three or two of them."""
    ids = torch.tensor([[0, 10, 11, 12, 14, 15, 17, 2]])
    masking = WHOLE.model_copy(update={"rate": 0.5})
    found = {tuple(targets(mask(ids, pieces_vocabulary(), masking, epoch=e), 0)) for e in range(40)}
    assert found == {(1, 2, 3), (4, 5, 6)}
    masking = WHOLE.model_copy(update={"rate": 0.34})
    found = {tuple(targets(mask(ids, pieces_vocabulary(), masking, epoch=e), 0)) for e in range(40)}
    assert found == {(1, 2), (3,)}


def test_unit_and_rate_decide_how_many():
    """As many as with single tokens wherever a word of one piece is left; never more."""
    ids, vocabulary = rows_of_pieces(600, 96), pieces_vocabulary()
    found = mask(ids, vocabulary)
    exact = total = 0
    for row in range(len(ids)):
        words = words_of(ids[row].tolist(), vocabulary)
        tokens = sum(map(len, words))
        chosen = targets(found, row)
        left = [word for word in words if not set(word) & set(chosen)]
        missing = target_count(0.15, tokens) - len(chosen)
        assert 0 <= missing < min(map(len, left))
        assert sorted(p for word in words if word not in left for p in word) == chosen
        exact += missing == 0
        total += tokens
    assert exact > 0.98 * len(ids)
    assert float(found["weights"].sum()) / total == pytest.approx(0.15, rel=0.01)


def test_words_are_taken_in_the_order_of_their_draws():
    """Against a loop over words: each in turn, if there is room."""
    ids, vocabulary = rows_of_pieces(200, 64, seed=1), pieces_vocabulary()
    found = mask(ids, vocabulary, epoch=3)
    copies, samples = torch.full((len(ids),), 3), torch.arange(len(ids))
    keys = draws(key_of_stream(0, "mask.place"), copies, samples)
    order = (draws(keys[:, None], torch.arange(64)) & ~0xFFFF) | torch.arange(64)
    for row in range(len(ids)):
        words = words_of(ids[row].tolist(), vocabulary)
        room = target_count(0.15, sum(map(len, words)))
        expected = []
        for word in sorted(words, key=lambda word, row=row: int(order[row, word[0]])):
            if len(word) <= room - len(expected):
                expected += word
        assert targets(found, row) == sorted(expected)


def test_words_of_one_piece_are_masked_like_tokens():
    ids, _ = framed_rows(100)
    vocabulary = toy_vocabulary(1000)
    whole, token = (mask(ids, vocabulary, masking) for masking in (WHOLE, HELDOUT_MASKING))
    assert all(torch.equal(whole[name], token[name]) for name in token)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.permutations(range(12)), st.integers(0, 3))
def test_a_mask_depends_on_the_sample_and_not_on_its_batch(epoch, order, padding):
    ids, vocabulary = rows_of_pieces(12, 48), pieces_vocabulary()
    whole = mask(ids, vocabulary, epoch=epoch, slots=7)
    order = torch.tensor(order)
    wider = torch.cat([ids, torch.full((12, 16 * padding), 1)], dim=1)[order]
    moved = mask(wider, vocabulary, epoch=epoch, slots=7, samples=order)
    for name in ("positions", "labels", "weights"):
        assert torch.equal(moved[name], whole[name][order])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_gives_the_same_bits():
    ids, vocabulary = rows_of_pieces(256, 128), pieces_vocabulary()
    here, there = mask(ids, vocabulary), mask(ids.cuda(), vocabulary)
    for name, tensor in here.items():
        assert torch.equal(tensor, there[name].cpu())


@pytest.mark.parametrize(("kind", "size"), [("byte-bpe", 280), ("wordpiece", 70)])
def test_edges_are_those_of_the_vocabularys_own_words(kind, size):
    """Inside a sentence, where the library tells which word a token is of."""
    vocabulary = Vocabulary(train_vocabulary(lambda: [TEXTS * 3], kind, size, lowercase=True))
    begins, ends = vocabulary.word_edges
    pairs = 0
    for text in TEXTS:
        encoding = vocabulary.tokenizer.encode(text, add_special_tokens=False)
        ids, words = np.array(encoding.ids), np.array(encoding.word_ids)
        goes_on = (begins[ids[1:]] & ends[ids[:-1]]) != 0
        assert goes_on.tolist() == (words[1:] == words[:-1]).tolist(), encoding.tokens
        pairs += goes_on.sum()
    assert pairs > 20
    assert not begins[vocabulary.special].any() and not ends[vocabulary.special].any()


def test_parts_of_a_character_are_never_told_apart():
    """Its bytes may be any kind of character's: they join what they touch."""
    vocabulary = Vocabulary(train_vocabulary(lambda: [["a b"]], "byte-bpe", 261))
    begins, ends = vocabulary.word_edges
    [ids] = vocabulary.encode_batch(["cafés 1"])
    assert len(ids) == 8
    assert (begins[ids[1:]] & ends[ids[:-1]] != 0).tolist() == [True] * 5 + [False, True]


@pytest.mark.parametrize(("kind", "joined"), [("byte-bpe", 0.05), ("wordpiece", 0)])
def test_generated_text_in_blocks_of_several_sentences(kind, joined):
    """A sentence begins a word, though byte-level ones have no blank in front: but for headings
    and after quotes, where the ends of two sentences are of one kind of character.
    """
    texts = corpus_columns("wiki", 0, 40_000)["text"]
    documents = [split_with_sentencex(text, "en") for text in texts]
    sentences = [sentence for document in documents for sentence in document]
    vocabulary = Vocabulary(train_vocabulary(lambda: [sentences], kind, 400, lowercase=True))
    store = store_of([vocabulary.encode_batch(document) for document in documents])
    begins, ends = vocabulary.word_edges
    tokens = store.read(np.array([0]), np.array([store.size])).astype(int)
    starts = store.sentences[1:-1]
    goes_on = begins[tokens[starts]] & ends[tokens[starts - 1]] != 0
    assert goes_on.mean() == pytest.approx(joined, abs=0.01)
    samples = build(store, "full-sentences", 64)
    ids = torch.from_numpy(Gatherer(store, samples, vocabulary).ids(np.arange(len(samples)), 64))
    found = mask(ids, vocabulary)
    maskable = int((ids >= 4).sum())
    assert float(found["weights"].sum()) / maskable == pytest.approx(0.15, rel=0.02)
    several = 0
    for row in range(len(ids)):
        chosen = set(targets(found, row))
        words = words_of(ids[row].tolist(), vocabulary)
        assert all(chosen.issuperset(word) or chosen.isdisjoint(word) for word in words)
        several += sum(len(word) > 1 and chosen.issuperset(word) for word in words)
    assert several > 100


def test_a_vocabulary_that_tells_nothing_of_words_is_one_line():
    entries = [(name, 0.0) for name in [*NAMES, "a", "<mask>"]]
    vocabulary = Vocabulary(Tokenizer(models.Unigram(entries, unk_id=3)))
    with pytest.raises(StudyError, match=r"masking.unit: word needs .* byte-bpe.*, not Unigram"):
        Masker(WHOLE, vocabulary, 0, 64)


def test_only_a_cell_that_masks_words_says_so_in_its_recipe():
    recipes = [job.recipe for job in Study("smoke").pretrain_jobs(["mask-15", "whole-word"])]
    plain, whole = (recipe["masking"] for recipe in recipes)
    assert whole == {**plain, "unit": "word"} != plain
