"""Random draws that are the same on every machine and Python version.

In: a key (any mix of strings and numbers). Out: draws that depend on nothing but the key. Only
`Random.random` is used, the one method whose sequence Python guarantees not to change.
"""

import hashlib
import random
from collections.abc import MutableSequence, Sequence
from typing import TypeVar

Item = TypeVar("Item")
# Frequencies fall like 1 / (rank + FLATTENING), Zipf's law with Mandelbrot's correction: without
# it the first of sixty words would take a fifth of all draws and passages would be about one town.
FLATTENING = 12


def number_of(*key: str | int) -> int:
    """A 64-bit number that depends on the key only."""
    text = " ".join(map(repr, key)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())


class Draw:
    """A stream of draws; equal keys give equal streams."""

    __slots__ = ("unit",)

    def __init__(self, *key: str | int):
        self.unit = random.Random(number_of(*key)).random  # uniform in [0, 1)

    def chance(self, probability: float) -> bool:
        """Whether an event of this probability happens."""
        return self.unit() < probability

    def below(self, bound: int) -> int:
        """Uniform over 0..bound-1."""
        return int(self.unit() * bound)

    def between(self, low: int, high: int) -> int:
        """Uniform over low..high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        """One item, all alike."""
        return items[int(self.unit() * len(items))]

    def frequent(self, items: Sequence[Item]) -> Item:
        """One item, the earlier the more likely: Zipf-like over the items' order."""
        size = len(items)
        return items[int(FLATTENING * (1 + size / FLATTENING) ** self.unit()) - FLATTENING]

    def other(self, items: Sequence[Item], *taken: Item) -> Item:
        """One item that is none of `taken`, all alike."""
        while (item := self.pick(items)) in taken:
            pass
        return item

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """Different items in random order."""
        return self.shuffled(items)[:count]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """All items in random order."""
        result = list(items)
        self.shuffle(result)
        return result

    def shuffle(self, items: MutableSequence) -> None:
        """Put items in random order, in place."""
        for place in range(len(items) - 1, 0, -1):
            other = self.below(place + 1)
            items[place], items[other] = items[other], items[place]
