"""Dropout whose random numbers are cheap on a CPU.

On a CPU the library's dropout spends more time on random numbers than a small network spends on
its matrix products: one draw per element. Here one 64-bit draw of the same default generator
decides four elements, each kept with probability round(2^16 (1 - rate)) / 2^16. The result is a
pure function of the generator's state and does not depend on the number of threads. On other
devices and under the compiler the library's kernels are used.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

SIXTEEN_BITS = 2**16


def keep_mask(x: Tensor, rate: float) -> tuple[Tensor, float]:
    """A mask of x's shape and dtype (0 with probability `rate`, else 1), and 1 / the share kept."""
    count = x.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    dropped = max(1, round(SIXTEEN_BITS * rate))
    last_dropped = dropped - SIXTEEN_BITS // 2 - 1
    # Clamped to two neighbouring values in place: several times faster than a comparison.
    mask = bits.view(torch.int16)[:count].clamp_(last_dropped, last_dropped + 1).sub_(last_dropped)
    return mask.view(x.shape).to(x.dtype), SIXTEEN_BITS / (SIXTEEN_BITS - dropped)


def dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """x with elements zeroed with probability `rate` and the rest scaled up, when `training`."""
    if not training or rate == 0:
        return x
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        mask, scale = keep_mask(x, rate)
        # Two products: the scale itself would be rounded badly in bf16.
        return x * mask * scale
    return functional.dropout(x, rate)


class Dropout(nn.Module):
    """`dropout` as a module that follows train() and eval()."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Same shape and dtype as x."""
        return dropout(x, self.rate, self.training)
