"""Dropout whose random numbers are cheap, as a stream or keyed.

On a CPU the library's dropout spends more time on random numbers than a small network spends on
its matrix products: one draw per element. Here one 64-bit draw of the same default generator
decides four elements, each kept with probability round(2^16 (1 - rate)) / 2^16. The result is a
pure function of the generator's state and does not depend on the number of threads.

Where tokens carry keys (packed samples, on a GPU), a hash of the token's key, the place in the
network and the channel decides each element, so that what is dropped depends neither on how samples
are packed nor on the device, and the backward pass works the mask out again instead of reading it.
Without keys and elsewhere the library's kernels are used.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

SIXTEEN_BITS = 2**16
# Of murmur3's finaliser and the golden ratio, as int32.
FIRST, SECOND, GOLDEN = 0x85EBCA6B - 2**32, 0xC2B2AE35 - 2**32, 0x9E3779B1 - 2**32
SIGN = -(2**31)


def keep_mask(x: Tensor, rate: float) -> tuple[Tensor, float]:
    """A mask of x's shape and dtype (0 with probability `rate`, else 1), and 1 / the share kept."""
    count = x.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    dropped = max(1, round(SIXTEEN_BITS * rate))
    last_dropped = dropped - SIXTEEN_BITS // 2 - 1
    # Clamped to two neighbouring values in place: several times faster than a comparison.
    mask = bits.view(torch.int16)[:count].clamp_(last_dropped, last_dropped + 1).sub_(last_dropped)
    return mask.view(x.shape).to(x.dtype), SIXTEEN_BITS / (SIXTEEN_BITS - dropped)


def scrambled(words: Tensor) -> Tensor:
    """A hash of each int32: murmur3's finaliser without its last shift."""
    words = words * FIRST
    # The shift of a signed number copies its sign into the bits that must be 0.
    return (words ^ ((words >> 15) & 0x1FFFF)) * SECOND


def site_keys(keys: Tensor, sites: Tensor) -> Tensor:
    """Keys int32 of tokens for one place of the network (sites: a scalar int32) or for several, in
    a new last dimension.
    """
    if sites.dim():
        keys = keys[..., None]
    return scrambled(keys ^ (sites + 1) * GOLDEN)


def keyed_keep(keys: Tensor, columns: int, rate: float) -> Tensor:
    """Bool (..., columns): whether each column of a row with that int32 key (...,) is kept."""
    column = torch.arange(columns, dtype=torch.int32, device=keys.device) * GOLDEN
    words = scrambled(keys[..., None] ^ column)
    # As an unsigned number at least rate * 2^32: signs flipped, a comparison of signed ones.
    return (words ^ SIGN) >= threshold(rate) + SIGN


def threshold(rate: float) -> int:
    """The number of 2^32 words that are dropped."""
    return round(rate * 2**32)


def dropout(x: Tensor, rate: float, training: bool, keys: Tensor | None = None) -> Tensor:
    """x with elements zeroed with probability `rate` and the rest scaled up, when `training`.

    `keys` int32 are those of x's rows, for this place (`site_keys`).
    """
    if not training or rate == 0:
        return x
    if keys is not None:
        return torch.where(keyed_keep(keys, x.shape[-1], rate), x / (1 - rate), 0)
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        mask, scale = keep_mask(x, rate)
        # Two products: the scale itself would be rounded badly in bf16.
        return x * mask * scale
    return functional.dropout(x, rate)


class Dropout(nn.Module):
    """`dropout` as a module that follows train() and eval(); `site` numbers it in its network."""

    def __init__(self, rate: float, site: int = 0):
        super().__init__()
        self.rate = rate
        # A tensor, so that a compiler makes one kernel for all places.
        self.register_buffer("site", torch.tensor(site, dtype=torch.int32), persistent=False)

    def forward(self, x: Tensor, keys: Tensor | None = None) -> Tensor:
        """Same shape and dtype as x; `keys` int32 are those of x's rows (tokens)."""
        if keys is not None and self.training and self.rate:
            keys = site_keys(keys, self.site)
        return dropout(x, self.rate, self.training, keys)
