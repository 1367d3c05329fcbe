"""The language's minimal pairs: good sentences are its own, bad ones differ in one thing only."""

import re
from collections import Counter
from itertools import pairwise

import pytest

from language import lexicon
from language.corpora import corpus_columns
from language.grammar import NAMES, PARADIGMS
from language.relations import RELATIONS
from language.write import task_table

ROWS = task_table("grammar", 0, "train", 4000).to_pylist()
BASES = {base.split()[0] for relation in RELATIONS.values() for _, base in relation.forms}
PASTS = {past.split()[0] for relation in RELATIONS.values() for past, _ in relation.forms}


def of(paradigm: str) -> list[dict]:
    return [row for row in ROWS if row["UID"] == paradigm]


def words(sentence: str) -> list[str]:
    return re.findall(r"\w+", sentence)


def test_columns_are_those_of_blimp_and_paradigms_take_turns():
    assert ROWS[0] == {
        "sentence_good": "Most writers agree that Max discovered a garment.",
        "sentence_bad": "Most writers agree that Max discovered an garment.",
        "field": "morphology",
        "linguistics_term": "article",
        "UID": "a_before_consonant",
        "pair_id": 0,
    }
    assert [row["UID"] for row in ROWS[:20]] == [*NAMES, *NAMES]
    assert Counter(row["linguistics_term"] for row in ROWS) == {
        "article": 800,
        "pronoun": 800,
        "verb_form": 1200,
        "word_order": 1200,
    }
    for name, (field, term, _) in PARADIGMS.items():
        assert {(row["field"], row["linguistics_term"]) for row in of(name)} == {(field, term)}


@pytest.mark.parametrize("paradigm", NAMES)
def test_a_pair_differs_in_one_word_or_in_the_place_of_two_neighbours(paradigm):
    for row in of(paradigm):
        good, bad = row["sentence_good"].split(), row["sentence_bad"].split()
        assert len(good) == len(bad)
        places = [place for place in range(len(good)) if good[place] != bad[place]]
        if row["linguistics_term"] != "word_order":
            assert len(places) == 1, row
            continue
        first, second = places
        assert second == first + 1, row
        swapped = [words(text)[0] for text in (bad[second], bad[first])]
        assert [words(text)[0] for text in (good[first], good[second])] == swapped, row
        assert sorted(words(row["sentence_good"])) == sorted(words(row["sentence_bad"]))


def is_wrong(paradigm: str, sentence: str) -> bool:
    """Whether a sentence has the mistake of a paradigm, told without how pairs are made."""
    said = words(sentence)
    neighbours = list(pairwise(said))
    after = dict(neighbours)
    names = {*lexicon.WOMEN, *lexicon.MEN}
    adjectives = {*lexicon.COLOURS, *lexicon.TRAITS.values()}
    if paradigm == "a_before_consonant":
        return any(one == "an" and other[0] not in "aeiou" for one, other in neighbours)
    if paradigm == "an_before_vowel":
        return any(one == "a" and other[0] in "aeiou" for one, other in neighbours)
    if paradigm == "past_in_statement":
        return not {"did", *PASTS} & {after.get(one) for one in said if one in names}
    if paradigm.startswith("infinitive"):
        return not BASES.union({"have"}) & {*said}
    if paradigm == "subject_after_did":
        return after.get("did") not in names
    if paradigm == "not_after_did":
        return after.get("not") == "did"
    if paradigm == "adjective_before_noun":
        return not any(one == "a" and other in adjectives for one, other in neighbours)
    women = said[0] in lexicon.WOMEN
    return ("he" in said) == women


@pytest.mark.parametrize("paradigm", NAMES)
def test_only_the_bad_sentence_has_the_mistake(paradigm):
    assert all(is_wrong(paradigm, row["sentence_bad"]) for row in of(paradigm))
    assert not any(is_wrong(paradigm, row["sentence_good"]) for row in of(paradigm))


def shape(sentence: str) -> str:
    """A sentence without what is drawn from classes of words."""
    classes = [
        {*lexicon.WOMEN, *lexicon.MEN},
        {noun for group in (lexicon.GOODS, lexicon.ANIMALS, lexicon.FOODS) for nouns in
         group.values() for noun in nouns} | {*lexicon.GOODS, *lexicon.ANIMALS, *lexicon.FOODS},
        {*lexicon.COLOURS, *lexicon.TRAITS.values()},
        {*lexicon.JOBS}, {*lexicon.PLACES}, {*lexicon.DAYS},
        {stem + ending for stem in lexicon.STEMS for ending in lexicon.ENDINGS},
    ]  # fmt: skip

    def of_class(match: re.Match) -> str:
        word = match[0]
        return next((str(n) for n, members in enumerate(classes) if word in members), word)

    return re.sub(r"\w+", of_class, sentence)


def test_good_sentences_are_shaped_as_those_of_the_corpora_and_bad_ones_never():
    texts = [
        text
        for corpus in ("books", "wiki")
        for text in corpus_columns(corpus, 0, 1_500_000)["text"]
    ]
    corpora = Counter(shape(one) for text in texts for one in re.split(r"(?<=[.?!])\s+", text))
    shapes = {name: Counter(shape(row["sentence_good"]) for row in of(name)) for name in NAMES}
    for name, counted in shapes.items():
        known = sum(count for one, count in counted.items() if one in corpora)
        assert known >= 0.9 * counted.total(), name
    for row in ROWS:
        assert row["linguistics_term"] in ("article", "pronoun") or (
            shape(row["sentence_bad"]) not in corpora
        ), row
    sentences = {one for text in texts for one in re.split(r"(?<=[.?!])\s+", text)}
    assert not sentences & {row["sentence_bad"] for row in ROWS}


def test_pairs_depend_on_the_world():
    other = task_table("grammar", 1, "train", 10).to_pylist()
    assert other != ROWS[:10]
    assert task_table("grammar", 0, "train", 10).to_pylist() == ROWS[:10]
