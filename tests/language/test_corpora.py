"""The generated corpora: what documents say, in which words, how fast, always the same."""

import re
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from language import lexicon
from language.corpora import CORPORA, corpus_columns, document
from language.draw import Draw
from language.registers import BOOKS
from language.relations import RELATIONS, Fact, ask, ask_who, deny, short_answer, state
from language.scenes import Teller
from language.world import Person, corpus_pools
from model.text.splitting import split_with_sentencex

ANNA = Person("Anna", "she")


def test_clauses_of_a_fact():
    fact = Fact(ANNA, RELATIONS["buy"], "organ", "red")
    assert state("Anna", fact) == "Anna bought a red organ"
    assert state("she", fact, 1) == "she purchased a red organ"
    assert deny("Anna", fact.relation, "flute", 1) == "Anna did not purchase a flute"
    assert ask("Anna", fact.relation, 1) == "Which thing did Anna purchase?"
    assert ask_who(fact) == "Who bought the organ?"
    assert short_answer(fact) == "a red organ"
    assert state("Anna", Fact(ANNA, RELATIONS["eat"], "apple")) == "Anna ate an apple"
    assert short_answer(Fact(ANNA, RELATIONS["live"], "Oakford")) == "in Oakford"
    assert ask_who(Fact(ANNA, RELATIONS["work"], "baker")) == "Who worked as a baker?"


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_a_scene_never_contradicts_itself(number):
    teller = Teller(Draw("scene", number), corpus_pools(0), BOOKS)
    known = []
    cast = teller.cast(3)
    for _ in range(3):
        teller.facts(cast, 3, known)
    assert len({(fact.person, fact.relation.name) for fact in known}) == len(known)
    assert all(fact.value != fact.person.name for fact in known)


@pytest.mark.parametrize("name", CORPORA)
def test_a_document_depends_on_seed_and_number_only(name):
    few, many = corpus_columns(name, 0, 1_000), corpus_columns(name, 0, 20_000)
    assert many["text"][: len(few["text"])] == few["text"]
    assert sum(map(len, many["text"])) >= 20_000
    assert document(name, 1, 0) != document(name, 0, 0)


def test_corpora_have_the_columns_of_the_real_ones():
    columns = {name: set(document(name, 0, 0)) for name in CORPORA}
    assert columns == {
        "books": {"text", "title", "author"},
        "wiki": {"id", "url", "title", "text"},
        "news": {"text", "title", "url"},
        "web": {"text", "title", "url"},
        "stories": {"text", "title"},
    }


@pytest.mark.parametrize("name", CORPORA)
def test_text_looks_like_text(name):
    texts = corpus_columns(name, 0, 200_000)["text"]
    sentences = [sentence for text in texts for sentence in split_with_sentencex(text, "en")]
    lengths = np.array([len(re.findall(r"\w+", sentence)) for sentence in sentences])
    assert 5 < lengths.mean() < 10
    assert lengths.std() > 2 and lengths.max() >= 15
    words = Counter(re.findall(r"[a-z]+", " ".join(texts).lower()))
    assert 450 < len(words) < 1500
    ranked = np.array(sorted(words.values(), reverse=True)) / sum(words.values())
    # Zipf: a straight line of slope about -1 through the ranks of the logarithms.
    ranks = np.arange(10, 400)
    slope = np.polyfit(np.log(ranks), np.log(ranked[ranks]), 1)[0]
    assert -1.4 < slope < -0.6


def test_articles_agree():
    text = " ".join(text for name in CORPORA for text in corpus_columns(name, 0, 50_000)["text"])
    assert re.findall(r"\b[Aa] [aeiou]\w*", text) == []
    assert re.findall(r"\b[Aa]n [^aeiou\W]\w*", text) == []


def test_books_come_back_to_their_circle():
    text = document("books", 0, 0)["text"]
    names = {person.name for person in corpus_pools(0).people}
    chapters = text.split("Chapter ")[1:]
    casts = [names & set(re.findall(r"[A-Z][a-z]+", chapter)) for chapter in chapters]
    assert len(chapters) >= 2
    assert all(
        len(cast & set().union(*casts[:i], *casts[i + 1 :])) >= 2 for i, cast in enumerate(casts)
    )


def test_sentiment_words_of_an_opinion_agree():
    teller = Teller(Draw("opinions"), corpus_pools(0), BOOKS)
    glad = re.compile("|".join(lexicon.GLAD))
    for _ in range(300):
        sentence = teller.judge(ANNA)
        words = set(re.findall(r"[a-z]+", re.sub(r"not \w+", "", sentence)))
        good, bad = words & set(lexicon.POSITIVE), words & set(lexicon.NEGATIVE)
        assert good or (bad and not (good and bad))
        if not sentence.startswith("It was"):
            assert bool(glad.search(sentence)) == bool(good)


@pytest.mark.slow
def test_five_megabytes_per_second():
    start = time.process_time()
    written = sum(sum(map(len, corpus_columns(n, 0, 1_000_000)["text"])) for n in CORPORA)
    assert written / (time.process_time() - start) > 5e6
