"""Tasks on pronouns: WNLI (does the sentence with the pronoun replaced follow?) and WSC (spans).

In: world seed, split, number of the item. Out: one row of the task. A woman and a man do something
together; the pronoun of the last clause fits one of them, and only who knows the names knows whom.
"""

from language.pairs import teller_of
from language.relations import RELATIONS, draw_fact, predicate
from language.scenes import NAMES_OF_RELATIONS, Teller
from language.world import Person

MEETINGS = (
    "{} saw {} at the {} when",
    "{} waved to {} near the {} before",
    "{} wrote to {} from the {} after",
    "{} thanked {} behind the {} because",
)


def scene(teller: Teller) -> tuple[str, str, str, Person, Person]:
    """Main clause, pronoun, predicate, whom the pronoun means, the other."""
    draw, people = teller.draw, teller.pools.people
    first = draw.frequent(people)
    second = draw.pick([person for person in people if person.pronoun != first.pronoun])
    place = draw.pick(teller.pools.values["places"])
    main = draw.pick(MEETINGS).format(first.name, second.name, place)
    meant, other = draw.shuffled([first, second])
    relation = RELATIONS[draw.other(NAMES_OF_RELATIONS, "meet")]
    fact = draw_fact(draw, teller.pools, meant, relation, [first, second])
    return main, meant.pronoun, predicate(fact, teller.form()), meant, other


def wnli(seed: int, split: str, number: int) -> dict:
    """Not entailed 0, entailed 1."""
    teller, label = teller_of("wnli", seed, split, number), number % 2
    main, pronoun, said, meant, other = scene(teller)
    return {
        "sentence1": f"{main} {pronoun} {said}.",
        "sentence2": f"{(meant if label else other).name} {said}.",
        "label": label,
    }


def wsc(seed: int, split: str, number: int) -> dict:
    """Whether span 2, the pronoun, means span 1, a name; indices count words from 0."""
    teller, label = teller_of("wsc", seed, split, number), number % 2
    main, pronoun, said, meant, other = scene(teller)
    name = (meant if label else other).name
    return {
        "text": f"{main} {pronoun} {said}.",
        "span1_index": main.split().index(name),
        "span2_index": len(main.split()),
        "span1_text": name,
        "span2_text": pronoun,
        "label": label,
    }
