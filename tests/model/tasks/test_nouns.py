"""Noun phrases by the rules on whole sentences, from spaCy's documents, and missing spaCy."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from tasks_toy import make_task

from model.tasks.nouns import phrase_finder, rule_phrases, spacy_phrases
from study.errors import StudyError

SENTENCES = [
    (
        "The city councilmen refused the demonstrators a permit because they feared violence.",
        "The city councilmen|city councilmen|the demonstrators|demonstrators|a permit|permit|"
        "violence",
    ),
    (
        "The trophy doesn't fit into the brown suitcase because it is too small.",
        "The trophy|trophy|the brown suitcase|brown suitcase",
    ),
    (
        "Sam's drawing was hung just above Tina's and it did look much better.",
        "Sam|Sam's drawing|drawing|Tina",
    ),
    (
        "Mark was close to Mr. Singer 's heels. He heard him calling for the captain.",
        "Mark|Mr. Singer|Mr. Singer 's heels|heels|the captain|captain",
    ),
    ("The dog chases the cat because it is hungry.", "The dog|dog|the cat|cat"),
    (
        "The teacher told the old man a story when he came.",
        "The teacher|teacher|the old man|old man|a story|story",
    ),
    ("Pete envies Martin because he is very successful.", "Pete|Martin"),
    (
        "Fred and Billy can't play; the broken toy was theirs.",
        "Fred|Billy|the broken toy|broken toy",
    ),
    (
        "I poured water from the bottle into the cup until it was full.",
        "water|the bottle|bottle|the cup|cup",
    ),
    (
        "Her good friend Lucy cooked two large fish with fresh lemons.",
        "Her good friend Lucy|good friend Lucy|Lucy|two large fish|large fish|fresh lemons",
    ),
    (
        "Ivan saw Edith at the bakery when he ate a bean.",
        "Ivan|Edith|the bakery|bakery|a bean|bean",
    ),
    ("They finally gave it to him, and he was happy.", ""),
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), SENTENCES, ids=[text[:30] for text, _ in SENTENCES])
def test_rules(text, expected):
    found = [text[start:end] for start, end in rule_phrases(text)]
    assert sorted(found) == sorted(filter(None, expected.split("|")))


class Token(SimpleNamespace):
    """A token as spaCy has it."""


def parsed(*words: tuple[str, str], chunks: list[tuple[int, int]]):
    """Something like a parsed document: words with their tags, chunks by first and last word."""
    tokens, place = [], 0
    for text, tag in words:
        tokens.append(Token(text=text, pos_=tag, idx=place))
        place += len(text) + 1

    class Chunk(list):
        start_char = property(lambda self: self[0].idx)
        end_char = property(lambda self: self[-1].idx + len(self[-1].text))

    class Document(list):
        noun_chunks = property(
            lambda self: [Chunk(self[first : last + 1]) for first, last in chunks]
        )

    return Document(tokens)


def test_spacy_gives_chunks_and_runs_of_nouns_without_pronouns():
    document = parsed(
        ("The", "DET"),
        ("red", "ADJ"),
        ("fire", "NOUN"),
        ("engine", "NOUN"),
        ("hit", "VERB"),
        ("it", "PRON"),
        ("near", "ADP"),
        ("New", "PROPN"),
        ("York", "PROPN"),
        chunks=[(0, 3), (5, 5), (7, 8)],
    )
    text = "The red fire engine hit it near New York"
    assert [text[a:b] for a, b in spacy_phrases(document)] == [
        "The red fire engine",
        "fire engine",
        "New York",
    ]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            None,
            r"candidates: spaCy is not installed \(.*\); run `pip install spacy` and `python -m",
        ),
        ("empty", "candidates: spaCy has no model en_core_web_lg; run `pip install spacy` and"),
    ],
)
def test_missing_spacy_is_one_line_that_says_what_to_install(monkeypatch, module, message):
    if module:
        module = ModuleType("spacy")

        def load(name):
            raise OSError(f"[E050] Can't find model '{name}'.\nIt doesn't seem to be a package.")

        module.load = load
    monkeypatch.setitem(sys.modules, "spacy", module)
    with pytest.raises(StudyError, match=f"^task wsc: {message}") as error:
        phrase_finder(make_task("wsc", candidates="spacy"))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("or choose candidates: rules")


def test_the_rules_need_nothing():
    assert phrase_finder(make_task("wsc", candidates="rules")) == (rule_phrases, "rules")
