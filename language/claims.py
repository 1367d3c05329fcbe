"""Claims about facts: what follows, what is open, what is false.

In: draws, pools, facts, a class. Out: clauses. The corpora use them with a verdict ("that is
false"), MNLI and RTE as hypotheses. What makes the class is a relation between claim and facts
(same person? same verb? same value or kind? a not?), never a word of the claim alone: denials,
synonyms and hypernyms are as frequent in every class.
"""

from language import lexicon
from language.draw import Draw
from language.relations import RELATIONS, Fact, Relation, deny, draw_fact, indefinite, state
from language.world import Person, Pools

ENTAILED, NEUTRAL, CONTRADICTED = range(3)
DENIED = 0.2  # claims with a not, in every class
HYPERNYM = 0.3  # claims of a hypernym where the value has one
OF_ANOTHER = 0.3  # open claims that hold of somebody else
NAMES = tuple(RELATIONS)
# Relations whose values have a hypernym, with the word for all of these hypernyms.
GROUPS = {"goods": "thing", "animals": "animal", "foods": "food"}
WITH_KIND = tuple(name for name, relation in RELATIONS.items() if relation.values in GROUPS)


def claim(
    draw: Draw, pools: Pools, facts: list[Fact], label: int, form: int, hypernym: float = HYPERNYM
) -> str:
    """A clause that the facts entail, leave open or contradict."""
    fact = draw.pick(facts)
    denied, general = draw.unit() < DENIED, draw.unit() < hypernym
    person, relation, value = fact.person, fact.relation, fact.value
    if label == NEUTRAL:
        names = WITH_KIND if hypernym == 1 else NAMES
        person, relation, value = open_question(draw, pools, facts, names)
    elif (label == CONTRADICTED) != denied:
        value = another_value(draw, pools, fact, general)
    if general:
        value = pools.kinds.get(value, value)
    if denied:
        return deny(person.name, relation, value, form)
    return state(person.name, Fact(person, relation, value), form)


def open_question(
    draw: Draw, pools: Pools, facts: list[Fact], names: tuple[str, ...] = NAMES
) -> tuple[Person, Relation, str]:
    """Person, one of the relations `names` and a value, of which the facts say nothing."""
    person = draw.pick(facts).person
    told = {fact.relation.name for fact in facts if fact.person is person}
    strangers = [
        fact for fact in facts if fact.relation.name not in told and fact.value != person.name
    ]
    if strangers and draw.unit() < OF_ANOTHER:
        other = draw.pick(strangers)
        return person, other.relation, other.value
    relation = RELATIONS[draw.other(names, *told)]
    cast = [*{fact.person: None for fact in facts}]
    return person, relation, draw_fact(draw, pools, person, relation, cast).value


def ask_kind(fact: Fact) -> str:
    """What kind of animal did Anna see?"""
    group = GROUPS[fact.relation.values]
    return f"What kind of {group} did {fact.person.name} {fact.relation.forms[0][1]}?"


def another_value(draw: Draw, pools: Pools, fact: Fact, general: bool = False) -> str:
    """A wrong value of the fact's class: of another kind if `general`, else of the same."""
    if fact.relation.values == "people":
        return draw.other([p.name for p in pools.people], fact.value, fact.person.name)
    members = pools.values[fact.relation.values]
    kind = pools.kinds.get(fact.value)
    if kind is None:
        return draw.other(members, fact.value)
    if general:
        while pools.kinds[value := draw.pick(members)] == kind:
            pass
        return value
    return draw.other(pools.siblings(fact.value), fact.value)


def opinion(draw: Draw, pools: Pools, work: str, good: bool, denials: float = DENIED) -> str:
    """A sentence whose one sentiment word, or its denial, says whether a work is good."""
    denied = draw.unit() < denials
    word = draw.pick(pools.positive if good != denied else pools.negative)
    if denied:
        return draw.pick(("The {} was not {}.", "The {} was never {}.")).format(work, word)
    part = draw.pick(lexicon.PARTS)
    return draw.pick(
        (
            f"The {work} was {word}.",
            f"It was {indefinite(word)} {work}.",
            f"The {part} of the {work} was {word}.",
            f"Everyone found the {work} {word}.",
        )
    )


def reaction(draw: Draw, pools: Pools, who: str, good: bool) -> str:
    """How somebody took a work that was good or bad."""
    return f"{who} {draw.pick(lexicon.GLAD if good else lexicon.SAD)}."
