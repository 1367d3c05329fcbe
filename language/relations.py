"""Facts and the clauses that state, restate, deny and ask for them.

A *fact* is a person, a relation and a value: Anna bought a red violin. In this world a person has
one value per relation, so that another value contradicts, and a relation that a text does not
mention is open. All functions return English without the final stop; subjects come as text, so
that a name, a pronoun or a noun phrase may stand there.
"""

from dataclasses import dataclass

from language.draw import Draw
from language.world import Person, Pools


@dataclass(frozen=True)
class Relation:
    """What can hold between a person and a value.

    `forms` are the ways to say it, synonyms, each as past tense and infinitive, before the value;
    `questions` ask for the value, one per form, with {} for the person; `answer` is put before the
    value of a short answer. `article` is what stands before the value: a, the or nothing.
    """

    name: str
    values: str
    forms: tuple[tuple[str, str], ...]
    questions: tuple[str, ...]
    article: str = ""
    answer: str = ""


RELATIONS = {
    relation.name: relation
    for relation in (
        Relation(
            "live",
            "towns",
            (("lived in", "live in"), ("came from", "come from")),
            ("Where did {} live?", "Which town did {} come from?"),
            answer="in ",
        ),
        Relation(
            "work",
            "jobs",
            (("worked as", "work as"), ("earned money as", "earn money as")),
            ("What did {} work as?", "What job did {} have?"),
            "a",
        ),
        Relation(
            "buy",
            "goods",
            (("bought", "buy"), ("purchased", "purchase")),
            ("What did {} buy?", "Which thing did {} purchase?"),
            "a",
        ),
        Relation(
            "find",
            "goods",
            (("found", "find"), ("discovered", "discover")),
            ("What did {} find?", "Which thing did {} discover?"),
            "a",
        ),
        Relation(
            "lose",
            "goods",
            (("lost", "lose"), ("mislaid", "mislay")),
            ("What did {} lose?", "Which thing did {} mislay?"),
            "a",
        ),
        Relation(
            "mend",
            "goods",
            (("mended", "mend"), ("repaired", "repair")),
            ("What did {} mend?", "Which thing did {} repair?"),
            "a",
        ),
        Relation(
            "keep",
            "animals",
            (("kept", "keep"), ("looked after", "look after")),
            ("What did {} keep?", "Which animal did {} look after?"),
            "a",
        ),
        Relation(
            "see",
            "animals",
            (("saw", "see"), ("noticed", "notice")),
            ("What did {} see?", "Which animal did {} notice?"),
            "a",
        ),
        Relation(
            "eat",
            "foods",
            (("ate", "eat"), ("swallowed", "swallow")),
            ("What did {} eat?", "Which food did {} swallow?"),
            "a",
        ),
        Relation(
            "visit",
            "places",
            (("went to", "go to"), ("visited", "visit")),
            ("Where did {} go?", "Which place did {} visit?"),
            "the",
            answer="to ",
        ),
        Relation(
            "arrive",
            "days",
            (("arrived on", "arrive on"), ("came home on", "come home on")),
            ("When did {} arrive?", "On which day did {} come home?"),
            answer="on ",
        ),
        Relation(
            "meet",
            "people",
            (("met", "meet"), ("ran into", "run into")),
            ("Whom did {} meet?", "Which person did {} run into?"),
        ),
    )
}
STATES = ("live", "work", "keep")  # what stays true through a book
COLOURED = "goods"
COLOUR = 0.5  # of facts about these


@dataclass(frozen=True, slots=True)
class Fact:
    """Person, relation and value; goods may have a colour ('' for none)."""

    person: Person
    relation: Relation
    value: str
    colour: str = ""


def draw_fact(
    draw: Draw, pools: Pools, person: Person, relation: Relation, cast: list[Person]
) -> Fact:
    """A random fact; whom a person meets is one of `cast` if there are others in it."""
    if relation.values == "people":
        others = cast if len(cast) > 1 else pools.people
        return Fact(person, relation, draw.other(others, person).name)
    value = draw.frequent(pools.values[relation.values])
    if relation.values == COLOURED and draw.unit() < COLOUR:
        return Fact(person, relation, value, draw.frequent(pools.values["colours"]))
    return Fact(person, relation, value)


def indefinite(noun: str) -> str:
    """The noun with a or an."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def object_of(relation: Relation, value: str, colour: str = "") -> str:
    """The value as it follows the verb."""
    if relation.article == "a":
        return indefinite(f"{colour} {value}" if colour else value)
    return f"the {value}" if relation.article else value


def state(subject: str, fact: Fact, form: int = 0) -> str:
    """Anna bought a red violin."""
    relation = fact.relation
    return f"{subject} {relation.forms[form][0]} {object_of(relation, fact.value, fact.colour)}"


def predicate(fact: Fact, form: int = 0) -> str:
    """bought a red violin."""
    relation = fact.relation
    return f"{relation.forms[form][0]} {object_of(relation, fact.value, fact.colour)}"


def deny(subject: str, relation: Relation, value: str, form: int = 0, colour: str = "") -> str:
    """Anna did not buy a red violin."""
    return f"{subject} did not {relation.forms[form][1]} {object_of(relation, value, colour)}"


def ask(name: str, relation: Relation, form: int = 0) -> str:
    """What did Anna buy?"""
    return relation.questions[form].format(name)


def ask_who(fact: Fact, form: int = 0) -> str:
    """Who bought the violin?"""
    return f"Who {fact.relation.forms[form][0]} {definite(fact)}?"


def short_answer(fact: Fact) -> str:
    """a red violin; in Oakford."""
    relation = fact.relation
    return relation.answer + object_of(relation, fact.value, fact.colour)


def definite(fact: Fact) -> str:
    """The value as something known: the violin, Oakford."""
    if fact.relation.article and fact.relation.values != "jobs":
        return f"the {fact.value}"
    return object_of(fact.relation, fact.value)


def capital(text: str) -> str:
    """Text with a capital at its beginning."""
    return text[0].upper() + text[1:]
