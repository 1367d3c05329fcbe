"""A world: its people, towns and words, how common each is, and which of them a split may use.

In: a seed. Out: `Pools` for the corpora (everything) and for the splits of the tasks. People and
towns of dev and test are not those of train, nor are the nouns that a person can buy, keep or eat;
the corpora speak of all of them, so what a dev item is about is known from pre-training only.
Jobs, places, days, colours and half of dev's sentiment words are shared by the splits.
"""

from dataclasses import dataclass
from functools import cache

from language import lexicon
from language.draw import Draw

TOWNS = 24
SPLITS = ("train", "validation", "test")
# First share of a shuffled class goes to train, the next to dev, the rest to test.
SHARES = (0.5, 0.3)
# Every second sentiment word of dev and test may stand in train as well.
SHARED_SENTIMENT = 0.5


@dataclass(frozen=True)
class Person:
    """Someone with a name; `pronoun` is she or he."""

    name: str
    pronoun: str

    @property
    def object(self) -> str:
        """her or him."""
        return "her" if self.pronoun == "she" else "him"

    @property
    def possessive(self) -> str:
        """her or his."""
        return "her" if self.pronoun == "she" else "his"


@dataclass(frozen=True)
class Pools:
    """What texts draw from, the common words first."""

    people: tuple[Person, ...]
    values: dict[str, tuple[str, ...]]  # class of values -> words; see relations.Relation
    kinds: dict[str, str]  # noun -> its hypernym
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    works: tuple[str, ...]

    def siblings(self, noun: str) -> tuple[str, ...]:
        """The nouns with the same hypernym as `noun`, itself included."""
        return self.values[self.kinds[noun]]


@cache
def corpus_pools(seed: int) -> Pools:
    """Everything in the world."""
    draw = Draw("world", seed)
    people = [Person(name, "she") for name in lexicon.WOMEN]
    people += [Person(name, "he") for name in lexicon.MEN]
    names = {person.name for person in people}
    towns = {stem + ending for stem in lexicon.STEMS for ending in lexicon.ENDINGS} - names
    classes = {
        "towns": draw.sample(sorted(towns), TOWNS),
        "jobs": draw.shuffled(lexicon.JOBS),
        "places": draw.shuffled(lexicon.PLACES),
        "days": lexicon.DAYS,
        "colours": draw.shuffled(lexicon.COLOURS),
    }
    nouns = {}
    for kind, members in (lexicon.GOODS | lexicon.ANIMALS | lexicon.FOODS).items():
        nouns[kind] = draw.shuffled(members)
    return _pools(
        draw.shuffled(people),
        classes,
        nouns,
        draw.shuffled(lexicon.POSITIVE),
        draw.shuffled(lexicon.NEGATIVE),
        draw.shuffled(lexicon.WORKS),
    )


@cache
def task_pools(seed: int, split: str) -> Pools:
    """What the items of a task's split may speak of."""
    world, index = corpus_pools(seed), SPLITS.index(split)
    classes = {name: world.values[name] for name in ("jobs", "places", "days", "colours")}
    classes["towns"] = _share(world.values["towns"], index)
    nouns = {kind: _share(world.values[kind], index) for kind in sorted(set(world.kinds.values()))}
    sentiment = []
    for words in (world.positive, world.negative):
        own, train = _share(words, index), _share(words, 0)
        known = train[: int(len(own) * SHARED_SENTIMENT)] if index else ()
        sentiment.append([*own, *known])
    return _pools(_share(world.people, index), classes, nouns, *sentiment, world.works)


def _share(items, index: int):
    """The part of a class that belongs to split number `index`, common words in every part.

    Test, which nobody sees the labels of, may use dev's words too: small classes have too few for
    three parts.
    """
    # Taken in turn rather than in blocks, so that every split has its common and its rare words.
    size = len(items)
    bounds = [0, round(size * SHARES[0]), round(size * sum(SHARES)), size]
    order = sorted(range(size), key=lambda place: (place * 7) % size if size % 7 else place)
    start = bounds[min(index, 1)]
    return tuple(items[place] for place in sorted(order[start : bounds[index + 1]]))


def _pools(people, classes, nouns, positive, negative, works) -> Pools:
    values = {name: tuple(words) for name, words in (classes | nouns).items()}
    for group, kinds in (
        ("goods", lexicon.GOODS),
        ("animals", lexicon.ANIMALS),
        ("foods", lexicon.FOODS),
    ):
        # In turn one of each kind, so that no kind is rare as a whole.
        longest = max(len(nouns[kind]) for kind in kinds)
        values[group] = tuple(
            nouns[kind][rank]
            for rank in range(longest)
            for kind in kinds
            if rank < len(nouns[kind])
        )
    return Pools(
        tuple(people),
        values,
        {noun: kind for kind, members in nouns.items() for noun in members},
        tuple(positive),
        tuple(negative),
        tuple(works),
    )
