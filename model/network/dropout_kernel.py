"""Dropout on a GPU where nothing is compiled: one Triton kernel, for the forward and backward pass.

In: a tensor (X, C), its rows' keys int64 (X,), the numbers int32 (2,) of the place (chance.py).
Out: the tensor with the same elements dropped as on a CPU.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from model.network.chance import threshold
from model.network.packed_attention import constant

ELEMENTS = 2048  # of a program


@triton.jit
def _kernel(
    x_ptr,
    keys_ptr,
    factors_ptr,
    out_ptr,
    rows,
    first_kept,
    kept_scale,
    columns: tl.constexpr,
    R: tl.constexpr,
    C: tl.constexpr,
):
    row_R = tl.program_id(0) * R + tl.arange(0, R)
    column_C = tl.arange(0, C)
    key_R = tl.load(keys_ptr + row_R, mask=row_R < rows, other=0)
    low_R = key_R.to(tl.int32) * tl.load(factors_ptr)
    high_R = (key_R >> 32).to(tl.int32) * tl.load(factors_ptr + 1)
    words_RC = low_R[:, None] * constant(1 + column_C)[None, :] + high_R[:, None]
    inside_RC = (row_R < rows)[:, None] & (column_C < columns)[None, :]
    places_RC = row_R.to(tl.int64)[:, None] * columns + column_C[None, :]
    x_RC = tl.load(x_ptr + places_RC, mask=inside_RC, other=0.0).to(tl.float32)
    x_RC = tl.where(words_RC >= first_kept, x_RC * kept_scale, 0.0)
    tl.store(out_ptr + places_RC, x_RC.to(out_ptr.dtype.element_ty), mask=inside_RC)


class Dropped(torch.autograd.Function):
    """`dropout(x, keys, factors, rate)`; nothing but the keys is kept for the backward pass."""

    @staticmethod
    def forward(ctx, x_XC: Tensor, keys_X: Tensor, factors_2: Tensor, rate: float) -> Tensor:
        """Same shape and dtype as x."""
        ctx.save_for_backward(keys_X, factors_2)
        ctx.rate = rate
        return _dropped(x_XC, keys_X, factors_2, rate)

    @staticmethod
    def backward(ctx, grad_XC: Tensor) -> tuple:
        """The gradient of x: what is dropped has none."""
        return _dropped(grad_XC, *ctx.saved_tensors, ctx.rate), None, None, None


def _dropped(x_XC: Tensor, keys_X: Tensor, factors_2: Tensor, rate: float) -> Tensor:
    x_XC, keys_X, columns = x_XC.contiguous(), keys_X.contiguous(), x_XC.shape[-1]
    out_XC = torch.empty_like(x_XC)
    width = triton.next_power_of_2(columns)
    height = max(1, ELEMENTS // width)
    numbers = (keys_X.numel(), threshold(rate), 1 / (1 - rate))
    _kernel[(triton.cdiv(keys_X.numel(), height),)](
        x_XC, keys_X, factors_2, out_XC, *numbers, columns=columns, R=height, C=width
    )
    return out_XC
