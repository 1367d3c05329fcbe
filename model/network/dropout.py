"""Dropout without a generator: what is dropped is a function of keys (chance.py).

On a CPU a mask is made and kept for the backward pass; a GPU works it out again instead of reading
it, in a kernel that a compiler makes of it or, where nothing is compiled, in one of our own.

Legend: X any number of dimensions, C channels.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

from model.network.chance import column_factors, site_factors, threshold, words

_known_columns = lru_cache(column_factors)


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
    columns, eager = x_XC.shape[-1], not torch.compiler.is_compiling()
    if eager and x_XC.device.type == "cuda":
        from model.network.dropout_kernel import Dropped  # needs Triton

        return Dropped.apply(x_XC, keys_X, factors, rate)
    if eager:
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
