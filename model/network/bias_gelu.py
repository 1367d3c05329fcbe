"""Bias and exact GELU of a linear layer on a GPU: one Triton kernel each way.

The backward kernel also adds up the bias's gradient, which would be a pass of its own over the
widest activations of the network.

Legend: P packed tokens, F feed-forward width; in kernels R rows and C columns of a block.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS, COLUMNS, WARPS = 16, 512, 4
ROWS_OF_PROGRAM = 512  # of the backward kernel: each adds one row to the bias's partial sums
HALF_ROOT, DENSITY = 0.7071067811865476, 0.3989422804014327  # 1 / sqrt(2), 1 / sqrt(2 pi)


@triton.jit
def _forward(x_ptr, bias_ptr, out_ptr, rows, F, R: tl.constexpr, C: tl.constexpr, HALF_ROOT):
    row_R = tl.program_id(0) * R + tl.arange(0, R)
    column_C = tl.program_id(1) * C + tl.arange(0, C)
    inside_RC = (row_R < rows)[:, None] & (column_C < F)[None, :]
    at_RC = row_R.to(tl.int64)[:, None] * F + column_C[None, :]
    bias_C = tl.load(bias_ptr + column_C, mask=column_C < F, other=0.0)
    x_RC = tl.load(x_ptr + at_RC, mask=inside_RC, other=0.0).to(tl.float32) + bias_C[None, :]
    y_RC = 0.5 * x_RC * (1 + tl.erf(x_RC * HALF_ROOT))
    tl.store(out_ptr + at_RC, y_RC.to(out_ptr.dtype.element_ty), mask=inside_RC)


@triton.jit
def _backward(
    grad_ptr,
    x_ptr,
    bias_ptr,
    grad_x_ptr,
    partial_ptr,
    rows,
    F,
    each,
    R: tl.constexpr,
    C: tl.constexpr,
    HALF_ROOT,
    DENSITY,
):
    column_C = tl.program_id(1) * C + tl.arange(0, C)
    bias_C = tl.load(bias_ptr + column_C, mask=column_C < F, other=0.0)
    sum_C = tl.zeros((C,), tl.float32)
    for first in range(0, each, R):
        row_R = tl.program_id(0) * each + first + tl.arange(0, R)
        inside_RC = (row_R < rows)[:, None] & (column_C < F)[None, :]
        at_RC = row_R.to(tl.int64)[:, None] * F + column_C[None, :]
        x_RC = tl.load(x_ptr + at_RC, mask=inside_RC, other=0.0).to(tl.float32) + bias_C[None, :]
        grad_RC = tl.load(grad_ptr + at_RC, mask=inside_RC, other=0.0).to(tl.float32)
        slope_RC = 0.5 * (1 + tl.erf(x_RC * HALF_ROOT))
        slope_RC += x_RC * DENSITY * tl.exp(-0.5 * x_RC * x_RC)
        grad_RC = grad_RC * slope_RC
        sum_C += tl.sum(grad_RC, 0)
        tl.store(grad_x_ptr + at_RC, grad_RC.to(grad_x_ptr.dtype.element_ty), mask=inside_RC)
    tl.store(partial_ptr + tl.program_id(0) * F + column_C, sum_C, mask=column_C < F)


@torch.library.custom_op("roberta::bias_gelu", mutates_args=())
def bias_gelu(x: Tensor, bias: Tensor) -> Tensor:
    """GELU(x + bias) of x (P, F) in its dtype; bias (F,) fp32."""
    rows, width = x.shape
    out = torch.empty_like(x)
    grid = (triton.cdiv(rows, ROWS), triton.cdiv(width, COLUMNS))
    _forward[grid](x, bias, out, rows, width, ROWS, COLUMNS, HALF_ROOT, num_warps=WARPS)
    return out


@torch.library.custom_op("roberta::bias_gelu_backward", mutates_args=())
def bias_gelu_backward(grad: Tensor, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of x (P, F) and of the bias (F,)."""
    rows, width = x.shape
    grad_x = torch.empty_like(x)
    programs = triton.cdiv(rows, ROWS_OF_PROGRAM)
    partial = torch.empty(programs, width, dtype=torch.float32, device=x.device)
    _backward[(programs, triton.cdiv(width, COLUMNS))](
        grad.contiguous(),
        x,
        bias,
        grad_x,
        partial,
        rows,
        width,
        ROWS_OF_PROGRAM,
        ROWS,
        COLUMNS,
        HALF_ROOT,
        DENSITY,
        num_warps=WARPS,
    )
    return grad_x, partial.sum(0).to(bias.dtype)


@bias_gelu.register_fake
def _(x, bias):
    return torch.empty_like(x)


@bias_gelu_backward.register_fake
def _(grad, x, bias):
    return torch.empty_like(x), torch.empty_like(bias)


def _remember(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _gradient(ctx, grad):
    return bias_gelu_backward(grad, *ctx.saved_tensors)


bias_gelu.register_autograd(_gradient, setup_context=_remember)
