"""Keyed draws: randomness as a pure function of named integers (design: invariant 1).

In: a seed, the name of a stream (what the draw decides), and integers such as epoch, sample id and
position. Out: int64 values that look random and are the same bits for numpy arrays and for torch
tensors on any device, because the one implementation uses only what they share: xor, addition,
masked shift and wrapping multiplication of int64. Nothing here has state, so no draw depends on
workers, ranks, batches or on where a run was interrupted.

The mixing step is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, variant 13 of Stafford).
"""

import hashlib
import math
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:  # who draws for arrays only need not load torch, which takes a second
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")

SORTED = 1 << 16  # elements of an order that is held as a whole
ROUNDS = 10  # of the Feistel network, as in NIST's FF1 (SP 800-38G)


def _signed(value: int) -> int:
    """The int64 with the same low 64 bits."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _mix(x: Array) -> Array:
    """A bijection of int64, in place, after which every input bit moves every output bit half the
    time.
    """
    # int64 shifts copy the sign bit; the masks make them logical.
    x ^= (x >> 30) & ((1 << 34) - 1)
    x *= _FIRST
    x ^= (x >> 27) & ((1 << 37) - 1)
    x *= _SECOND
    x ^= (x >> 31) & ((1 << 33) - 1)
    return x


@lru_cache(1024)
def key_of_stream(seed: int, stream: str, *words: int) -> int:
    """The key of a stream of draws: an int64 as a Python int, from plain integers.

    `seed` and `words` may be any integers (their low 64 bits count); `stream` names what is drawn.
    """
    digest = hashlib.blake2b(stream.encode(), digest_size=8).digest()
    state = _signed(int.from_bytes(digest, "little"))
    for word in (seed, *words):
        # Arrays of one element: numpy warns when scalars overflow, never when arrays do.
        state = int(draws(state, np.array([_signed(int(word))]))[0])
    return state


def draws(key: int | Array, *words: Array) -> Array:
    """One int64 draw per element of `words`: broadcastable int64 arrays or tensors, at least 1-D.

    `key` comes from `key_of_stream`, or holds a key per element (earlier draws). Equal words give
    equal draws; the order of the words matters.
    """
    if not isinstance(words[0], np.ndarray) and not words[0].is_cuda:
        import torch  # loaded already, by whoever made the words

        # On a CPU numpy is several times as fast with the few numbers of a batch.
        arrays = (word if isinstance(word, int) else word.numpy() for word in (key, *words))
        return torch.from_numpy(draws(*arrays))
    state = key
    for word in words:
        state = word ^ state
        state += _GOLDEN
        state = _mix(state)
    return state


def token_keys(key: int, epochs: np.ndarray, rows: np.ndarray, length: int) -> np.ndarray:
    """Keys of dropout, int64 (B, length), for the tokens of `rows` int64 (B,) in `epochs`, int64 of
    a shape that broadcasts with it.
    """
    rows_B1 = draws(key, epochs, rows)[:, None]
    return draws(rows_B1, np.arange(length))


def below(draw: Array, n: int | Array) -> Array:
    """Uniform integers 0..n-1, int64, from draws; `n` is an int or an array, at most 2**31."""
    return (((draw >> 32) & 0xFFFFFFFF) * n) >> 32


def chance(draw: Array, probability: float) -> Array:
    """Boolean, True with this probability, from draws."""
    return ((draw >> 11) & ((1 << 53) - 1)) < int(probability * (1 << 53))


def permutation(seed: int, stream: str, epoch: int, n: int) -> np.ndarray:
    """The order of 0..n-1 in an epoch, int64 (n,): all orders are equally likely."""
    key = key_of_stream(seed, stream, epoch)
    return np.argsort(draws(key, np.arange(n, dtype=np.int64)), kind="stable")


class Order:
    """An order of 0..n-1 of which any part can be had: `order[positions]`, int64 (N,) both.

    Up to SORTED elements it is `permutation`. A longer one is never held: a Feistel network on the
    (row, column) of a grid of a·b places, both about the root of n, which is applied again where it
    gives no element ("cycle walking": Black and Rogaway 2002, Ciphers with arbitrary finite
    domains; unequal sides: Hoang and Rogaway 2010, On generalized Feistel networks). It keeps about
    10·root(n) numbers. A grid of 3·2 places for n = 5, and two rounds:

        shifts    of the row, by column: 2 0; then of the column, by row: 0 0 1
        place 3   row 1 + 0, column 1 + 0: element 3
        place 0   row 0 + 2, column 0 + 1: place 5, no element; row 2 + 0, column 1 + 1: element 4

    What a long order promises: each element once, and, as far as tests show, each in each place and
    each pair in each pair of places equally often over the keys. As any order from a key of 64 bits
    it is one of a few of all n! orders; only in short ones, which are sorted, could that be seen.
    """

    def __init__(self, seed: int, stream: str, epoch: int, n: int):
        self._n, self._whole = n, None
        if n <= SORTED:
            self._whole = permutation(seed, stream, epoch, n)
            return
        self._rows = math.isqrt(n - 1) + 1
        self._columns = -(-n // self._rows)
        key = key_of_stream(seed, stream, epoch)
        self._shifts = []
        for turn in range(ROUNDS):
            sides = self._rows, self._columns
            by, of = reversed(sides) if turn % 2 == 0 else sides
            self._shifts.append(below(draws(key, np.array([turn]), np.arange(by)), of))

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        if self._whole is not None:
            return self._whole[positions]
        elements = self._shuffled(positions)
        while len(beyond := np.flatnonzero(elements >= self._n)):
            elements[beyond] = self._shuffled(elements[beyond])
        return elements

    def _shuffled(self, places: np.ndarray) -> np.ndarray:
        """Where the network takes places of the grid, int64 (N,)."""
        rows = places // self._columns
        columns = places - rows * self._columns
        for turn, shifts in enumerate(self._shifts):
            if turn % 2 == 0:
                rows += shifts[columns]
                rows -= self._rows * (rows >= self._rows)
            else:
                columns += shifts[rows]
                columns -= self._columns * (columns >= self._columns)
        return rows * self._columns + columns
