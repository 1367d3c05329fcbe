"""Pseudo-log-likelihoods: literal masks, and equality with slow code and with transformers."""

import math
import re
from collections import Counter

import network_toy
import numpy as np
import pytest
import torch
from tasks_toy import SPECIALS, byte_bpe, wordpiece
from tokenizers import Tokenizer, models

from language.write import task_table
from model.network.pretraining import PretrainingModel
from model.tasks.pseudo_likelihood import SameLength, by_length, pseudo_log_likelihoods
from model.text.tokenizer import Vocabulary
from model.training.precision import Precision
from study.errors import StudyError

CPU = Precision("fp32", torch.device("cpu"))
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(autouse=True)
def one_thread():
    """On busy cores threads wait for each other at every one of many small operations."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_each_token_is_masked_in_turn_and_with_it_what_follows_in_its_word():
    ids = np.array([[0, 7, 8, 9, 2], [0, 4, 5, 6, 2]])
    alone = SameLength(np.array([3, 5]), ids, None)
    assert alone.copies == 6
    rows, places, targets = alone.masked(1, 5, 99)
    assert rows.tolist() == [
        [0, 7, 99, 9, 2],
        [0, 7, 8, 99, 2],
        [0, 99, 5, 6, 2],
        [0, 4, 99, 6, 2],
    ]
    assert places.tolist() == [2, 3, 1, 2]
    assert targets.tolist() == [8, 9, 4, 5]
    words = np.array([[0, 1, 1, 1, 2], [0, 1, 1, 2, 3]])
    together = SameLength(np.array([3, 5]), ids, words)
    assert together.masked(0, 6, 99)[0].tolist() == [
        [0, 99, 99, 99, 2],
        [0, 7, 99, 99, 2],
        [0, 7, 8, 99, 2],
        [0, 99, 99, 6, 2],
        [0, 4, 99, 6, 2],
        [0, 4, 5, 99, 2],
    ]


def test_sentences_of_one_length_stand_together_the_longest_first():
    vocabulary = wordpiece()
    cat, plural, mat = (vocabulary.tokenizer.token_to_id(word) for word in ("cat", "##s", "mat"))
    sentences = [[cat], [mat, plural], [cat, plural]]
    first, second = by_length(sentences, vocabulary, "left-to-right")
    assert first.numbers.tolist() == [1, 2]
    assert first.ids.tolist() == [[0, mat, plural, 2], [0, cat, plural, 2]]
    assert first.words.tolist() == [[0, 1, 1, 2]] * 2
    assert (second.numbers.tolist(), second.ids.tolist()) == ([0], [[0, cat, 2]])
    assert all(group.words is None for group in by_length(sentences, vocabulary, "alone"))


def generated_pairs(count: int) -> tuple[list[str], list[str]]:
    """Good and bad sentences of the generated language."""
    table = task_table("grammar", 0, "train", count)
    return table["sentence_good"].to_pylist(), table["sentence_bad"].to_pylist()


def character_level() -> Vocabulary:
    """The commonest hundred words whole, the others in letters."""
    said = Counter(word for text in generated_pairs(200)[0] for word in re.findall(r"\w+", text))
    common = dict.fromkeys(word.lower() for word, _ in said.most_common(100))
    letters = [*LETTERS, *(f"##{letter}" for letter in LETTERS)]
    return wordpiece([*dict.fromkeys([*letters, *common]), *'.?,:;!"'])


def network(vocabulary: Vocabulary, segments: bool, nsp: bool) -> PretrainingModel:
    """A tiny network with weights far from their first values."""
    config = network_toy.config(positions=64)
    model = PretrainingModel(config, vocabulary.size, segments, nsp, vocabulary.pad)
    return network_toy.randomise(model, seed=3).eval()


def plain_score(
    model: PretrainingModel, vocabulary: Vocabulary, text: str, left_to_right: bool
) -> float:
    """The score of a sentence in the plainest code, with all logits of all its tokens.

    Words are those that the tokenizer itself splits the text into.
    """
    encoding = vocabulary.tokenizer.encode(text, add_special_tokens=False)
    tokens, words = encoding.ids, encoding.word_ids
    rows = []
    for place in range(len(tokens)):
        hidden = [*tokens]
        hidden[place] = vocabulary.mask
        following = place + 1
        while left_to_right and following < len(tokens) and words[following] == words[place]:
            hidden[following] = vocabulary.mask
            following += 1
        rows.append([vocabulary.start, *hidden, vocabulary.separator])
    ids = torch.tensor(rows)
    segments = torch.zeros_like(ids) if model.encoder.segments is not None else None
    with torch.no_grad():
        states = model.encoder(ids, torch.full((len(rows),), len(rows[0])), segments)
        all_logits = model.mlm(states, model.encoder.words.weight).tolist()
    total = 0.0
    for place, token in enumerate(tokens):
        logits = all_logits[place][place + 1]
        peak = max(logits)
        total += logits[token] - peak - math.log(sum(math.exp(x - peak) for x in logits))
    return total


MODELS = {
    "character-level": (character_level, False, False),
    "byte-level": (lambda: byte_bpe(generated_pairs(200)[0], 420), False, False),
    "with segments and next-sentence prediction": (character_level, True, True),
}


@pytest.mark.parametrize("within_words", ["alone", "left-to-right"])
@pytest.mark.parametrize("name", MODELS)
def test_two_hundred_pairs_score_as_in_plain_code(name, within_words):
    make, segments, nsp = MODELS[name]
    vocabulary = make()
    model, (good, bad) = network(vocabulary, segments, nsp), generated_pairs(200)
    sentences = vocabulary.encode_batch([*good, *bad])
    found = pseudo_log_likelihoods(model, sentences, vocabulary, within_words, CPU, 512)
    left_to_right = within_words == "left-to-right"
    expected = [plain_score(model, vocabulary, text, left_to_right) for text in (*good, *bad)]
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-3)
    expected = np.array(expected)
    assert ((found[:200] > found[200:]) == (expected[:200] > expected[200:])).all()
    assert len(set(map(len, sentences))) > 8
    assert 20 < (found[:200] > found[200:]).sum() < 180


def test_pieces_hidden_together_change_the_score_of_words_of_several_pieces_alone():
    vocabulary = wordpiece()
    model = network(vocabulary, False, False)
    whole, pieces = vocabulary.encode_batch(["the cat sat", "the cats sat"])
    alone, together = (
        pseudo_log_likelihoods(model, [whole, pieces], vocabulary, within_words, CPU, 64)
        for within_words in ("alone", "left-to-right")
    )
    assert alone[0] == together[0]
    assert abs(alone[1] - together[1]) > 0.01


@pytest.mark.parametrize("nsp", [False, True])
def test_transformers_gives_the_same_scores_with_the_same_weights(nsp):
    transformers = pytest.importorskip("transformers")
    from model.network.huggingface import to_transformers, transformers_config

    vocabulary = character_level()
    ours, (good, bad) = network(vocabulary, nsp, nsp), generated_pairs(20)
    state = ours.state_dict()
    name = "RobertaForMaskedLM"
    values = transformers_config(ours.encoder.config, state, vocabulary, name)
    of_config = transformers.AutoConfig.for_model(**values)
    theirs = transformers.AutoModelForMaskedLM.from_config(of_config).eval()
    tensors = {
        name: tensor
        for name, tensor in to_transformers(state, vocabulary, name).items()
        if "pooler" not in name and "seq_relationship" not in name
    }
    found = theirs.load_state_dict(tensors, strict=False)
    theirs.tie_weights()
    assert not found.unexpected_keys
    assert all("decoder" in name or "position_ids" in name for name in found.missing_keys)
    sentences = vocabulary.encode_batch([*good, *bad])
    expected = []
    for tokens in sentences:
        rows = torch.tensor([[vocabulary.start, *tokens, vocabulary.separator]] * len(tokens))
        places = torch.arange(len(tokens))
        rows[places, places + 1] = vocabulary.mask
        with torch.no_grad():
            shares = theirs(input_ids=rows).logits[places, places + 1].log_softmax(-1)
        expected.append(shares[places, torch.tensor(tokens)].sum().item())
    scores = pseudo_log_likelihoods(ours, sentences, vocabulary, "alone", CPU, 256)
    assert np.allclose(scores, expected, rtol=1e-5, atol=1e-3)


def test_how_many_tokens_go_through_at_once_does_not_matter():
    vocabulary = character_level()
    model, (good, bad) = network(vocabulary, False, False), generated_pairs(30)
    sentences = vocabulary.encode_batch([*good, *bad])
    told: list[tuple[int, int]] = []
    one, many = (
        pseudo_log_likelihoods(
            model, sentences, vocabulary, "alone", CPU, tokens, lambda *counts: told.append(counts)
        )
        for tokens in (1, 10**6)
    )
    assert np.allclose(one, many, rtol=1e-5)
    distinct = len(set(map(tuple, sentences)))
    assert max(told) == (distinct, distinct)


def test_several_threads_give_the_same_bits():
    vocabulary = character_level()
    model, (good, bad) = network(vocabulary, False, False), generated_pairs(30)
    sentences = vocabulary.encode_batch([*good, *bad])
    told: list[int] = []
    alone, together = (
        pseudo_log_likelihoods(
            model,
            sentences,
            vocabulary,
            "alone",
            CPU,
            100,
            lambda done, _: told.append(done),
            count,
        )
        for count in (1, 3)
    )
    assert alone.tolist() == together.tolist()
    half = len(told) // 2
    assert told[:half] == told[half:] == sorted(told[:half])


def test_equal_sentences_have_equal_scores():
    """Else rounding would decide a pair that the vocabulary does not tell apart."""
    vocabulary = wordpiece()
    model = network(vocabulary, False, False)
    sentences = vocabulary.encode_batch(["The cat sat", "the CAT sat", "cat", "the cat sat"])
    scores = pseudo_log_likelihoods(model, sentences, vocabulary, "alone", CPU, 7)
    assert scores[0] == scores[1] == scores[3] != scores[2]


def test_lower_precision_gives_nearly_the_same():
    vocabulary = character_level()
    model, (good, bad) = network(vocabulary, False, False), generated_pairs(50)
    sentences = vocabulary.encode_batch([*good, *bad])
    half = Precision("bf16", torch.device("cpu"))
    exact, rounded = (
        pseudo_log_likelihoods(model, sentences, vocabulary, "alone", precision, 512)
        for precision in (CPU, half)
    )
    assert np.abs(exact - rounded).max() > 0
    assert np.abs(exact - rounded).mean() < 0.02 * np.abs(exact).mean()


def test_a_vocabulary_that_tells_no_words_is_refused():
    entries = [(name, 0.0) for name in [*SPECIALS, "a", "<mask>"]]
    vocabulary = Vocabulary(Tokenizer(models.Unigram(entries, unk_id=3)))
    with pytest.raises(StudyError, match="within_words: left-to-right"):
        list(by_length([[4]], vocabulary, "left-to-right"))
