"""Tasks on two sentences: MNLI, RTE, MRPC, QQP, STS-B and QNLI.

In: world seed, split, number of the item. Out: one row of the task. The premise states two or three
facts; a hypothesis is a claim about one of them (`language.claims`).
"""

from dataclasses import replace

from language.claims import (
    CONTRADICTED,
    ENTAILED,
    NEUTRAL,
    WITH_KIND,
    another_value,
    claim,
    opinion,
    reaction,
)
from language.draw import Draw
from language.registers import REGISTERS
from language.relations import RELATIONS, Fact, Relation, ask, draw_fact
from language.scenes import NAMES_OF_RELATIONS, Teller
from language.world import Person, task_pools

REGISTERS_OF = {
    "train": ("books", "wiki"),
    "validation_matched": ("books", "wiki"),
    "validation_mismatched": ("news", "stories"),
    "test_matched": ("books", "wiki"),
    "test_mismatched": ("news", "stories"),
}
# Shares of MNLI: how somebody took a work; hypernyms of what was told; the rest the same words.
OPINIONS, KINDS = 0.6, 0.2
# Of what does not fit in MRPC, QQP and QNLI: another verb and values of another class, which an
# encoder tells apart long before it compares names and values.
OTHER = 0.7


def pools_split(split: str) -> str:
    """The split of the pools that a split of a task draws from."""
    return split.split("_")[0]


def teller_of(task: str, seed: int, split: str, number: int) -> Teller:
    """The teller of one item."""
    draw = Draw(task, seed, split, number)
    register = REGISTERS[draw.pick(REGISTERS_OF.get(split, ("books", "wiki")))]
    return Teller(draw, task_pools(seed, pools_split(split)), register)


def premise_of(
    teller: Teller, people: int, each: int, names: tuple[str, ...] = NAMES_OF_RELATIONS
) -> tuple[list[str], list[Fact]]:
    """Sentences that state facts about people, and these facts, in the relations `names`."""
    cast = teller.cast(people)
    while len(facts := teller.facts(cast, each, names=names)) < people:
        pass
    return teller.tell(facts), facts


def mnli(seed: int, split: str, number: int) -> dict:
    """Entailment 0, neutral 1, contradiction 2, a third each."""
    teller, label = teller_of("mnli", seed, split, number), number % 3
    way = teller.draw.unit()
    if way < OPINIONS:
        premise, hypothesis = opinion_pair(teller, label)
    else:
        premise, hypothesis = claim_pair(teller, label, kinds=way < OPINIONS + KINDS)
    return {"premise": premise, "hypothesis": hypothesis, "label": label}


def ax(seed: int, split: str, number: int) -> dict:
    """GLUE's diagnostics: MNLI's classes without its opinions, half of them about kinds."""
    teller, label = teller_of("ax", seed, split, number), number % 3
    premise, hypothesis = claim_pair(teller, label, kinds=teller.draw.chance(0.5))
    return {"premise": premise, "hypothesis": hypothesis, "label": label}


def claim_pair(teller: Teller, label: int, kinds: bool) -> tuple[str, str]:
    """One or two statements, and a claim about a value or, with `kinds`, about its hypernym."""
    names = WITH_KIND if kinds else NAMES_OF_RELATIONS
    sentences, facts = premise_of(teller, teller.draw.between(1, 2), 1, names)
    parts = (teller.draw, teller.pools, facts, label, teller.form(), 1.0 if kinds else 0.0)
    return " ".join(sentences), f"{claim(*parts)}."


def opinion_pair(teller: Teller, label: int) -> tuple[str, str]:
    """What a work was like, and how somebody took it; open if one of them is left out."""
    draw, pools = teller.draw, teller.pools
    (person,) = teller.cast(1)
    good, work = draw.chance(0.5), draw.pick(pools.works)
    where = draw.pick(pools.values["places"])
    told = opinion(draw, pools, work, good)
    taken = reaction(draw, pools, person.name, good != (label == CONTRADICTED))
    if label == NEUTRAL:
        if draw.chance(0.5):
            told = f"The {work} was shown at the {where}."
        else:
            taken = f"{person.name} went to the {where}."
    return told, taken


def rte(seed: int, split: str, number: int) -> dict:
    """Entailment 0, anything else 1, after two people's facts; most of it is left open."""
    teller, label = teller_of("rte", seed, split, number), number % 2
    sentences, facts = premise_of(teller, 2, 1)
    meaning = teller.draw.pick((NEUTRAL, NEUTRAL, CONTRADICTED)) if label else ENTAILED
    clause = claim(teller.draw, teller.pools, facts, meaning, teller.form())
    return _sentences(" ".join(sentences), f"{clause}.", label)


def mrpc(seed: int, split: str, number: int) -> dict:
    """A fact told twice in other words (1, two thirds), or another fact about that person (0)."""
    teller, label = teller_of("mrpc", seed, split, number), int(number % 3 > 0)
    draw, cast = teller.draw, teller.cast(2)
    relation = RELATIONS[draw.pick(NAMES_OF_RELATIONS)]
    fact = second = draw_fact(draw, teller.pools, cast[0], relation, cast)
    if not label:
        second = other_fact(teller, fact, cast) if draw.chance(OTHER) else other_value(teller, fact)
    told = again = teller.tell([fact])
    while again == told:
        again = teller.tell([second])
    return _sentences(*told, *again, label)


def other_fact(teller: Teller, fact: Fact, cast: list[Person]) -> Fact:
    """Another fact about the same person, its value of another class."""
    relation = other_relation(teller.draw, fact.relation)
    return draw_fact(teller.draw, teller.pools, fact.person, relation, cast)


def other_relation(draw: Draw, relation: Relation) -> Relation:
    """A relation whose values are of another class."""
    names = [n for n in NAMES_OF_RELATIONS if RELATIONS[n].values != relation.values]
    return RELATIONS[draw.pick(names)]


def other_value(teller: Teller, fact: Fact) -> Fact:
    """The fact with another value of the same class."""
    value = another_value(teller.draw, teller.pools, fact)
    return Fact(fact.person, fact.relation, value, fact.colour)


def _sentences(first: str, second: str, label: float) -> dict:
    return {"sentence1": first, "sentence2": second, "label": label}


def qqp(seed: int, split: str, number: int) -> dict:
    """Two questions: the same in other words (1, a third), another one or of somebody else (0)."""
    teller, label = teller_of("qqp", seed, split, number), int(number % 3 == 0)
    draw, cast = teller.draw, teller.cast(2)
    name, relation = cast[0].name, RELATIONS[draw.pick(NAMES_OF_RELATIONS)]
    form = draw.below(2)
    if label:
        return _questions(ask(name, relation, form), ask(name, relation, 1 - form), 1)
    if draw.chance(OTHER):
        return _questions(
            ask(name, relation, form), ask(name, other_relation(draw, relation), draw.below(2)), 0
        )
    return _questions(ask(name, relation, form), ask(cast[1].name, relation, draw.below(2)), 0)


def _questions(first: str, second: str, label: int) -> dict:
    return {"question1": first, "question2": second, "label": label}


def stsb(seed: int, split: str, number: int) -> dict:
    """0 to 5: 5 less 0.8 for another person, 1.2 for another value, 4.2 for another fact."""
    teller = teller_of("stsb", seed, split, number)
    draw, cast = teller.draw, teller.cast(2)
    relation, score = RELATIONS[draw.pick(NAMES_OF_RELATIONS)], 5.0
    first = second = draw_fact(draw, teller.pools, cast[0], relation, cast)
    if draw.chance(0.3) and first.value != cast[1].name:
        second, score = replace(second, person=cast[1]), score - 0.8
    if draw.chance(0.5):
        second, score = other_fact(teller, second, cast), score - 4.2
    elif draw.chance(0.5):
        second, score = other_value(teller, second), score - 1.2
    return _sentences(*teller.tell([first]), *teller.tell([second]), round(score, 1))


def qnli(seed: int, split: str, number: int) -> dict:
    """A question and a sentence that answers it (0) or tells something near it (1).

    Two rows in turn ask the same question, and one of them answers it; who asks whom keeps it apart
    from the questions of other rows, so that sentences can be ranked by question.
    """
    teller, label = teller_of("qnli", seed, split, number // 2), number % 2
    draw = teller.draw
    person, rival, asker, asked = teller.cast(4)
    relation, cast = RELATIONS[draw.pick(NAMES_OF_RELATIONS)], [person, rival]
    question = ask(person.name, relation, teller.form())
    told = draw_fact(draw, teller.pools, person, relation, cast)
    if label and draw.chance(OTHER):
        told = other_fact(teller, told, cast)
    elif label:
        told = draw_fact(draw, teller.pools, rival, relation, cast)
    return {
        "question": f"{asker.name} asks {asked.name}: {question}",
        "sentence": " ".join(teller.tell([told])),
        "label": label,
    }
