"""Attention of packed samples on a GPU: Triton kernels, dropout keyed by tokens.

In: queries, keys and values (P, 3, N, D) of samples end to end, `offsets` (S + 1,) int32 where they
begin, tokens' keys of dropout (P,) int64. Out: mixed values (P, N, D) and, for the backward pass,
the log2 of each softmax's sum, (N, P) fp32.

The forward kernel has a program per block of queries, head and sample and goes over the keys with a
running maximum (Dao et al., arXiv 2205.14135). Of the backward kernels one has a program per block
of queries and goes over the keys, the other one per block of keys and goes over the queries. What
dropout drops is worked out again from the keys (chance.py), not stored.

Legend: P packed tokens, S samples, N heads, D width of a head; in kernels M queries, K keys of a
block.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from model.network.chance import FIRST, GOLDEN, SECOND, threshold

LOG2E = 1.4426950408889634


class Blocks(NamedTuple):
    """Queries and keys of a kernel's blocks, and how it runs: the fastest seen on an H100."""

    M: int
    K: int
    num_warps: int
    num_stages: int


FORWARD = Blocks(64, 64, 4, 3)
BACK_QUERIES = Blocks(64, 64, 4, 3)
BACK_KEYS = Blocks(32, 128, 4, 3)


# Kernels see globals of this type only.
_FIRST, _SECOND = tl.constexpr(FIRST), tl.constexpr(SECOND)
_GOLDEN = tl.constexpr(GOLDEN)


@triton.jit
def _scrambled(words):
    words = words * _FIRST
    return (words ^ ((words >> 15) & 0x1FFFF)) * _SECOND


@triton.jit
def constant(numbers):
    """`constants` of chance.py."""
    return _scrambled(_scrambled(numbers * _GOLDEN) ^ _GOLDEN)


@triton.jit
def _row_numbers(keys, site):
    """What the words of rows with these keys in a place are made of: (a, b), a x column + b."""
    low, high = keys.to(tl.int32), (keys >> 32).to(tl.int32)
    return low * (constant(-1 - 2 * site) | 1), high * (constant(-2 - 2 * site) | 1)


@triton.jit(do_not_specialize=["site"])
def _forward(
    qkv_ptr,
    offsets_ptr,
    keys_ptr,
    out_ptr,
    log_sums_ptr,
    tokens,
    site,
    first_kept,
    kept_scale,
    softmax_scale,
    N: tl.constexpr,
    D: tl.constexpr,
    M: tl.constexpr,
    K: tl.constexpr,
    DROPOUT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    block, head, sample = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    start = tl.load(offsets_ptr + sample)
    size = tl.load(offsets_ptr + sample + 1) - start
    if block * M >= size:
        return
    row_M = block * M + tl.arange(0, M)
    dim_D = tl.arange(0, D)
    head_ptr = qkv_ptr + start.to(tl.int64) * 3 * N * D + head * D
    q_MD = tl.load(
        head_ptr + row_M[:, None] * 3 * N * D + dim_D[None, :],
        mask=row_M[:, None] < size,
        other=0.0,
    )
    if DROPOUT:
        key_M = tl.load(keys_ptr + start + row_M, mask=row_M < size, other=0)
        factor_M, offset_M = _row_numbers(key_M, site + head)
    most_M = tl.full((M,), float("-inf"), tl.float32)
    sum_M = tl.zeros((M,), tl.float32)
    mixed_MD = tl.zeros((M, D), tl.float32)
    for first in range(0, size, K):
        place_K = first + tl.arange(0, K)
        inside_K = place_K < size
        tile_KD = head_ptr + place_K[:, None] * 3 * N * D + dim_D[None, :]
        k_KD = tl.load(tile_KD + N * D, mask=inside_K[:, None], other=0.0)
        v_KD = tl.load(tile_KD + 2 * N * D, mask=inside_K[:, None], other=0.0)
        scores_MK = tl.dot(q_MD, tl.trans(k_KD), input_precision=PRECISION) * softmax_scale
        scores_MK = tl.where(inside_K[None, :], scores_MK, float("-inf"))
        more_M = tl.maximum(most_M, tl.max(scores_MK, 1))
        shares_MK = tl.exp2(scores_MK - more_M[:, None])
        shrink_M = tl.exp2(most_M - more_M)
        sum_M = sum_M * shrink_M + tl.sum(shares_MK, 1)
        if DROPOUT:
            words_MK = factor_M[:, None] * constant(1 + place_K)[None, :] + offset_M[:, None]
            shares_MK = tl.where(words_MK >= first_kept, shares_MK, 0.0)
        mixed_MD = mixed_MD * shrink_M[:, None]
        mixed_MD = tl.dot(shares_MK.to(v_KD.dtype), v_KD, mixed_MD, input_precision=PRECISION)
        most_M = more_M
    mixed_MD = mixed_MD * (kept_scale / sum_M)[:, None]
    out_MD = out_ptr + (start + row_M[:, None]).to(tl.int64) * N * D + head * D + dim_D[None, :]
    tl.store(out_MD, mixed_MD.to(out_ptr.dtype.element_ty), mask=row_M[:, None] < size)
    tl.store(
        log_sums_ptr + head * tokens + start + row_M, most_M + tl.log2(sum_M), mask=row_M < size
    )


@triton.jit(do_not_specialize=["site"])
def _backward_queries(
    qkv_ptr,
    offsets_ptr,
    keys_ptr,
    out_ptr,
    log_sums_ptr,
    grad_ptr,
    delta_ptr,
    grad_qkv_ptr,
    tokens,
    site,
    first_kept,
    kept_scale,
    softmax_scale,
    grad_scale,
    N: tl.constexpr,
    D: tl.constexpr,
    M: tl.constexpr,
    K: tl.constexpr,
    DROPOUT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    block, head, sample = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    start = tl.load(offsets_ptr + sample)
    size = tl.load(offsets_ptr + sample + 1) - start
    if block * M >= size:
        return
    row_M = block * M + tl.arange(0, M)
    here_M = row_M < size
    dim_D = tl.arange(0, D)
    head_at = start.to(tl.int64) * 3 * N * D + head * D
    tile_MD = row_M[:, None] * 3 * N * D + dim_D[None, :]
    out_MD = start.to(tl.int64) * N * D + head * D + row_M[:, None] * N * D + dim_D[None, :]
    q_MD = tl.load(qkv_ptr + head_at + tile_MD, mask=here_M[:, None], other=0.0)
    grad_MD = tl.load(grad_ptr + out_MD, mask=here_M[:, None], other=0.0)
    mixed_MD = tl.load(out_ptr + out_MD, mask=here_M[:, None], other=0.0)
    # What the softmax's derivative subtracts: the sum over D of output x its gradient.
    delta_M = tl.sum(mixed_MD.to(tl.float32) * grad_MD.to(tl.float32), 1)
    line_M = head * tokens + start + row_M
    tl.store(delta_ptr + line_M, delta_M, mask=here_M)
    log_sum_M = tl.load(log_sums_ptr + line_M, mask=here_M, other=float("inf"))
    if DROPOUT:
        key_M = tl.load(keys_ptr + start + row_M, mask=here_M, other=0)
        factor_M, offset_M = _row_numbers(key_M, site + head)
    grad_q_MD = tl.zeros((M, D), tl.float32)
    for first in range(0, size, K):
        place_K = first + tl.arange(0, K)
        tile_KD = qkv_ptr + head_at + place_K[:, None] * 3 * N * D + dim_D[None, :]
        k_KD = tl.load(tile_KD + N * D, mask=(place_K < size)[:, None], other=0.0)
        v_KD = tl.load(tile_KD + 2 * N * D, mask=(place_K < size)[:, None], other=0.0)
        scores_MK = tl.dot(q_MD, tl.trans(k_KD), input_precision=PRECISION) * softmax_scale
        shares_MK = tl.exp2(scores_MK - log_sum_M[:, None])
        grad_shares_MK = tl.dot(grad_MD, tl.trans(v_KD), input_precision=PRECISION)
        if DROPOUT:
            words_MK = factor_M[:, None] * constant(1 + place_K)[None, :] + offset_M[:, None]
            kept_MK = words_MK >= first_kept
            grad_shares_MK = tl.where(kept_MK, grad_shares_MK * kept_scale, 0.0)
        grad_scores_MK = (shares_MK * (grad_shares_MK - delta_M[:, None])).to(k_KD.dtype)
        # Keys behind the sample's end are 0, so that they add nothing.
        grad_q_MD = tl.dot(grad_scores_MK, k_KD, grad_q_MD, input_precision=PRECISION)
    grad_q_MD = (grad_q_MD * grad_scale).to(grad_qkv_ptr.dtype.element_ty)
    tl.store(grad_qkv_ptr + head_at + tile_MD, grad_q_MD, mask=here_M[:, None])


@triton.jit(do_not_specialize=["site"])
def _backward_keys(
    qkv_ptr,
    offsets_ptr,
    keys_ptr,
    log_sums_ptr,
    grad_ptr,
    delta_ptr,
    grad_qkv_ptr,
    tokens,
    site,
    first_kept,
    kept_scale,
    softmax_scale,
    grad_scale,
    N: tl.constexpr,
    D: tl.constexpr,
    M: tl.constexpr,
    K: tl.constexpr,
    DROPOUT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    block, head, sample = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    start = tl.load(offsets_ptr + sample)
    size = tl.load(offsets_ptr + sample + 1) - start
    if block * K >= size:
        return
    place_K = block * K + tl.arange(0, K)
    number_K = constant(1 + place_K)
    inside_K = place_K < size
    dim_D = tl.arange(0, D)
    head_at = start.to(tl.int64) * 3 * N * D + head * D
    out_at = start.to(tl.int64) * N * D + head * D
    tile_KD = head_at + place_K[:, None] * 3 * N * D + dim_D[None, :]
    k_KD = tl.load(qkv_ptr + tile_KD + N * D, mask=inside_K[:, None], other=0.0)
    v_KD = tl.load(qkv_ptr + tile_KD + 2 * N * D, mask=inside_K[:, None], other=0.0)
    grad_k_KD = tl.zeros((K, D), tl.float32)
    grad_v_KD = tl.zeros((K, D), tl.float32)
    for first in range(0, size, M):
        row_M = first + tl.arange(0, M)
        here_M = row_M < size
        q_ptr = qkv_ptr + head_at + row_M[:, None] * 3 * N * D + dim_D[None, :]
        q_MD = tl.load(q_ptr, mask=here_M[:, None], other=0.0)
        grad_MD = tl.load(
            grad_ptr + out_at + row_M[:, None] * N * D + dim_D[None, :],
            mask=here_M[:, None],
            other=0.0,
        )
        line_M = head * tokens + start + row_M
        log_sum_M = tl.load(log_sums_ptr + line_M, mask=here_M, other=float("inf"))
        delta_M = tl.load(delta_ptr + line_M, mask=here_M, other=0.0)
        scores_KM = tl.dot(k_KD, tl.trans(q_MD), input_precision=PRECISION) * softmax_scale
        shares_KM = tl.exp2(scores_KM - log_sum_M[None, :])
        grad_shares_KM = tl.dot(v_KD, tl.trans(grad_MD), input_precision=PRECISION)
        used_KM = shares_KM
        if DROPOUT:
            key_M = tl.load(keys_ptr + start + row_M, mask=here_M, other=0)
            factor_M, offset_M = _row_numbers(key_M, site + head)
            words_KM = number_K[:, None] * factor_M[None, :] + offset_M[None, :]
            kept_KM = words_KM >= first_kept
            used_KM = tl.where(kept_KM, shares_KM, 0.0)
            grad_shares_KM = tl.where(kept_KM, grad_shares_KM * kept_scale, 0.0)
        grad_v_KD = tl.dot(used_KM.to(grad_MD.dtype), grad_MD, grad_v_KD, input_precision=PRECISION)
        grad_scores_KM = (shares_KM * (grad_shares_KM - delta_M[None, :])).to(q_MD.dtype)
        grad_k_KD = tl.dot(grad_scores_KM, q_MD, grad_k_KD, input_precision=PRECISION)
    grad_k_KD = (grad_k_KD * grad_scale).to(grad_qkv_ptr.dtype.element_ty)
    grad_v_KD = (grad_v_KD * kept_scale).to(grad_qkv_ptr.dtype.element_ty)
    tl.store(grad_qkv_ptr + tile_KD + N * D, grad_k_KD, mask=inside_K[:, None])
    tl.store(grad_qkv_ptr + tile_KD + 2 * N * D, grad_v_KD, mask=inside_K[:, None])


def _constants(qkv: Tensor, scale: float, site: int, rate: float) -> dict:
    """What both kernels are told besides tensors and blocks."""
    return {
        "tokens": qkv.shape[0],
        "site": site,
        "first_kept": threshold(rate),
        "kept_scale": 1 / (1 - rate),
        "softmax_scale": LOG2E * scale,
        "N": qkv.shape[2],
        "D": qkv.shape[3],
        "DROPOUT": rate > 0,
        "PRECISION": "ieee" if qkv.dtype == torch.float32 else "tf32",
    }


@torch.library.custom_op("roberta::packed_attention", mutates_args=())
def packed_attention(
    qkv: Tensor,
    offsets: Tensor,
    keys: Tensor,
    longest: int,
    scale: float,
    site: int,
    rate: float,
) -> tuple[Tensor, Tensor]:
    """Mixed values (P, N, D) and log2 sums (N, P) fp32; no sample is longer than `longest`.

    D is a power of two, at least 16; `scale` multiplies the products of queries and keys; `site` is
    the first of N places of the network, one for each head.
    """
    tokens, _, heads, width = qkv.shape
    out = torch.empty(tokens, heads, width, dtype=qkv.dtype, device=qkv.device)
    log_sums = torch.empty(heads, tokens, dtype=torch.float32, device=qkv.device)
    _forward[(triton.cdiv(longest, FORWARD.M), heads, len(offsets) - 1)](
        qkv, offsets, keys, out, log_sums, **_constants(qkv, scale, site, rate), **FORWARD._asdict()
    )
    return out, log_sums


@torch.library.custom_op("roberta::packed_attention_backward", mutates_args=())
def packed_attention_backward(
    grad: Tensor,
    qkv: Tensor,
    out: Tensor,
    log_sums: Tensor,
    offsets: Tensor,
    keys: Tensor,
    longest: int,
    scale: float,
    site: int,
    rate: float,
) -> Tensor:
    """The gradient of qkv, (P, 3, N, D)."""
    heads = qkv.shape[2]
    grad, delta, grad_qkv = grad.contiguous(), torch.empty_like(log_sums), torch.empty_like(qkv)
    numbers = {**_constants(qkv, scale, site, rate), "grad_scale": scale}
    tensors = (qkv, offsets, keys)
    _backward_queries[(triton.cdiv(longest, BACK_QUERIES.M), heads, len(offsets) - 1)](
        *tensors, out, log_sums, grad, delta, grad_qkv, **numbers, **BACK_QUERIES._asdict()
    )
    _backward_keys[(triton.cdiv(longest, BACK_KEYS.K), heads, len(offsets) - 1)](
        *tensors, log_sums, grad, delta, grad_qkv, **numbers, **BACK_KEYS._asdict()
    )
    return grad_qkv


@packed_attention.register_fake
def _(qkv, offsets, keys, longest, scale, site, rate):
    tokens, _, heads, width = qkv.shape
    return qkv.new_empty(tokens, heads, width), qkv.new_empty(heads, tokens, dtype=torch.float32)


@packed_attention_backward.register_fake
def _(grad, qkv, out, log_sums, offsets, keys, longest, scale, site, rate):
    return torch.empty_like(qkv)


def _remember(ctx, inputs, output):
    qkv, offsets, keys, *ctx.numbers = inputs
    ctx.save_for_backward(qkv, *output, offsets, keys)


def _gradient(ctx, grad, _):
    tensors = ctx.saved_tensors
    return packed_attention_backward(grad, *tensors, *ctx.numbers), *[None] * 6


packed_attention.register_autograd(_gradient, setup_context=_remember)


def mixed_values(
    qkv_P3ND: Tensor, offsets: Tensor, keys: Tensor, longest: int, site: int, rate: float
) -> Tensor:
    """Mixed values (P, N, D) of any width D, as `packed_attention` gives them."""
    width = qkv_P3ND.shape[3]
    # The kernels' tiles are powers of two; further dimensions of zeros change no product.
    spare = max(16, 1 << (width - 1).bit_length()) - width
    if spare:
        qkv_P3ND = functional.pad(qkv_P3ND, (0, spare))
    mixed_PND, _ = packed_attention(qkv_P3ND, offsets, keys, longest, width**-0.5, site, rate)
    return mixed_PND[..., :width]
