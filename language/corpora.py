"""The five corpora: documents in five registers, as rows of the columns that the real ones have.

In: a world seed and a number of characters. Out: columns, among them `text`. Document number i is
the same however many follow it. Every document has facts of its own: what Anna bought in one book
says nothing about what she bought in another, so it must be read and cannot be memorised.
"""

from collections.abc import Callable

from language import lexicon
from language.draw import Draw
from language.registers import REGISTERS
from language.relations import RELATIONS, STATES, Fact, capital, draw_fact, indefinite
from language.scenes import Teller
from language.world import corpus_pools

CORPORA = tuple(REGISTERS)


def corpus_columns(name: str, seed: int, characters: int) -> dict[str, list]:
    """Columns of a corpus of at least `characters` characters."""
    columns: dict[str, list] = {}
    written, number = 0, 0
    while written < characters:
        row = document(name, seed, number)
        for column, value in row.items():
            columns.setdefault(column, []).append(value)
        written += len(row["text"])
        number += 1
    return columns


def document(name: str, seed: int, number: int) -> dict[str, str]:
    """One document of a corpus: its text, title and what else its real counterpart has."""
    draw = Draw("document", seed, name, number)
    teller = Teller(draw, corpus_pools(seed), REGISTERS[name])
    return WRITERS[name](teller, number)


def book(teller: Teller, number: int) -> dict[str, str]:
    """Chapters about one circle of people, who keep their town, work and animals."""
    draw = teller.draw
    circle = teller.cast(6)
    known = [
        draw_fact(draw, teller.pools, person, RELATIONS[name], circle)
        for person in circle
        for name in STATES
    ]
    paragraphs = []
    for chapter in range(draw.between(2, 4)):
        paragraphs.append(f"Chapter {chapter + 1}")
        for _ in range(draw.between(3, 6)):
            cast = draw.sample(circle, 2)
            paragraphs.append(_paragraph(teller.scene(cast, 2, draw.between(1, 3), [*known])))
    hero = circle[0].name
    title = f"{hero} and the {draw.pick(teller.pools.values['animals'])}"
    return {"text": "\n\n".join(paragraphs), "title": title, "author": circle[-1].name}


def article(teller: Teller, number: int) -> dict[str, str]:
    """An entry about a person, or about a kind of animal, thing or food and who had one."""
    draw, pools = teller.draw, teller.pools
    person, *others = teller.cast(3)
    sections, known = [], []
    if draw.chance(0.7):
        title = f"{person.name} of {draw.frequent(pools.values['towns'])}"
        sections.append(_paragraph(teller.scene([person], 4, draw.between(1, 3), known)))
    else:
        noun = draw.pick(tuple(pools.kinds))
        title = noun.capitalize()
        sections.append(_paragraph(about_noun(teller, noun)))
    for heading in draw.sample(("Life", "History", "Work", "Travels", "Letters"), 2):
        sections.append(heading)
        more = teller.scene([person, others[0]], 2, draw.between(1, 3), known)
        sections.append(_paragraph(more))
    url = f"https://example.org/wiki/{title.replace(' ', '_')}"
    return {"id": str(number), "url": url, "title": title, "text": "\n\n".join(sections)}


def about_noun(teller: Teller, noun: str) -> list[str]:
    """What a noun means: its hypernym, what its kind does, who else is of its kind."""
    draw, kind = teller.draw, teller.pools.kinds[noun]
    first, second = draw.sample(
        [other for other in teller.pools.siblings(noun) if other != noun], 2
    )
    habits = draw.sample(lexicon.HABITS[kind], 2)
    colour = draw.pick(teller.pools.values["colours"])
    return [
        f"{indefinite(noun).capitalize()} is {indefinite(kind)}.",
        f"Like the {first} and the {second}, the {noun} belongs to the {kind} family.",
        f"The oldest {noun} in the picture {habits[0]}.",
        f"Every {kind} of this sort {habits[1]}.",
        f"{capital(indefinite(f'{colour} {noun}'))} is rare.",
    ]


def report(teller: Teller, number: int) -> dict[str, str]:
    """A dated report: what happened to two or three people, and what they said of it."""
    draw = teller.draw
    town = draw.frequent(teller.pools.values["towns"])
    date = f"{draw.between(1, 28)} {draw.pick(lexicon.MONTHS)}"
    cast = teller.cast(draw.between(2, 3))
    known: list[Fact] = []
    sentences = teller.scene(cast, 2, draw.between(1, 3), known)
    more = teller.scene(cast[:2], 2, draw.between(1, 2), known)
    text = f"{town.upper()}, {date}. {_paragraph(sentences)}\n\n{_paragraph(more)}"
    url = f"https://example.org/news/{number}"
    return {"text": text, "title": f"News from {town}", "url": url}


def page(teller: Teller, number: int) -> dict[str, str]:
    """A page with a story, questions and answers about it, and instructions."""
    draw = teller.draw
    cast = teller.cast(3)
    facts = teller.facts(cast, 2)
    asked = [line for fact in draw.sample(facts, 4) for line in teller.converse(fact, cast)]
    parts = [
        _paragraph(teller.tell(facts, habits=True)),
        "Questions and answers",
        _paragraph(asked),
    ]
    if draw.chance(0.5):
        parts += [f"How to look after {indefinite(noun := draw.pick(tuple(teller.pools.kinds)))}"]
        parts.append(_paragraph(instructions(teller, noun)))
    parts.append(_paragraph([teller.judge(draw.pick(cast)) for _ in range(draw.between(1, 3))]))
    url = f"https://example.org/page/{number}"
    return {"text": "\n\n".join(parts), "title": f"All about {cast[0].name}", "url": url}


def instructions(teller: Teller, noun: str) -> list[str]:
    """Steps that name a noun and then only its hypernym."""
    draw, kind = teller.draw, teller.pools.kinds[noun]
    where = draw.sample(teller.pools.values["places"], 2)
    days = draw.sample(teller.pools.values["days"], 2)
    return [
        f"Buy a good {noun} near the {where[0]} on {days[0]}.",
        f"Do not put the {kind} on the floor.",
        f"Show the {noun} to a friend at the {where[1]}.",
        f"Look at the {kind} again on {days[1]}.",
        f"If the {kind} {draw.pick(lexicon.HABITS[kind])}, you have done well.",
    ]


def tale(teller: Teller, number: int) -> dict[str, str]:
    """A short tale about two people, with an opening and an end."""
    draw = teller.draw
    cast = teller.cast(2)
    hero = cast[0]
    child = "girl" if hero.pronoun == "she" else "boy"
    opening = f"Once upon a time there was a {child} called {hero.name}."
    known: list[Fact] = []
    parts = [_paragraph([opening, *teller.scene(cast, 3, draw.between(1, 3), known)])]
    if draw.chance(0.6):
        parts.append(_paragraph(teller.scene(cast, 2, draw.between(1, 3), known)))
    parts.append("And if they have not gone away, they are still there today.")
    title = f"The tale of {hero.name}"
    return {"text": "\n\n".join(parts), "title": title}


def _paragraph(sentences: list[str]) -> str:
    return " ".join(sentences)


WRITERS: dict[str, Callable[[Teller, int], dict[str, str]]] = {
    "books": book,
    "wiki": article,
    "news": report,
    "web": page,
    "stories": tale,
}
