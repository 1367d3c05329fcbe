"""Tasks on pronouns: WNLI (does the sentence with the pronoun replaced follow?) and WSC (spans).

In: world seed, split, number of the item. Out: one row of the task. Two women or two men did
different things, and one of them is spoken of again: the pronoun fits both names, and only what was
told of them says whom it means.
"""

from language.pairs import teller_of
from language.relations import RELATIONS, capital, draw_fact, predicate, state
from language.scenes import NAMES_OF_RELATIONS, Teller
from language.world import Person

AGAIN = (
    "{}, {}, and everyone knew that",
    "{}, {}, and it was true that",
    "{} and {}, and people said that",
)


def scene(teller: Teller) -> tuple[str, str, str, Person, Person]:
    """Main clause, pronoun, predicate, whom the pronoun means, the other."""
    draw, people = teller.draw, teller.pools.people
    first = draw.frequent(people)
    alike = [one for one in people if one.pronoun == first.pronoun and one is not first]
    cast = [first, draw.pick(alike)]
    names = draw.sample([name for name in NAMES_OF_RELATIONS if name != "meet"], 2)
    facts = [
        draw_fact(draw, teller.pools, person, RELATIONS[name], cast)
        for person, name in zip(cast, names, strict=True)
    ]
    told = [state(fact.person.name, fact, teller.form()) for fact in facts]
    meant, other = draw.shuffled(facts)
    main = capital(draw.pick(AGAIN).format(*told))
    said = predicate(meant, teller.form())
    return main, meant.person.pronoun, said, meant.person, other.person


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
