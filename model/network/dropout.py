"""Dropout without a generator: a pure function of keys.

The key of a token (of seed, epoch, sample and position: model.samples.keyed), the place in the
network and the channel decide what is dropped, so that it depends neither on how samples are cut
into micro-batches, padded, packed and dealt to processes nor on the device. A GPU's backward pass
works the mask out again instead of reading it.

A key's 64 bits are two random numbers, low and high of 32 bits each. An element's word is low x
(number of its place) x (number of its channel) + high x (another number of its place), modulo 2^32;
of the 2^32 words the lowest are dropped. So any two elements of a token, in all its places, are
independent (Dietzfelbinger 1996), those of several tokens anyway, and a CPU needs three passes.

Legend: X any number of dimensions, C channels.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

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
    return constants(torch.arange(1, columns + 1, dtype=torch.int32, device=device))


_known_columns = lru_cache(column_factors)


def threshold(rate: float) -> int:
    """The least word, of those from -2^31 on, that is kept."""
    return round(rate * 2**32) - 2**31


def words(keys_X: Tensor, factors: Tensor, columns_C: Tensor) -> Tensor:
    """The words int32 (X, C) of tokens with these keys; `factors` int32 (2, …) broadcast with X."""
    low_X, high_X = keys_X.to(torch.int32), (keys_X >> 32).to(torch.int32)
    words_XC = low_X[..., None] * (factors[0][..., None] * columns_C)
    return words_XC.add_((high_X * factors[1])[..., None])


def keep_mask(
    keys_X: Tensor, factors: Tensor, columns: int, rate: float, dtype: torch.dtype
) -> Tensor:
    """1 of `dtype` (X, columns) where an element is kept, else 0; on a CPU."""
    words_XC = words(keys_X, factors, _known_columns(columns))
    mask_XC = torch.empty(words_XC.shape, dtype=dtype)
    return torch.ge(words_XC, threshold(rate), out=mask_XC)


def dropout(x_XC: Tensor, keys_X: Tensor, factors: Tensor, rate: float) -> Tensor:
    """x with elements zeroed with probability `rate` and the rest scaled up, of the same dtype.

    `keys` int64 are those of x's rows, `factors` those of this place (`site_factors`).
    """
    columns = x_XC.shape[-1]
    if x_XC.device.type == "cpu" and not torch.compiler.is_compiling():
        # Two products: the scale itself would be rounded badly in bf16.
        return x_XC * keep_mask(keys_X, factors, columns, rate, x_XC.dtype) * (1 / (1 - rate))
    kept_XC = words(keys_X, factors, column_factors(columns, x_XC.device)) >= threshold(rate)
    return torch.where(kept_XC, x_XC / (1 - rate), 0)


class Dropout(nn.Module):
    """`dropout` as a module that follows train() and eval(); `site` numbers it in its network."""

    def __init__(self, rate: float, site: int):
        super().__init__()
        self.rate = rate
        # A tensor, so that a compiler makes one kernel for all places.
        self.register_buffer("factors", site_factors(site)[:, 0].clone(), persistent=False)

    def forward(self, x_XC: Tensor, keys_X: Tensor | None) -> Tensor:
        """Same shape and dtype as x; `keys` int64 are those of x's rows (tokens), None where
        nothing is dropped.
        """
        if not self.training or self.rate == 0:
            return x_XC
        return dropout(x_XC, keys_X, self.factors, self.rate)
