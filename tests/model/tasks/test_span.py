"""SQuAD windows: literal windows, remapped answers, and gold text -> tokens -> text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tasks_toy import byte_bpe, make_task, questions, readable, wordpiece

from model.tasks.columns import Examples
from model.tasks.kinds.span import build
from model.tasks.windows import (
    Context,
    WindowSpans,
    answer_texts,
    most_context,
    window_starts,
)
from model.text.tokenizer import Vocabulary
from model.text.vocabulary_training import train_vocabulary

TASK = make_task("span")
TEXTS = [
    "Beyoncé's 1990s albums (2003–2006) sold 60 million.",
    "The U.S. “won” $5.5 million\tin 東京",
]
BYTE_BPE = byte_bpe(TEXTS * 5, 320)
WORDPIECE = wordpiece([*"abcdefghijklmnopqrstuvwxyz0123456789().,“”'’$–", *(
    f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"
)])  # fmt: skip


@pytest.mark.parametrize(
    ("tokens", "capacity", "stride", "starts"),
    [
        (5, 5, 2, [0]),
        (6, 5, 2, [0, 2]),
        (7, 5, 2, [0, 2]),
        (8, 5, 2, [0, 2, 4]),
        (11, 5, 9, [0, 5, 10]),  # a stride beyond the window leaves no gap
        (1, 5, 2, [0]),
    ],
)
def test_window_starts(tokens, capacity, stride, starts):
    assert window_starts(tokens, capacity, stride).tolist() == starts


def test_tokens_belong_to_the_window_with_most_context():
    best = most_context(8, np.array([0, 2, 4]), 5)
    # token 3: 1 to the right in window 0, 1 to the left in window 1: the first wins
    assert best.astype(int).tolist() == [
        [1, 1, 1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 1],
    ]


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 30))
def test_windows_cover_every_token_and_one_of_them_owns_it(tokens, capacity, stride):
    starts = window_starts(tokens, capacity, stride)
    best = most_context(tokens, starts, capacity)
    assert (best.sum(0) == 1).all()
    for window, start in enumerate(starts):
        assert not best[window, :start].any() and not best[window, start + capacity :].any()


def test_windows_and_remapped_answers_literally():
    vocabulary = wordpiece()
    examples = questions([("Who sat ?", "The cat sat on a mat.", ["a mat", "mat"])])
    features, figures = build(examples, vocabulary, TASK, 9, train=False)
    rows = [readable(vocabulary, features, row) for row in range(3)]
    assert rows == [
        ["<s>", "who", "sat", "</s>", "the", "cat", "sat", "on", "</s>"],
        ["<s>", "who", "sat", "</s>", "sat", "on", "a", "mat", "</s>"],
        ["<s>", "who", "sat", "</s>", "a", "mat", ".", "</s>"],
    ]
    arrays = features.arrays
    assert arrays["questions"].tolist() == [0, 0, 0]
    assert arrays["boundaries"].tolist() == [4, 4, 4]
    assert arrays["starts"].tolist() == [0, 6, 4]
    assert arrays["ends"].tolist() == [0, 7, 5]
    assert arrays["answerable"].tolist() == [False, True, True]
    assert arrays["characters"][18:26].tolist() == [
        [0, 0], [0, 0], [0, 0], [0, 0], [15, 16], [17, 20], [20, 21], [0, 0]
    ]  # fmt: skip
    assert arrays["may_end"].astype(int).tolist() == [
        *[0, 0, 0, 0, 1, 1, 1, 1, 0], *[0, 0, 0, 0, 1, 1, 1, 1, 0], *[0, 0, 0, 0, 1, 1, 1, 0]
    ]  # fmt: skip
    assert arrays["may_start"].astype(int).tolist() == [
        *[0, 0, 0, 0, 1, 1, 1, 0, 0], *[0, 0, 0, 0, 0, 1, 1, 0, 0], *[0, 0, 0, 0, 0, 1, 1, 0]
    ]  # fmt: skip
    assert features.columns["answers"].to_pylist() == [["a mat", "mat"]]
    assert figures == {
        "examples": 1,
        "rows": 3,
        "tokens": 26,
        "truncated": 1,
        "questions_truncated": 1,
        "unanswerable": 0,
        "windows_without_answer": 1,
        "gold_answers": {"answers": 2, "exact": 2, "normalised": 2, "whole_in_no_window": 0},
    }


def test_two_separators_and_a_question_without_answer():
    vocabulary = wordpiece()
    squad20 = make_task("span", separators=2, answerability=True)
    examples = questions([("Who?", "A cat", []), ("Where", "a mat", ["mat"])])
    features, figures = build(examples, vocabulary, squad20, 16, train=True)
    assert readable(vocabulary, features, 0) == [
        "<s>", "who", "?", "</s>", "</s>", "a", "cat", "</s>"
    ]  # fmt: skip
    assert features.arrays["starts"].tolist() == [0, 5]
    assert features.arrays["answerable"].tolist() == [False, True]
    assert figures["unanswerable"] == 1
    assert figures["majority"] == 50
    assert "characters" not in features.arrays


def test_an_answer_longer_than_every_window_is_counted():
    examples = questions([("Who", "the cat sat on a mat", ["cat sat on a"])])
    features, figures = build(examples, wordpiece(), TASK, 7, train=True)
    assert not features.arrays["answerable"].any()
    assert figures["gold_answers"]["whole_in_no_window"] == 1


def back_and_forth(vocabulary, text, start, end):
    ids, offsets = vocabulary.encode_with_offsets([text])
    context = Context.of(text, ids[0], offsets[0])
    return context.answer(*context.span(start, end))


@pytest.mark.parametrize("vocabulary", [BYTE_BPE, WORDPIECE], ids=["byte-bpe", "wordpiece"])
@pytest.mark.parametrize(
    ("text", "gold"),
    [
        (TEXTS[0], "Beyoncé"),
        (TEXTS[0], "2003–2006"),
        (TEXTS[0], "60 million"),
        (TEXTS[1], "won"),
        (TEXTS[1], "$5.5 million"),
        (TEXTS[1], "東京"),
        ("a  b\n\n c", "b"),
        ("x\u00a0y z", "y"),
        ("e\u0301te\u0301 a", "e\u0301te\u0301"),
        ("𝒜 b 🏈 c", "🏈"),
    ],
)
def test_tricky_answers_come_back(vocabulary, text, gold):
    start = text.index(gold)
    assert back_and_forth(vocabulary, text, start, start + len(gold)) == gold


# A character of every category, each as likely as any other. Blanks part words, so they have none.
CATEGORIES = [
    *("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe"),
    *("Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Cc", "Cf", "Co", "Cn"),
]
ANY = st.sampled_from(CATEGORIES).flatmap(lambda category: st.characters(categories=[category]))
WORD = st.text(ANY.filter(lambda character: not character.isspace()), min_size=1, max_size=5)
CASED = Vocabulary(train_vocabulary(lambda: [TEXTS], "wordpiece", 300, lowercase=False))


@settings(max_examples=400, deadline=None)
@given(st.lists(WORD, min_size=1, max_size=6), st.sampled_from([" ", "\n", "\u00a0"]), st.data())
def test_whole_words_of_any_category_come_back_exactly(words, blank, data):
    """Whatever a normaliser drops at their ends; words of nothing else have no token at all."""
    text = blank.join(words)
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    start = sum(len(word) + 1 for word in words[:first])
    gold = blank.join(words[first : last + 1])
    for vocabulary in (BYTE_BPE, WORDPIECE, CASED):
        ends = (words[first], words[last])
        if all(vocabulary.encode_batch(ends)):
            assert back_and_forth(vocabulary, text, start, start + len(gold)) == gold


@pytest.mark.parametrize("vocabulary", [BYTE_BPE, WORDPIECE], ids=["byte-bpe", "wordpiece"])
@pytest.mark.parametrize(
    "gold",
    [
        *("❤️", "हिन्दू", "cat\u200e", "\u200ecat", "e\u0301", "👩\u200d🚀"),
        *("a\u20dd", "x\u00ad", "\ufeffy\x07"),
    ],
)
def test_answers_keep_what_the_normaliser_drops_at_their_ends(vocabulary, gold):
    """From the text to features, and from the features' answer back to text."""
    context = f"It is {gold}, ({gold}) or {gold}"
    for start in (6, len(context) - len(gold)):
        examples = Examples(["q"], [["what"], [context], [[(gold, start)]]])
        features, figures = build(examples, vocabulary, TASK, 200, train=False)
        arrays = features.arrays
        spans = WindowSpans(np.zeros(1), arrays["starts"].astype(int), arrays["ends"].astype(int))
        assert answer_texts(features, spans)[0] == [gold]
        assert figures["gold_answers"]["exact"] == 1


def test_byte_level_tokens_keep_their_own_characters():
    """A mark with tokens of its own does not go with the letter before it."""
    text = "e\u0301 x"
    assert back_and_forth(BYTE_BPE, text, 0, 1) == "e"
    assert back_and_forth(BYTE_BPE, text, 0, 2) == "e\u0301"
    assert back_and_forth(WORDPIECE, text, 0, 1) == "e\u0301"


def test_a_context_of_dropped_characters_has_one_empty_window():
    squad20 = make_task("span", answerability=True)
    examples = Examples(["q"], [["what"], ["\u200e \u200b"], [[]]])
    features, figures = build(examples, WORDPIECE, squad20, 64, train=False)
    assert figures["rows"] == 1 and not features.arrays["may_start"].any()


def test_an_answer_inside_a_token_comes_back_with_the_whole_token():
    vocabulary = wordpiece(["1990s", "in"])
    assert back_and_forth(vocabulary, "in 1990s", 5, 7) == "1990s"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text("abé東🏈1.,'“ \n\t", min_size=1, max_size=6), min_size=1, max_size=12),
    st.data(),
)
def test_tokens_that_touch_the_gold_span_hold_it(pieces, data):
    """With both vocabularies the text that comes back contains the gold text and no more than the
    tokens at its two ends add."""
    text = " ".join(pieces)
    visible = [i for i, character in enumerate(text) if not character.isspace()]
    if not visible:
        return
    start, end = sorted((data.draw(st.sampled_from(visible)), data.draw(st.sampled_from(visible))))
    gold = text[start : end + 1]
    for vocabulary in (BYTE_BPE, WORDPIECE):
        ids, offsets = vocabulary.encode_with_offsets([text])
        context = Context.of(text, ids[0], offsets[0])
        first, last = context.span(start, end + 1)
        assert gold in context.answer(first, last)
        assert context.characters[first, 1] > start and context.characters[last, 0] <= end
