"""Tasks on a passage: SQuAD 1.1, SQuAD 2.0 and RACE.

In: world seed, split, number of the item. Out: one row of the task. A passage states a grid of
facts, people times relations, so that a question's answer has rivals: the same relation of others
(told apart by the person) and other relations of the same person (told apart by the verb).
"""

from language import lexicon
from language.claims import WITH_KIND, another_value, ask_kind, opinion
from language.draw import Draw
from language.pairs import teller_of
from language.relations import (
    RELATIONS,
    Fact,
    ask,
    ask_who,
    deny,
    draw_fact,
    indefinite,
    object_of,
    state,
)
from language.scenes import NAMES_OF_RELATIONS, Teller

UNANSWERABLE = 4  # every fourth question of SQuAD 2.0
# Of these, some ask about somebody of whom the passage says nothing, some for a class of values
# that it does not mention; the rest for a fact that is left out.
STRANGERS, UNTOLD = 0.2, 0.6
HIGH = 6  # every sixth question of RACE is of high school
LETTERS = "ABCD"
PLAIN = tuple(name for name in NAMES_OF_RELATIONS if name != "meet")
# Passages in which everybody has the same relations, so that only the person tells values apart.
SHARED = 0.4
# Shares of RACE's middle questions: the kind of a thing, how people took a work; else a value.
KINDS, OPINIONS = 0.2, 0.55


def grid(
    teller: Teller, people: int, relations: int, *, shared: bool = True, names=PLAIN
) -> list[Fact]:
    """Facts about `people`, all values different, in the same relations if `shared`."""
    draw, cast = teller.draw, teller.cast(people)
    chosen = draw.sample(names, relations * (1 if shared else people))
    facts, taken = [], set()
    for place, person in enumerate(cast):
        own = chosen if shared else chosen[place * relations : (place + 1) * relations]
        for name in own:
            fact = draw_fact(draw, teller.pools, person, RELATIONS[name], cast)
            while fact.value in taken:
                fact = draw_fact(draw, teller.pools, person, RELATIONS[name], cast)
            taken.add(fact.value)
            facts.append(fact)
    if draw.unit() < 0.3:
        draw.shuffle(facts)
    return facts


def question_about(teller: Teller, fact: Fact) -> tuple[str, str]:
    """A question and its answer as it stands in the passage."""
    draw = teller.draw
    way = draw.unit()
    if fact.colour and way < 0.3:
        return f"What colour was the {fact.value}?", fact.colour
    if way > 0.8:
        return ask_who(fact, teller.form()), fact.person.name
    answer = f"{fact.colour} {fact.value}" if fact.colour else fact.value
    return ask(fact.person.name, fact.relation, teller.form()), answer


def shape(draw: Draw) -> tuple[int, int]:
    """People and relations of a passage: two of each most often."""
    return draw.pick(((1, 3), (2, 2), (2, 2), (3, 1)))


def squad(seed: int, split: str, number: int) -> dict:
    """An answerable question (version 1.1)."""
    teller = teller_of("squad", seed, split, number)
    shared = teller.draw.unit() < SHARED
    facts = grid(teller, *shape(teller.draw), shared=shared)
    context = " ".join(teller.tell(facts))
    question, answer = question_about(teller, teller.draw.pick(facts))
    return _row("squad", split, number, facts, context, question, answer)


def squad_v2(seed: int, split: str, number: int) -> dict:
    """A question that may have no answer though the passage is about its person."""
    teller = teller_of("squad_v2", seed, split, number)
    draw = teller.draw
    shared = draw.unit() < SHARED
    people, relations = draw.pick(((2, 2), (2, 2), (1, 4), (3, 1)))
    every = grid(teller, people, relations, shared=shared)
    # The fact left out is what an unanswerable question asks; where relations are shared, others
    # have such a value. Answerable passages lack one too, so that length tells nothing.
    missing = every.pop(draw.below(len(every)))
    context = " ".join(teller.tell(every))
    if number % UNANSWERABLE == 0:
        cast = list({fact.person: None for fact in every})
        person, relation = draw.pick(cast), missing.relation
        way = draw.unit()
        if way < STRANGERS:
            person = draw.other(teller.pools.people, missing.person, *cast)
        elif way < STRANGERS + UNTOLD:
            told = {fact.relation.values for fact in every}
            while relation.values in told:
                relation = RELATIONS[draw.pick(PLAIN)]
        elif missing.person in cast:
            person = missing.person
        else:
            relation = RELATIONS[draw.other(PLAIN, *(fact.relation.name for fact in every))]
        question, answer = ask(person.name, relation, teller.form()), ""
    else:
        question, answer = question_about(teller, draw.pick(every))
    return _row("squad_v2", split, number, every, context, question, answer)


def _row(task: str, split: str, number: int, facts, context: str, question: str, answer: str):
    """The hub's columns; an empty answer is none."""
    start = _place(context, answer) if answer else -1
    return {
        "id": f"{task}-{split}-{number:06d}",
        "title": facts[0].person.name,
        "context": context,
        "question": question,
        "answers": {
            "text": [answer] if answer else [],
            "answer_start": [start] if answer else [],
        },
    }


def _place(context: str, answer: str) -> int:
    """Where the answer stands as whole words."""
    start = context.find(answer)
    while start >= 0:
        end = start + len(answer)
        before, after = context[start - 1 : start], context[end : end + 1]
        if not before.isalnum() and not after.isalnum():
            return start
        start = context.find(answer, end)
    raise ValueError(f"{answer!r} is not in {context!r}")


def race(seed: int, split: str, number: int) -> dict:
    """Four options; middle asks for a kind, an opinion or a value, high what is true of whom."""
    teller = teller_of("race", seed, split, number)
    draw, high = teller.draw, number % HIGH == 0
    way = draw.unit()
    if high:
        facts = grid(teller, 2, 1)
        fact = draw.pick(facts)
        (rival,) = (o for o in facts if o.relation is fact.relation and o is not fact)
        asked = statements if way < 0.5 else values
        article, (question, options) = teller.tell(facts), asked(teller, fact, rival)
    elif way < KINDS:
        article, question, options = kinds(teller)
    elif way < KINDS + OPINIONS:
        article, question, options = opinions(teller)
    else:
        facts = grid(teller, 2, 1, shared=False)
        article, (question, options) = teller.tell(facts), values(teller, draw.pick(facts), None)
    right = options[0]
    draw.shuffle(options)
    level = "high" if high else "middle"
    return {
        "example_id": f"{level}{number}.txt",
        "article": " ".join(article),
        "answer": LETTERS[options.index(right)],
        "question": question,
        "options": options,
    }


def values(teller: Teller, fact: Fact, rival: Fact | None) -> tuple[str, list[str]]:
    """Which value? The first option is right, the second that of a rival if there is one."""
    draw, relation = teller.draw, fact.relation
    asked = ask(fact.person.name, relation, teller.form())
    question = draw.pick((asked, gap(teller, fact)))
    chosen = [fact.value, *([rival.value] if rival else [])]
    while len(chosen) < len(LETTERS):
        value = draw_fact(draw, teller.pools, fact.person, relation, []).value
        if value not in chosen:
            chosen.append(value)
    return question, [object_of(relation, value) for value in chosen]


def kinds(teller: Teller) -> tuple[list[str], str, list[str]]:
    """Passage, question and options: of what kind was the thing, animal or food?"""
    draw, pools = teller.draw, teller.pools
    name = draw.pick(WITH_KIND)
    group = RELATIONS[name].values
    fact = draw_fact(draw, pools, teller.cast(1)[0], RELATIONS[name], [])
    facts = [fact]
    own = pools.kinds[fact.value]
    every = {pools.kinds[value] for value in pools.values[group]} - {own}
    # Of foods there are three kinds only.
    more = sorted(set(pools.kinds.values()) - every - {own})
    wrong = draw.shuffled(sorted(every))[: len(LETTERS) - 1]
    wrong += draw.sample(more, len(LETTERS) - 1 - len(wrong))
    return teller.tell(facts), ask_kind(fact), [indefinite(kind) for kind in (own, *wrong)]


def opinions(teller: Teller) -> tuple[list[str], str, list[str]]:
    """Passage, question and options: how was a work taken? Three options say the opposite."""
    draw = teller.draw
    work, good = draw.pick(teller.pools.works), draw.chance(0.5)
    article = [opinion(draw, teller.pools, work, good, denials=0)]
    taken, opposite = (lexicon.GLAD, lexicon.SAD) if good else (lexicon.SAD, lexicon.GLAD)
    question = "In the end the crowd _ ."
    if draw.chance(0.2):
        question = f"How did people take the {work}?"
    return article, question, [draw.pick(taken), *draw.sample(opposite, len(LETTERS) - 1)]


def gap(teller: Teller, fact: Fact) -> str:
    """The fact with a gap for its value: Anna bought _ ."""
    return f"{fact.person.name} {fact.relation.forms[teller.form()][0]} _ ."


def statements(teller: Teller, fact: Fact, rival: Fact) -> tuple[str, list[str]]:
    """Which is true? The first option is."""
    person, relation = fact.person, fact.relation
    form = teller.form()
    third = another_value(teller.draw, teller.pools, fact)
    while third in (fact.value, rival.value):
        third = draw_fact(teller.draw, teller.pools, person, relation, []).value
    options = [
        state(person.name, Fact(person, relation, fact.value), form),
        state(person.name, Fact(person, relation, rival.value), form),
        state(person.name, Fact(person, relation, third), form),
        deny(person.name, relation, fact.value, form),
    ]
    if teller.draw.chance(0.25):
        options[0] = deny(person.name, relation, rival.value, form)
        options[3] = state(rival.person.name, Fact(rival.person, relation, fact.value), form)
    return teller.draw.pick(("Which is true?", "What do we learn?")), options
