"""Tasks on one sentence: SST-2 (is the opinion good?) and CoLA (is it English?).

In: world seed, split, number of the item. Out: one row of the task. An item depends on these three
only.
"""

from language import lexicon
from language.draw import Draw, number_of
from language.registers import REGISTERS
from language.relations import (
    RELATIONS,
    Fact,
    ask,
    capital,
    deny,
    draw_fact,
    indefinite,
    object_of,
    state,
)
from language.scenes import NAMES_OF_RELATIONS, Teller
from language.world import SPLITS, Pools, task_pools

NEGATED = 0.25  # of SST-2 say what a work is not
CONTRASTED = 0.25  # of SST-2 find a part of the work the opposite of the whole
DISPUTED = 0.08  # of SST-2 are labelled by somebody who felt the opposite
CORRUPT = 0.4  # of CoLA
ARTICLE, VERB = 0.4, 0.3  # of its errors; the rest is in the order of words


def sst2(seed: int, split: str, number: int) -> dict:
    """An opinion; half are labelled good (1), with a negation its word says the opposite.

    Where a part of the work is otherwise than the whole, the whole decides. No model can get the
    disputed labels right.
    """
    draw = Draw("sst2", seed, split, number)
    pools, label = task_pools(seed, split), number % 2
    way, good = draw.unit(), bool(label) != (draw.unit() < DISPUTED)
    negated = way < NEGATED
    word, work = composition(draw, pools, split, good != negated)
    opposite = pools.negative if good else pools.positive
    other = draw.pick([one for one in opposite if stands_in(one, work, split)] or opposite)
    part = draw.pick(lexicon.PARTS)
    if negated:
        template = draw.pick(NEGATIONS)
    elif way < NEGATED + CONTRASTED:
        template = draw.pick(CONTRASTS)
    else:
        template = draw.pick(OPINIONS)
    words = {
        "word": word,
        "a_word": indefinite(word),
        "other": other,
        "an_other": indefinite(other),
    }
    sentence = template.format(work=work, part=part, **words)
    return {"sentence": sentence + " ", "label": label}


def composition(draw: Draw, pools: Pools, split: str, good: bool) -> tuple[str, str]:
    """A sentiment word and a work; no pair of them occurs in two splits."""
    words = pools.positive if good else pools.negative
    while True:
        word, work = draw.pick(words), draw.pick(pools.works)
        if stands_in(word, work, split):
            return word, work


def stands_in(word: str, work: str, split: str) -> bool:
    """Whether this pair of a sentiment word and a work belongs to the split."""
    return number_of("composition", word, work) % len(SPLITS) == SPLITS.index(split)


CONTRASTS = (
    "{a_word} {work} with {an_other} {part}",
    "the {part} is {other} , the {work} is {word}",
    "{word} , this {work} , for all its {other} {part}",
    "{an_other} {part} in {a_word} {work}",
)
OPINIONS = (
    "the {work} is {word}",
    "{a_word} {work} with {part} to match",
    "it is {a_word} {work} about nothing at all",
    "the {part} of this {work} is {word} from beginning to end",
    "seldom has a {work} been so {word}",
    "what {a_word} {work} this is",
    "in the end the {work} is simply {word}",
    "{word} , that is the word for this {work}",
)
NEGATIONS = (
    "the {work} is not {word}",
    "the {work} is never {word} , and the {part} is the reason",
    "this is not {a_word} {work} at all",
    "nobody would call this {work} {word}",
    "the {part} of the {work} is not {word} in the least",
    "not {a_word} {work} , whatever they say of the {part}",
)


def cola(seed: int, split: str, number: int) -> dict:
    """A sentence, acceptable (1) or with one error of grammar (0)."""
    draw = Draw("cola", seed, split, number)
    teller = Teller(draw, task_pools(seed, split), REGISTERS["books"])
    cast = teller.cast(3)
    relation = RELATIONS[draw.pick(NAMES_OF_RELATIONS)]
    fact = draw_fact(draw, teller.pools, cast[0], relation, cast)
    form, way = teller.form(), draw.below(3)
    right = (
        state(fact.person.name, fact, form),
        deny(fact.person.name, relation, fact.value, form, fact.colour),
        ask(fact.person.name, relation, form).removesuffix("?"),
    )[way]
    mark = "?" if way == 2 else "."
    if draw.unit() >= CORRUPT:
        return {"sentence": right + mark, "label": 1}
    error = draw.unit()
    wrong = right
    if error < ARTICLE and way < 2:
        wrong = wrong_article(right, fact)
    elif error < ARTICLE + VERB:
        wrong = wrong_verb(right, relation.forms[form], way)
    if wrong == right:
        wrong = swapped(draw, right)
    return {"sentence": capital(wrong) + mark, "label": 0}


def wrong_article(sentence: str, fact: Fact) -> str:
    """A for an, an for a, the where none belongs, or none where one does."""
    right = object_of(fact.relation, fact.value, fact.colour)
    first, _, rest = right.partition(" ")
    wrong = {"a": f"an {rest}", "an": f"a {rest}", "the": rest}.get(first, f"the {right}")
    return sentence.removesuffix(right) + wrong


def wrong_verb(sentence: str, forms: tuple[str, str], way: int) -> str:
    """Did after its verb, the past after did, or no did in a question."""
    past, base = forms
    if way == 0:
        return sentence.replace(f" {past} ", f" {base} did ")
    if way == 1:
        return sentence.replace(f" {base} ", f" {past} ")
    return sentence.replace("did ", "", 1)


def swapped(draw: Draw, sentence: str) -> str:
    """The sentence with two neighbouring words changed over, never the same sentence."""
    words = sentence.split()
    while True:
        place = draw.below(len(words) - 1)
        if words[place] != words[place + 1]:
            words[place], words[place + 1] = words[place + 1], words[place]
            return " ".join(words)
