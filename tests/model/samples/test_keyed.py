"""Keyed draws: golden values, the same bits in numpy and torch, no visible structure."""

import math
import warnings
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.samples import keyed
from model.samples.keyed import Order, below, chance, draws, key_of_stream, permutation

int64 = st.integers(-(1 << 63), (1 << 63) - 1)


def test_golden_values():
    assert key_of_stream(0, "order", 0) == -4806952291979021140
    assert key_of_stream(7, "mask.place", 3, -1) == 8224771178040479659
    assert draws(0, np.arange(3)).tolist() == [
        -2152535657050944081,
        -7995527694508729151,
        -7541218347953203506,
    ]
    assert draws(123, np.array([1, 2]), np.array([5, -6])).tolist() == [
        6669369688979690313,
        -5381070877017957866,
    ]
    drawn = draws(0, np.arange(6))
    assert below(drawn, 10).tolist() == [8, 5, 5, 1, 4, 3]
    assert chance(drawn, 0.5).tolist() == [False, False, False, True, True, True]
    assert permutation(0, "order", 0, 8).tolist() == [6, 3, 4, 1, 5, 7, 0, 2]
    assert permutation(0, "order", 1, 8).tolist() == [7, 3, 1, 6, 0, 2, 5, 4]
    assert permutation(1, "order", 0, 8).tolist() == [2, 4, 0, 1, 3, 5, 7, 6]


def reference(key: int, *words: int) -> int:
    """The same draw in Python's unbounded integers: SplitMix64's finaliser over 64 bits."""
    low = (1 << 64) - 1
    state = key & low
    for word in words:
        x = ((word & low) ^ state) + 0x9E3779B97F4A7C15 & low
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & low
        x = (x ^ x >> 27) * 0x94D049BB133111EB & low
        state = x ^ x >> 31
    return state - (1 << 64) if state >> 63 else state


@given(int64, int64, int64)
def test_draws_equal_a_reference_in_unbounded_integers(key, one, two):
    assert draws(key, np.array([one]), np.array([two])).tolist() == [reference(key, one, two)]


@given(int64, st.lists(int64, min_size=1, max_size=40), int64)
def test_numpy_and_torch_agree_without_warnings(key, words, other):
    array = np.array(words, dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = draws(key, array, np.array([other]))
        assert (below(ours, 1 << 31) >= 0).all()
    theirs = draws(key, torch.tensor(words), torch.tensor([other]))
    assert ours.tolist() == theirs.tolist()
    assert below(ours, 50_000).tolist() == below(theirs, 50_000).tolist()
    assert chance(ours, 0.15).tolist() == chance(theirs, 0.15).tolist()


@given(st.lists(int64, min_size=1, max_size=40))
def test_tensors_are_mixed_as_arrays_are(words):
    """What a GPU's tensors go through; those of a CPU are drawn as arrays."""
    assert keyed._mix(torch.tensor(words)).tolist() == keyed._mix(np.array(words)).tolist()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_gives_the_same_bits():
    words = torch.arange(100_000)
    assert torch.equal(draws(5, words), draws(5, words.cuda()).cpu())


@pytest.mark.parametrize("bit", [0, 1, 7, 31, 32, 62, 63])
def test_every_input_bit_moves_every_output_bit_half_the_time(bit):
    words = np.arange(20_000)
    flipped = words ^ (np.array([1]) << bit)
    changed = draws(1, words) ^ draws(1, flipped)
    shares = [((changed >> i) & 1).mean() for i in range(64)]
    # Five standard errors of a share of 20,000 fair coins.
    assert np.abs(np.array(shares) - 0.5).max() < 0.018


@pytest.mark.parametrize("buckets", [2, 7, 100, 997])
def test_buckets_are_filled_evenly(buckets):
    for words in (np.arange(100_000), np.arange(100_000) << 20):
        counts = np.bincount(below(draws(3, words), buckets), minlength=buckets)
        expected = len(words) / buckets
        chi_square = ((counts - expected) ** 2 / expected).sum()
        degrees = buckets - 1
        assert abs(chi_square - degrees) < 5 * np.sqrt(2 * degrees)


def test_words_do_not_commute_and_streams_differ():
    a, b = np.array([1]), np.array([2])
    assert draws(0, a, b) != draws(0, b, a)
    assert key_of_stream(0, "a") != key_of_stream(0, "b")
    assert key_of_stream(0, "a", 1) != key_of_stream(1, "a", 0)


def test_chance_has_its_share():
    drawn = draws(9, np.arange(100_000))
    assert chance(drawn, 0.15).mean() == pytest.approx(0.15, abs=0.006)
    assert not chance(drawn, 0.0).any()
    assert chance(drawn, 1.0).all()


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 200))
def test_permutation_has_everything_once(seed, epoch, n):
    assert sorted(permutation(seed, "order", epoch, n).tolist()) == list(range(n))


def whole(n: int, seed: int = 0, epoch: int = 0) -> np.ndarray:
    return Order(seed, "order", epoch, n)[np.arange(n)]


def test_golden_orders():
    assert whole(8).tolist() == [6, 3, 4, 1, 5, 7, 0, 2]
    long, longest = Order(0, "order", 0, 70_000), Order(1, "order", 2, 210_000_000)
    assert long[np.array([0, 1, 2, 69_999])].tolist() == [19462, 24611, 32037, 57008]
    places = np.array([0, 1, 2, 209_999_999])
    assert longest[places].tolist() == [37442668, 141326686, 40875579, 57349220]


@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000, 1 << 16, (1 << 16) + 1, 70_000, 300**2, 100_003])
def test_an_order_has_everything_once(n):
    assert np.array_equal(np.sort(whole(n)), np.arange(n))


@given(st.integers(2, 400), st.integers(0, 5), st.integers(0, 5))
def test_a_network_has_everything_once_whatever_its_sides(n, seed, epoch):
    with patch.object(keyed, "SORTED", 0):
        assert sorted(whole(n, seed, epoch).tolist()) == list(range(n))


@given(st.integers(1, 1 << 40), st.lists(st.integers(0, (1 << 40) - 1), min_size=1, max_size=20))
def test_any_part_of_an_order_can_be_had(n, positions):
    order = Order(0, "order", 0, n)
    positions = np.array(positions) % n
    elements = order[positions]
    assert ((elements >= 0) & (elements < n)).all()
    for position, element in zip(positions, elements, strict=True):
        assert order[np.array([position])] == element


def test_orders_differ_by_seed_and_epoch():
    orders = [whole(70_000, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (orders[one] == orders[other]).mean() < 0.001


def chi_square_is_usual(counts: np.ndarray, within: float = 5.0) -> bool:
    """Whether counts that should be equal are so, by standard errors of chi-square."""
    expected, degrees = counts.mean(), counts.size - 1
    excess = ((counts - expected) ** 2 / expected).sum() - degrees
    return abs(excess) < within * np.sqrt(2 * degrees)


@pytest.mark.parametrize("bound", [0, 1 << 16])  # the network; sorted draws
@pytest.mark.parametrize(("n", "orders"), [(5, 4000), (30, 4000), (1000, 2000)])
def test_each_element_and_each_pair_is_in_each_place_equally_often(n, orders, bound, monkeypatch):
    monkeypatch.setattr(keyed, "SORTED", bound)
    drawn = np.array([whole(n, seed) for seed in range(orders)])
    place = np.arange(n) * n
    assert chi_square_is_usual(np.bincount((drawn + place).ravel(), minlength=n * n))
    pairs = np.bincount((drawn[:, :-1] * n + drawn[:, 1:]).ravel(), minlength=n * n)
    assert chi_square_is_usual(pairs[~np.eye(n, dtype=bool).ravel()])
    steps = (drawn[:, 1:] - drawn[:, :-1]) % n
    assert chi_square_is_usual(np.bincount(steps.ravel(), minlength=n)[1:])
    # Across a row of the network's grid: places that share a column.
    side = math.isqrt(n - 1) + 1
    steps = (drawn[:, side:] - drawn[:, :-side]) % n
    assert chi_square_is_usual(np.bincount(steps.ravel(), minlength=n)[1:])
