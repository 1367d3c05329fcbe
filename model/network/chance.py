"""What dropout drops: a pure function of keys.

The key of a token (of seed, epoch, sample and position: model.samples.keyed), the place in the
network and the channel decide what is dropped, so that it depends neither on how samples are cut
into micro-batches, padded, packed and dealt to processes nor on the device.

A key's 64 bits are two random numbers, low and high of 32 bits each. An element's word is low x
(number of its place) x (number of its channel) + high x (another number of its place), modulo 2^32;
of the 2^32 words the lowest are dropped. So any two elements of a token, in all its places, are
independent (Dietzfelbinger 1996), those of several tokens anyway, and a CPU needs three passes.

Legend: X any number of dimensions, C channels.
"""

from functools import lru_cache

import torch
from torch import Tensor

# Of murmur3's finaliser and the golden ratio, as int32.
FIRST, SECOND, GOLDEN = 0x85EBCA6B - 2**32, 0xC2B2AE35 - 2**32, 0x9E3779B1 - 2**32


def scrambled(words: Tensor) -> Tensor:
    """A hash of each int32: murmur3's finaliser without its last shift."""
    words = words * FIRST
    # The shift of a signed number copies its sign into the bits that must be 0.
    return (words ^ ((words >> 15) & 0x1FFFF)) * SECOND


def constants(numbers: Tensor) -> Tensor:
    """A random-looking int32 for each int32."""
    return scrambled(scrambled(numbers * GOLDEN) ^ GOLDEN)


@lru_cache
def site_factors(first: int, sites: int = 1) -> Tensor:
    """The two odd numbers of places of the network, int32 (2, sites)."""
    numbers = torch.arange(first, first + sites, dtype=torch.int32) * 2
    return constants(-1 - torch.stack([numbers, numbers + 1])) | 1


def column_factors(columns: int, device: torch.device | None = None) -> Tensor:
    """The numbers of channels, int32 (columns,)."""
    numbers = torch.arange(1, columns + 1, device=device)
    # The mask changes nothing. Of a plain counter torch.compile works out products in advance,
    # without wrapping them: they fit no int32, and Triton takes them for an error.
    return constants((numbers & 0x7FFFFFFF).to(torch.int32))


def threshold(rate: float) -> int:
    """The least word, of those from -2^31 on, that is kept."""
    return round(rate * 2**32) - 2**31


def words(keys_X: Tensor, factors: Tensor, columns_C: Tensor) -> Tensor:
    """The words int32 (X, C) of tokens with these keys; `factors` int32 (2, …) broadcast with X."""
    low_X, high_X = keys_X.to(torch.int32), (keys_X >> 32).to(torch.int32)
    words_XC = low_X[..., None] * (factors[0][..., None] * columns_C)
    return words_XC.add_((high_X * factors[1])[..., None])
