"""Minimal pairs of the language: a sentence as the corpora have it, and the same with one mistake.

In: world seed, split, number of the pair. Out: one row in BLiMP's columns. The sentences are what a
`Teller` says of random facts of the whole world, so that the good ones are the language's own. In
the bad one a single word is another, or two neighbours have changed places, such that no sentence
of the language is like it. The paradigms take turns.
"""

import re
from collections.abc import Callable

from language import lexicon
from language.draw import Draw
from language.registers import REGISTERS
from language.relations import RELATIONS, Fact, ask, draw_fact, indefinite
from language.scenes import NAMES_OF_RELATIONS, Teller
from language.world import corpus_pools

Pair = tuple[str, str]
WITH_ARTICLE = tuple(name for name, relation in RELATIONS.items() if relation.article == "a")
# Of these a person is glad in a sentence that names nobody else, nor a noun that has a kind.
GLAD_OF = ("live", "work", "visit", "arrive")
PAST = {
    base.split()[0]: past.split()[0]
    for relation in RELATIONS.values()
    for past, base in relation.forms
} | {"have": "had"}
ADJECTIVES = {*lexicon.COLOURS, *lexicon.TRAITS.values()}
OBJECT = re.compile(r" (an?) (\w+)")


def fact_of(teller: Teller, names: tuple[str, ...] = NAMES_OF_RELATIONS) -> Fact:
    """A fact of one of these relations about somebody."""
    draw, cast = teller.draw, teller.cast(2)
    return draw_fact(draw, teller.pools, cast[0], RELATIONS[draw.pick(names)], cast)


def article(teller: Teller, right: str) -> Pair | None:
    """`Everyone knew that Anna saw an owl.` with `a owl`, or with `right` a the other way round."""
    fact = fact_of(teller, WITH_ARTICLE)
    good = teller.repeat(fact, [fact.person])
    found = OBJECT.search(good)
    if found[1] != right:
        return None
    wrong = "a" if right == "an" else "an"
    return good, good.replace(f" {right} {found[2]}", f" {wrong} {found[2]}", 1)


def statement(teller: Teller) -> Pair:
    """`That morning Anna bought a red violin.` with `buy`."""
    fact = fact_of(teller)
    (good,) = teller.tell([fact], habits=True)
    past, base = next(
        forms for forms in fact.relation.forms if f"{fact.person.name} {forms[0]} " in good
    )
    name = fact.person.name
    return good, good.replace(f"{name} {past} ", f"{name} {base} ", 1)


def denial(teller: Teller) -> tuple[str, str]:
    """`Anna did not buy a flute, but a violin.` or without its end, and the verb in it."""
    fact = fact_of(teller)
    while " did not " not in (told := teller.contrast(fact)):
        pass
    told = told.partition(". ")[0].removesuffix(".") + "."
    return told, told.split(" did not ")[1].split()[0]


def verb_after_not(teller: Teller) -> Pair:
    """`Anna did not buy a flute.` with `bought`."""
    good, base = denial(teller)
    return good, good.replace(f"did not {base} ", f"did not {PAST[base]} ", 1)


def place_of_not(teller: Teller) -> Pair:
    """`Anna did not buy a flute.` with `not did`."""
    good, _ = denial(teller)
    return good, good.replace("did not", "not did", 1)


def question(teller: Teller) -> tuple[str, str, str]:
    """`What did Anna buy?`, the name and the verb in it."""
    fact = fact_of(teller)
    asked, name = ask(fact.person.name, fact.relation, teller.form()), fact.person.name
    return asked, name, re.split(r"\W", asked.partition(f" did {name} ")[2])[0]


def verb_in_question(teller: Teller) -> Pair:
    """`What did Anna buy?` with `bought`."""
    good, name, base = question(teller)
    return good, good.replace(f" {name} {base}", f" {name} {PAST[base]}", 1)


def place_of_did(teller: Teller) -> Pair:
    """`What did Anna buy?` with `Anna did`."""
    good, name, _ = question(teller)
    return good, good.replace(f" did {name} ", f" {name} did ", 1)


def place_of_adjective(teller: Teller) -> Pair | None:
    """`Anna bought a red violin.` with `a violin red`."""
    (good,) = teller.tell([fact_of(teller, WITH_ARTICLE)], habits=True)
    found = re.search(r" a (\w+) (\w+)", good)
    # `a axe red` would be wrong in two ways.
    if not found or found[1] not in ADJECTIVES or indefinite(found[2])[:2] == "an":
        return None
    return good, good.replace(f" a {found[1]} {found[2]}", f" a {found[2]} {found[1]}", 1)


def pronoun(teller: Teller, right: str) -> Pair | None:
    """`Anna was glad that she lived in Oakford.` with `he`; `right` is she or he.

    The language has nobody else in such a sentence whom a pronoun could mean.
    """
    fact = fact_of(teller, GLAD_OF)
    if fact.person.pronoun != right:
        return None
    good = teller.refer(fact)
    return good, good.replace(f" {right} ", " he " if right == "she" else " she ", 1)


# Name -> field, linguistics term, how a pair is made; None where the draw did not fit.
PARADIGMS: dict[str, tuple[str, str, Callable[[Teller], Pair | None]]] = {
    "a_before_consonant": ("morphology", "article", lambda teller: article(teller, "a")),
    "past_in_statement": ("morphology", "verb_form", statement),
    "subject_after_did": ("syntax", "word_order", place_of_did),
    "pronoun_of_woman": ("morphology", "pronoun", lambda teller: pronoun(teller, "she")),
    "an_before_vowel": ("morphology", "article", lambda teller: article(teller, "an")),
    "infinitive_after_not": ("morphology", "verb_form", verb_after_not),
    "not_after_did": ("syntax", "word_order", place_of_not),
    "pronoun_of_man": ("morphology", "pronoun", lambda teller: pronoun(teller, "he")),
    "infinitive_in_question": ("morphology", "verb_form", verb_in_question),
    "adjective_before_noun": ("syntax", "word_order", place_of_adjective),
}
NAMES = tuple(PARADIGMS)


def grammar(seed: int, split: str, number: int) -> dict:
    """A minimal pair; the paradigm is that of the number."""
    draw = Draw("grammar", seed, split, number)
    register = REGISTERS[draw.pick(("books", "wiki"))]
    teller = Teller(draw, corpus_pools(seed), register)
    paradigm = NAMES[number % len(NAMES)]
    field, term, make = PARADIGMS[paradigm]
    while (pair := make(teller)) is None:
        pass
    return {
        "sentence_good": pair[0],
        "sentence_bad": pair[1],
        "field": field,
        "linguistics_term": term,
        "UID": paradigm,
        "pair_id": number // len(NAMES),
    }
