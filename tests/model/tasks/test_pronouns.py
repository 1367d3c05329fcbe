"""Winograd schemas: where the pronoun is, which candidates compete, and the rows, literally."""

import numpy as np
import pytest
from tasks_toy import byte_bpe, make_task, readable, wordpiece

from model.tasks.columns import Examples
from model.tasks.kinds.wsc import build, candidates, cut_around, find_words
from model.tasks.nouns import rule_phrases
from study.errors import StudyError

TASK = make_task("wsc")
TEXT = "The cat saw the dog on a mat. It sat."


def schemas(rows: list[tuple], labels: list[int] | None = None) -> Examples:
    """Examples from (text, query, its word, pronoun, its word)."""
    texts, queries, firsts, pronouns, seconds = (list(column) for column in zip(*rows, strict=True))
    return Examples(
        [str(number) for number in range(len(rows))],
        [texts, queries, pronouns, list(zip(firsts, seconds, strict=True))],
        labels=None if labels is None else np.array(labels),
    )


def original(vocabulary, features, row: int) -> list[str]:
    """A row's tokens before they were masked, as text."""
    start, end = features.arrays["offsets"][row : row + 2]
    return [
        vocabulary.tokenizer.id_to_token(int(i)) for i in features.arrays["originals"][start:end]
    ]


@pytest.mark.parametrize(
    ("words", "number", "found"),
    [
        ("it", 2, (8, 10)),  # with a comma in the data's word
        ("It", 5, (24, 26)),
        ("it", 3, (8, 10)),  # the data point to the word after
        ("the  cat", 0, (0, 7)),
        ("at", 0, None),  # part of another word
        ("dog", 99, None),
        (" ", 0, None),
    ],
)
def test_words_are_found_near_where_the_data_say(words, number, found):
    assert find_words("The cat it, she thought it.", words, number) == found


@pytest.mark.parametrize(
    ("text", "query", "pronoun", "others"),
    [
        (TEXT, "the dog", "It", ["The cat", "cat", "a mat", "mat"]),
        (TEXT, "cat", "It", ["the dog", "dog", "a mat", "mat"]),  # The cat holds the query
        ("Ann told Sue's mother that she left.", "Sue", "she", ["Ann", "mother"]),
        ("Bo lost his map, so Bo ran.", "Al", "his", ["Bo", "map"]),  # his map holds the pronoun
        ("A man saw the man and the boy. He ran.", "the boy", "He", ["A man", "man", "the man"]),
    ],
)
def test_candidates_are_the_other_phrases(text, query, pronoun, others):
    place = find_words(text, pronoun, 99 if pronoun in ("It", "He", "she") else 2)
    span = find_words(text, query, 0)
    assert candidates(text, query, span, place, rule_phrases(text)) == others


def test_a_row_per_candidate_with_all_its_tokens_masked():
    vocabulary = wordpiece()
    examples = schemas([(TEXT, "The dog", 3, "It", 8)], [1])
    features, figures = build(examples, vocabulary, TASK, 32, train=True)
    before = ["<s>", "the", "cat", "<unk>", "the", "dog", "on", "a", "mat", "."]
    after = ["sat", ".", "</s>"]
    expected = [["the", "dog"], ["the", "cat"], ["cat"], ["a", "mat"], ["mat"]]
    for row, named in enumerate(expected):
        assert original(vocabulary, features, row) == [*before, *named, *after]
        masks = ["<mask>"] * len(named)
        assert readable(vocabulary, features, row) == [*before, *masks, *after]
    assert features.arrays["groups"].tolist() == [0, 5]
    assert features.arrays["labels"].tolist() == [1]
    assert figures == {
        "examples": 1,
        "rows": 5,
        "tokens": 73,
        "truncated": 0,
        "candidates": 4,
        "without_candidates": 0,
        "pronouns_moved": 0,
        "candidates_from": "rules",
        "labels": {"1": 1},
        "majority": 100.0,
    }


def test_byte_level_words_keep_their_blank_and_the_text_its_spelling():
    vocabulary = byte_bpe([TEXT + " the cat"] * 9, 320)
    examples = schemas([(TEXT, "The dog", 3, "It", 8), ("It saw Al.", "al", 2, "It", 0)])
    features, figures = build(examples, vocabulary, TASK, 64, train=False)
    assert "labels" not in features.arrays
    text = TEXT.replace("It", "the dog")
    whole = vocabulary.tokenizer.encode(text, add_special_tokens=False).tokens
    assert original(vocabulary, features, 0) == ["<s>", *whole, "</s>"]
    masked = [token == "<mask>" for token in readable(vocabulary, features, 0)]
    hidden = [token for token, mask in zip(["", *whole], masked, strict=False) if mask]
    assert "".join(hidden) == "ĠtheĠdog"
    last = int(features.arrays["groups"][-1]) - 1
    assert "".join(original(vocabulary, features, last)[1:-1]) == "AlĠsawĠAl."
    assert figures["without_candidates"] == 1


def test_training_takes_referents_that_have_rivals_and_other_splits_all():
    rows = [
        (TEXT, "The dog", 3, "It", 8),
        (TEXT, "a mat", 6, "It", 8),
        ("It sat.", "dog", 0, "It", 0),
    ]
    examples = schemas(rows, [1, 0, 1])
    train, figures = build(examples, wordpiece(), TASK, 32, train=True)
    assert train.arrays["groups"].tolist() == [0, 5]
    assert figures["without_candidates"] == 1 and figures["labels"] == {"0": 1, "1": 2}
    dev, figures = build(examples, wordpiece(), TASK, 32, train=False)
    assert dev.arrays["groups"].tolist() == [0, 5, 10, 11]
    assert dev.arrays["labels"].tolist() == [1, 0, 1]
    assert figures["without_candidates"] == 1


@pytest.mark.parametrize(
    ("first", "last", "room", "part"),
    [
        (0, 2, 20, (0, 10)),
        (4, 6, 6, (2, 8)),
        (0, 1, 5, (0, 5)),
        (9, 10, 5, (5, 10)),
        (2, 9, 4, (2, 6)),
    ],
)
def test_long_rows_are_cut_around_the_candidate(first, last, room, part):
    assert cut_around(first, last, 10, room) == part


def test_cut_rows_hold_the_candidate_and_are_counted():
    vocabulary = wordpiece()
    examples = schemas([("a cat sat on " * 4 + TEXT, "the dog", 19, "It", 24)], [0])
    features, figures = build(examples, vocabulary, TASK, 8, train=False)
    assert readable(vocabulary, features, 0) == [
        "<s>", "mat", ".", "<mask>", "<mask>", "sat", ".", "</s>"
    ]  # fmt: skip
    assert original(vocabulary, features, 0)[3:5] == ["the", "dog"]
    assert figures["truncated"] == figures["rows"]


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([(TEXT, "the dog", 3, "she", 8)], [1], "task wsc: example 0: no 'she' in its text"),
        ([(TEXT, "the dog", 3, "It", 8)], [0], "task wsc: no example of label 1 has another cand"),
    ],
)
def test_errors_are_one_line(rows, labels, message):
    with pytest.raises(StudyError, match=message):
        build(schemas(rows, labels), wordpiece(), TASK, 32, train=True)
