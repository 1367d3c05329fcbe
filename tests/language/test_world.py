"""The generated world: draws that never change, disjoint splits, different seeds."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from language import lexicon
from language.draw import Draw, number_of
from language.world import SPLITS, corpus_pools, task_pools

DISJOINT = ("towns", "goods", "animals", "foods")


def test_literal_draws():
    assert number_of("world", 0) == 4852737601756648501
    draw = Draw("world", 0)
    assert [draw.below(10) for _ in range(8)] == [1, 7, 8, 9, 5, 7, 5, 6]


@given(st.integers(0, 2**40), st.integers(1, 50))
def test_a_shuffle_keeps_everything(seed, size):
    assert sorted(Draw(seed).shuffled(range(size))) == list(range(size))


@given(st.integers(0, 2**40), st.integers(1, 200))
def test_draws_stay_inside(seed, size):
    draw, items = Draw(seed), range(size)
    assert draw.pick(items) in items and draw.frequent(items) in items
    assert 3 <= draw.between(3, 5) <= 5


def test_frequencies_fall_like_zipf_with_mandelbrots_correction():
    draw, counts = Draw("zipf"), Counter()
    for _ in range(40_000):
        counts[draw.frequent(range(60))] += 1
    first, tenth, last = counts[0], counts[9], counts[59]
    assert first / tenth == pytest.approx((12 + 9.5) / 12.5, rel=0.15)
    assert first / last == pytest.approx((12 + 59.5) / 12.5, rel=0.25)


@pytest.mark.parametrize("seed", [0, 1])
def test_dev_and_test_share_no_person_town_or_noun_with_train(seed):
    pools = {split: task_pools(seed, split) for split in SPLITS}
    for first, second in (("train", "validation"), ("train", "test")):
        names = [{person.name for person in pools[split].people} for split in (first, second)]
        assert not names[0] & names[1]
        for values in DISJOINT:
            assert not {*pools[first].values[values]} & {*pools[second].values[values]}
    everything = corpus_pools(seed)
    for split in SPLITS:
        assert set(pools[split].people) < set(everything.people)


def test_dev_has_sentiment_words_that_train_lacks():
    for kind in ("positive", "negative"):
        train, dev = (set(getattr(task_pools(0, split), kind)) for split in SPLITS[:2])
        assert 0.5 < len(dev - train) / len(dev) < 0.8


def test_two_seeds_are_two_worlds():
    first, second = corpus_pools(0), corpus_pools(1)
    assert first.people != second.people
    assert set(first.values["towns"]) != set(second.values["towns"])
    assert task_pools(0, "train").values["goods"] != task_pools(1, "train").values["goods"]


def test_words_have_one_class():
    nouns = [noun for kinds in (lexicon.GOODS, lexicon.ANIMALS, lexicon.FOODS) for noun in kinds]
    members = [
        noun
        for kinds in (lexicon.GOODS, lexicon.ANIMALS, lexicon.FOODS)
        for words in kinds.values()
        for noun in words
    ]
    everything = [*nouns, *members, *lexicon.JOBS, *lexicon.PLACES, *lexicon.DAYS, *lexicon.COLOURS]
    assert [word for word, count in Counter(everything).items() if count > 1] == []
    assert not set(lexicon.POSITIVE) & set(lexicon.NEGATIVE)
    assert not set(lexicon.WOMEN) & set(lexicon.MEN)
    # Texts are lower-cased: a name must not read like another word.
    names = {name.lower() for name in (*lexicon.WOMEN, *lexicon.MEN)}
    assert not names & {*everything, *lexicon.POSITIVE, *lexicon.NEGATIVE}
    assert set(lexicon.HABITS) == set(nouns)
