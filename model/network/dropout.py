"""Dropout without a generator: a pure function of keys.

A hash of a token's key (of seed, epoch, sample and position: model.samples.keyed), of the place in
the network and of the channel decides what is dropped, so that it depends neither on how samples
are cut into micro-batches, padded, packed and dealt to processes nor on the device. A GPU's
backward pass works the mask out again instead of reading it; on a CPU the hash is worked out in
place, which takes less time than random numbers of a generator would.

Legend: X any number of dimensions, C channels.
"""

import torch
from torch import Tensor, nn

# Of murmur3's finaliser and the golden ratio, as int32.
FIRST, SECOND, GOLDEN = 0x85EBCA6B - 2**32, 0xC2B2AE35 - 2**32, 0x9E3779B1 - 2**32
SIGN = -(2**31)
PIECE = 2**19  # elements hashed at a time on a CPU: they stay in its cache


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


def threshold(rate: float) -> int:
    """The number of 2^32 words that are dropped."""
    return round(rate * 2**32)


def keyed_keep(keys: Tensor, columns: int, rate: float) -> Tensor:
    """Bool (..., columns): whether each column of a row with that int32 key (...,) is kept."""
    words = scrambled(keys[..., None] ^ _columns(columns, keys.device))
    # As an unsigned number at least rate * 2^32: signs flipped, a comparison of signed ones.
    return (words ^ SIGN) >= threshold(rate) + SIGN


def keep_mask(keys: Tensor, columns: int, rate: float, dtype: torch.dtype) -> Tensor:
    """`keyed_keep` as 0 and 1 of `dtype`: the same function, for a CPU."""
    mask = torch.empty(*keys.shape, columns, dtype=dtype)
    sign, column_C = torch.tensor(SIGN, dtype=torch.int32), _columns(columns)
    rows = max(1, PIECE // columns)
    pieces = keys.flatten().split(rows), mask.view(-1, columns).split(rows)
    for keys_R, mask_RC in zip(*pieces, strict=True):
        words_RC = (keys_R[:, None] ^ column_C).mul_(FIRST)
        words_RC ^= (words_RC >> 15).bitwise_and_(0x1FFFF)
        # One pass for the second product and the flipped signs.
        torch.add(sign, words_RC, alpha=SECOND, out=words_RC)
        torch.ge(words_RC, threshold(rate) + SIGN, out=mask_RC)
    return mask


def _columns(columns: int, device: torch.device | None = None) -> Tensor:
    return torch.arange(columns, dtype=torch.int32, device=device) * GOLDEN


def dropout(x_XC: Tensor, keys_X: Tensor, rate: float) -> Tensor:
    """x with elements zeroed with probability `rate` and the rest scaled up, of the same dtype.

    `keys` int32 are those of x's rows, for this place (`site_keys`).
    """
    columns = x_XC.shape[-1]
    if x_XC.device.type == "cpu" and not torch.compiler.is_compiling():
        # Two products: the scale itself would be rounded badly in bf16.
        return x_XC * keep_mask(keys_X, columns, rate, x_XC.dtype) * (1 / (1 - rate))
    return torch.where(keyed_keep(keys_X, columns, rate), x_XC / (1 - rate), 0)


class Dropout(nn.Module):
    """`dropout` as a module that follows train() and eval(); `site` numbers it in its network."""

    def __init__(self, rate: float, site: int):
        super().__init__()
        self.rate = rate
        # A tensor, so that a compiler makes one kernel for all places.
        self.register_buffer("site", torch.tensor(site, dtype=torch.int32), persistent=False)

    def forward(self, x_XC: Tensor, keys_X: Tensor | None) -> Tensor:
        """Same shape and dtype as x; `keys` int32 are those of x's rows (tokens), None where
        nothing is dropped.
        """
        if not self.training or self.rate == 0:
            return x_XC
        return dropout(x_XC, site_keys(keys_X, self.site), self.rate)
