"""Attention of samples to themselves, padded to rows or packed end to end.

In: queries, keys and values of all heads. Out: the mixed values, with dropout on the attention
probabilities (RoBERTa, arXiv 1907.11692, table 9).

Padded rows (B, T) suit a CPU, whose batches are small. A GPU takes samples packed end to end, (P,)
tokens with `offsets` (S + 1,) int32 where samples begin: sample i is the tokens offsets[i] to
offsets[i + 1]. There is no mask and no padding, and all batches have one shape.

    two samples of 3 and 2 tokens, three dummy tokens, room for 4 samples:
    tokens   a a a b b - - -
    offsets  0 3 5 8 8

Legend: B rows, T their padded length, P packed tokens, S samples, N heads, D width of a head.
"""

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from model.network.dropout import dropout, site_keys

# On Hopper cuDNN's attention with dropout is faster than flash, which is what SDPA prefers.
CUDA_BACKENDS = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]


@dataclass(frozen=True)
class Padded:
    """Rows of equal length; `mask` (B, 1, 1, T) bool is true where a key may be attended.

    `keys` int32 (B, T), where there are any, decide what dropout drops (dropout.py).
    """

    mask: Tensor | None
    keys: Tensor | None = None

    def attend(self, qkv_BTC: Tensor, heads: int, rate: float, site: int) -> Tensor:
        """(B, T, 3 N D), queries before keys before values -> (B, T, N D).

        `site` is the first of N places of the network, one for each head. On a CPU the library has
        no fused kernel with dropout, and its fallback is several times slower than products.
        """
        B, T, C = qkv_BTC.shape
        qkv = qkv_BTC.view(B, T, 3, heads, C // 3 // heads)
        q_BNTD, k_BNTD, v_BNTD = qkv.permute(2, 0, 3, 1, 4)
        plain = qkv_BTC.device.type == "cpu" and not torch.compiler.is_compiling()
        if rate == 0 or (self.keys is None and not plain):
            mixed_BNTD = functional.scaled_dot_product_attention(
                q_BNTD, k_BNTD, v_BNTD, attn_mask=self.mask, dropout_p=rate
            )
        else:
            mixed_BNTD = self._products(q_BNTD, k_BNTD, rate, site) @ v_BNTD
        return mixed_BNTD.transpose(1, 2).reshape(B, T, C // 3)

    def _products(self, q_BNTD: Tensor, k_BNTD: Tensor, rate: float, site: int) -> Tensor:
        """The attention probabilities (B, N, T, T) after dropout."""
        scores_BNTT = (q_BNTD * q_BNTD.shape[-1] ** -0.5) @ k_BNTD.transpose(-1, -2)
        if self.mask is not None:
            hidden = scores_BNTT.new_zeros(self.mask.shape).masked_fill(~self.mask, -torch.inf)
            scores_BNTT = scores_BNTT + hidden
        shares_BNTT = functional.softmax(scores_BNTT, -1, dtype=q_BNTD.dtype)
        keys_BNT = None
        if self.keys is not None:
            heads = q_BNTD.shape[1]
            sites_N = torch.arange(site, site + heads, dtype=torch.int32, device=self.keys.device)
            keys_BNT = site_keys(self.keys, sites_N).transpose(1, 2)
        return dropout(shares_BNTT, rate, training=True, keys=keys_BNT)


@dataclass(frozen=True)
class Packed:
    """Samples end to end; `keys` int32 (P,) as in Padded; no sample is longer than `longest`."""

    offsets: Tensor
    keys: Tensor
    longest: int

    def attend(self, qkv_PC: Tensor, heads: int, rate: float, site: int) -> Tensor:
        """(P, 3 N D), queries before keys before values -> (P, N D); site as in Padded."""
        P, C = qkv_PC.shape
        if qkv_PC.device.type == "cpu":
            return self._by_rows(qkv_PC, heads, rate, site)
        from model.network.packed_attention import mixed_values  # needs Triton

        qkv_P3ND = qkv_PC.view(P, 3, heads, C // 3 // heads)
        return mixed_values(qkv_P3ND, self.offsets, self.keys, self.longest, site, rate).reshape(
            P, C // 3
        )

    def _by_rows(self, qkv_PC: Tensor, heads: int, rate: float, site: int) -> Tensor:
        """The plain reference: each sample a padded row of its own."""
        sizes_S = self.offsets.diff().long()
        first_S = self.offsets[:-1].long()[sizes_S > 0]
        sizes_S = sizes_S[sizes_S > 0]
        inside_ST = torch.arange(int(sizes_S.max())) < sizes_S[:, None]
        tokens_ST = torch.where(inside_ST, first_S[:, None] + torch.arange(inside_ST.shape[1]), 0)
        rows = Padded(inside_ST[:, None, None, :], self.keys[tokens_ST])
        return rows.attend(qkv_PC[tokens_ST], heads, rate, site)[inside_ST]


def attention_backends(device: torch.device):
    """Context in which SDPA prefers the fastest kernel of `device`."""
    if device.type == "cuda":
        return sdpa_kernel(CUDA_BACKENDS, set_priority=True)
    return nullcontext()
