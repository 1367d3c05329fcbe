"""Tasks on pronouns: WNLI (does the sentence with the pronoun replaced follow?) and WSC (spans).

In: world seed, split, number of the item. Out: one row of the task. Somebody came upon two things
of different kinds, and one of them is spoken of again: *it* fits both, and only what their kinds do
says which is meant. The nouns of dev are not those of train, so that what a heron does is known
from pre-training alone, as a Winograd schema wants it.
"""

from language import lexicon
from language.pairs import teller_of
from language.relations import capital
from language.scenes import Teller

MET = (
    "{who} found {first} beside {second}",
    "{who} found {first} and {second} near the {place}",
    "{who} saw {first} next to {second}",
    "{who} lost {first} and {second} near the {place}",
)
AGAIN = ("{}, and everyone knew that", "{}, and people said that", "{} because")


def scene(teller: Teller) -> tuple[str, str, str, str]:
    """Main clause, predicate, the noun phrase that the pronoun means, the other one."""
    draw, pools = teller.draw, teller.pools
    kinds = draw.sample(sorted(lexicon.HABITS), 2)
    meant, other = (f"the {draw.frequent(pools.values[kind])}" for kind in kinds)
    first, second = draw.shuffled([meant, other])
    (person,) = teller.cast(1)
    place = draw.pick(pools.values["places"])
    told = draw.pick(MET).format(who=person.name, first=first, second=second, place=place)
    said = draw.pick(lexicon.HABITS[kinds[0]])
    return draw.pick(AGAIN).format(told), said, meant, other


def wnli(seed: int, split: str, number: int) -> dict:
    """Not entailed 0, entailed 1; the same question as item `number` of WSC."""
    teller, label = teller_of("wsc", seed, split, number), number % 2
    main, said, meant, other = scene(teller)
    return {
        "sentence1": f"{main} it {said}.",
        "sentence2": capital(f"{meant if label else other} {said}."),
        "label": label,
    }


def wsc(seed: int, split: str, number: int) -> dict:
    """Whether span 2, the pronoun, means span 1, a noun phrase; indices count words from 0."""
    teller, label = teller_of("wsc", seed, split, number), number % 2
    main, said, meant, other = scene(teller)
    named = meant if label else other
    words, (article, noun) = main.replace(",", "").split(), named.split()
    # The noun after its article: `saw` is a verb here too.
    place = next(i for i in range(len(words)) if words[i : i + 2] == [article, noun])
    return {
        "text": f"{main} it {said}.",
        "span1_index": place,
        "span2_index": len(words),
        "span1_text": named,
        "span2_text": "it",
        "label": label,
    }
