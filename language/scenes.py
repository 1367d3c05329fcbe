"""Scenes: a few people, facts about them, and sentences that come back to these facts.

In: a stream of draws, the pools, a register. Out: lists of sentences. A scene first states its
facts, then repeats, paraphrases, denies alternatives, asks and answers, refers to things by their
hypernym and to people by a pronoun. Whoever reads only one or two sentences of it cannot know what
a later sentence says about a person; whoever has read the beginning can.
"""

from language import lexicon
from language.claims import GROUPS, ask_kind, claim
from language.draw import Draw
from language.registers import Register
from language.relations import (
    RELATIONS,
    STATES,
    Fact,
    ask,
    ask_who,
    capital,
    deny,
    draw_fact,
    indefinite,
    predicate,
    short_answer,
    state,
)
from language.world import Person, Pools

NAMES_OF_RELATIONS = tuple(RELATIONS)
# Scenes in which everybody has the same relations: there only the person tells the values apart.
SHARED_RELATIONS = 0.4
# What goes with a good and with a bad work: verdict, degree, manner of whoever reacts.
GOOD, BAD = ("good", "truly", "happily"), ("bad", "terribly", "angrily")
ECHO = 0.5  # of statements in a scene
PRONOUN = 0.25  # of statements about somebody who was just named
TRAIT = 0.8  # of statements about such a noun without a colour
HABIT = 0.3  # of statements about a noun that has a kind
UNATTRIBUTED = 0.7  # of questions and answers: nobody is named as the speaker
PLAIN = 0.75  # of statements without a frame of the register
REVIEW = 0.4  # of opinions are told in two sentences
VERDICTS = ("true", "uncertain", "false")  # in the order of claims.ENTAILED, NEUTRAL, CONTRADICTED


class Teller:
    """Tells scenes in one register."""

    def __init__(self, draw: Draw, pools: Pools, register: Register):
        self.draw, self.pools, self.register = draw, pools, register
        self.names = [person.name for person in pools.people]

    def cast(self, size: int) -> list[Person]:
        """Different people, the common names more often."""
        people: list[Person] = []
        while len(people) < size:
            person = self.draw.frequent(self.pools.people)
            if person not in people:
                people.append(person)
        return people

    def facts(
        self,
        cast: list[Person],
        each: int,
        known: list[Fact] | None = None,
        names: tuple[str, ...] = NAMES_OF_RELATIONS,
    ) -> list[Fact]:
        """`each` facts about everybody, of different relations, known or new.

        Facts in `known` are not contradicted and new ones are added to it. No value is used twice,
        so that "the violin" is one thing.
        """
        known = [] if known is None else known
        draw, facts = self.draw, []
        fixed = {(fact.person, fact.relation.name): fact for fact in known}
        values = {fact.value for fact in known}
        shared = draw.sample(names, each) if draw.unit() < SHARED_RELATIONS else None
        for person in cast:
            for name in shared or draw.sample(names, each):
                fact = fixed.get((person, name))
                if fact is None:
                    fact = draw_fact(draw, self.pools, person, RELATIONS[name], cast)
                    if fact.value in values:
                        continue
                    values.add(fact.value)
                    fixed[person, name] = fact
                    known.append(fact)
                facts.append(fact)
        return facts

    def tell(self, facts: list[Fact], habits: bool = False) -> list[str]:
        """State facts in their order; a person who was just named becomes she or he.

        With `habits`, some say what the thing, animal or food did that its kind does.
        """
        draw, sentences, before = self.draw, [], None
        place = 0
        while place < len(facts):
            fact = facts[place]
            again = before is fact.person and draw.unit() < PRONOUN
            kind = self.pools.kinds.get(fact.value)
            told = fact
            if habits and kind and not fact.colour and draw.unit() < TRAIT:
                told = Fact(fact.person, fact.relation, fact.value, lexicon.TRAITS[kind])
            clause = state(fact.person.pronoun if again else fact.person.name, told, self.form())
            following = facts[place + 1] if place + 1 < len(facts) else None
            if habits and kind and draw.unit() < HABIT:
                clause += f", {indefinite(kind)} that {draw.pick(lexicon.HABITS[kind])}"
            elif following and following.person is fact.person and draw.unit() < 0.3:
                clause += f" {draw.pick(self.register.links)} {predicate(following, self.form())}"
                place += 1
            templates = self.register.statements
            # "She worked as a sailor before breakfast" would be odd.
            plain = fact.relation.name in STATES or draw.unit() < PLAIN
            template = templates[0] if plain else draw.pick(templates)
            sentences.append(capital(template.format(clause)))
            before = fact.person
            place += 1
        return sentences

    def echo(self, fact: Fact) -> list[str]:
        """The value or the name said twice, now and then."""
        way, said = self.draw.unit(), short_answer(fact)
        if way > ECHO:
            return []
        template = self.register.echoes[way > ECHO / 2]
        return [template.format(a=said, A=capital(said), n=fact.person.name)]

    def form(self) -> int:
        """The usual form of a relation, or now and then its synonym."""
        return 0 if self.draw.unit() < 0.65 else 1

    def speakers(self, cast: list[Person], person: Person) -> tuple[str, str]:
        """Two who talk about `person`: others of the cast if it has enough."""
        draw, others = self.draw, [other.name for other in cast if other is not person]
        if len(others) < 2:
            taken = [one.name for one in cast]
            others.append(draw.other(self.names, *taken))
        first = draw.below(len(others))
        return others[first], others[first - 1]

    def come_back(self, fact: Fact, facts: list[Fact], cast: list[Person]) -> list[str]:
        """One or two sentences that presuppose a fact told before."""
        way = self.draw.unit()
        if way < 0.32:
            return self.converse(fact, cast)
        if way < 0.4:
            return [self.weigh(facts, cast)]
        if way < 0.52:
            return [self.repeat(fact, cast)]
        if way < 0.56:
            return [self.contrast(fact)]
        if way < 0.6:
            return [f"It was {fact.person.name} who {predicate(fact, self.form())}."]
        if way < 0.74:
            return [self.refer(fact)]
        return [self.judge(fact.person)]

    def converse(self, fact: Fact, cast: list[Person]) -> list[str]:
        """A question about the fact and its short answer."""
        draw, register = self.draw, self.register
        asker, answerer = self.speakers(cast, fact.person)
        way = draw.unit()
        if fact.colour and way < 0.4:
            question, answer = f"What colour was the {fact.value}?", fact.colour
        elif way < 0.6 and fact.relation.values in GROUPS:
            kind = self.pools.kinds[fact.value]
            question, answer = ask_kind(fact), f"{indefinite(lexicon.TRAITS[kind])} {kind}"
        elif way < 0.75 or fact.relation.values == "people":
            question, answer = ask(fact.person.name, fact.relation, self.form()), short_answer(fact)
        else:
            question, answer = ask_who(fact, self.form()), fact.person.name
        if draw.unit() < UNATTRIBUTED:
            return [question, f"{capital(answer)}."]
        asked = draw.pick(register.questions).format(q=question, b=asker, c=answerer)
        reply = draw.pick(register.replies)
        reply = reply.format(a=answer, A=capital(answer), b=asker, c=answerer)
        return [asked, reply]

    def weigh(self, facts: list[Fact], cast: list[Person]) -> str:
        """A claim, and whether it is true, false or open after what was told."""
        draw = self.draw
        label = draw.below(len(VERDICTS))
        clause = claim(draw, self.pools, facts, label, self.form())
        first, second = self.speakers(cast, cast[0])
        template = draw.pick(self.register.claims)
        return template.format(k=clause, v=VERDICTS[label], b=first, c=second)

    def repeat(self, fact: Fact, cast: list[Person]) -> str:
        """The fact again, in other words, sometimes with the hypernym for the value."""
        kind = self.pools.kinds.get(fact.value)
        if kind and self.draw.unit() < 0.3:
            fact = Fact(fact.person, fact.relation, kind)
        first, second = self.speakers(cast, fact.person)
        clause = state(fact.person.name, fact, self.form())
        template = self.draw.pick(self.register.repeats)
        return capital(template.format(clause, b=first, c=second))

    def contrast(self, fact: Fact) -> str:
        """What the value was not, and what it was."""
        draw, relation = self.draw, fact.relation
        name, form = fact.person.name, self.form()
        if fact.value in self.pools.kinds:
            wrong = draw.other(self.pools.siblings(fact.value), fact.value)
        elif relation.values == "people":
            wrong = draw.other(self.pools.people).name
        else:
            wrong = draw.other(self.pools.values[relation.values], fact.value)
        if wrong in (fact.value, name):
            return state(name, fact, form) + "."
        denied = deny(name, relation, wrong, form)
        if draw.unit() < 0.6:
            return f"{denied}, but {short_answer(fact)}."
        return f"{denied}. {capital(fact.person.pronoun)} {predicate(fact, form)}."

    def refer(self, fact: Fact) -> str:
        """Something about the value, by its name or its hypernym."""
        draw, value = self.draw, fact.value
        kind = self.pools.kinds.get(value)
        owner = fact.person.name
        if fact.colour and draw.unit() < 0.4:
            thing = f"The {value} that {owner} {fact.relation.forms[0][0]}"
            return f"{thing if draw.unit() < 0.5 else f'The {value}'} was {fact.colour}."
        if kind:
            habit = draw.pick(lexicon.HABITS[kind])
            way = draw.unit()
            if way < 0.4:
                return f"The {value} {habit}."
            if way < 0.6:
                return f"The {value} was {indefinite(kind)} and it {habit}."
            named = kind if way < 0.8 else value
            return f"The {named} that {owner} {fact.relation.forms[0][0]} {habit}."
        return f"{owner} was glad that {fact.person.pronoun} {predicate(fact, self.form())}."

    def review(self, work: str, word: str, taken: str, person: Person) -> str:
        """What a work was like and how it was taken, in two sentences, in either order."""
        draw = self.draw
        part = f"{draw.pick(lexicon.PARTS)} of the " if draw.unit() < 0.3 else ""
        told = f"The {part}{work} was {word}."
        who = draw.pick((person.name, person.name, "In the end the crowd", "Everyone"))
        came = f"{who} {taken}."
        return f"{told} {came}" if draw.unit() < 0.5 else f"{came} {told}"

    def judge(self, person: Person) -> str:
        """An opinion, whose words all point the same way, and how people took it."""
        draw = self.draw
        good = draw.unit() < 0.5
        words, others = self.pools.positive, self.pools.negative
        if not good:
            words, others = others, words
        first, second = draw.frequent(words), draw.frequent(words)
        if second == first:
            second = draw.other(words, first)
        work = draw.pick(self.pools.works)
        verdict, very, gladly = GOOD if good else BAD
        taken = draw.pick(lexicon.GLAD if good else lexicon.SAD)
        if draw.unit() < 0.6:
            taken = f"{gladly} {taken}"
        if draw.unit() < REVIEW:
            return self.review(work, first, taken, person)
        way = draw.unit()
        if way < 0.2:
            return f"The {work} was {very} {first} and {second}, and {person.name} {taken}."
        if way < 0.45:
            return f"{person.name} {taken}: it was a {verdict}, {first} {work}."
        if way < 0.65:
            return f"{person.name} {taken} because the {work} was {very} {first}."
        if way < 0.8:
            return f"The {work} was not {draw.frequent(others)} but {first}, and everyone {taken}."
        part = draw.pick(lexicon.PARTS)
        return f"It was a {very} {first} {work} with {indefinite(second)} {part}, {verdict} work."

    def scene(
        self, cast: list[Person], each: int, returns: int, known: list[Fact] | None = None
    ) -> list[str]:
        """Sentences of a whole scene: facts first, then `returns` ways back to them."""
        draw = self.draw
        facts = self.facts(cast, each, known)
        sentences = []
        for place, fact in enumerate(facts):
            sentences += self.tell([fact], habits=True)
            sentences += self.echo(fact)
            for _ in range(draw.between(1, 3)):
                sentences += self.come_back(fact, facts[: place + 1], cast)
        for _ in range(returns):
            if draw.unit() < 0.08:
                sentences.append(draw.pick(lexicon.SCENERY))
            sentences += self.come_back(draw.pick(facts), facts, cast)
        return sentences
