"""Attention of samples to themselves, padded to rows or packed end to end.

In: queries, keys and values of all heads. Out: the mixed values, with dropout on the attention
probabilities (RoBERTa, arXiv 1907.11692, table 9).

Padded rows (B, T) suit a CPU, whose batches are small. A GPU takes samples packed end to end, (P,)
tokens with `offsets` (S + 1,) int32 where samples begin: sample i is the tokens offsets[i] to
offsets[i + 1]. There is no mask and no padding, and all batches of a pre-training have one shape.

    two samples of 3 and 2 tokens, three dummy tokens, room for 4 samples:
    tokens   a a a b b - - -
    offsets  0 3 5 8 8

A GPU takes padded rows so, too: each is a sample and, behind it, a dummy of its padding.

    rows of 3 and 2 tokens, padded to 4:
    tokens   a a a - b b - -
    offsets  0 3 4 6 8

Legend: B rows, T their padded length, P packed tokens, S samples, N heads, D width of a head.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from model.network.chance import site_factors
from model.network.dropout import dropout

WORTH = 1.2  # times as many padded tokens as real ones from which Unpadded is the faster


@dataclass(frozen=True)
class Padded:
    """Rows of equal length on a CPU; `mask` (B, 1, 1, T) bool is true where a key may be attended.

    `keys` int64 (B, T), those of the tokens, decide what dropout drops (chance.py); None where
    nothing is dropped.
    """

    mask: Tensor | None
    keys: Tensor | None

    @classmethod
    def of(cls, lengths: Tensor, length: int, keys: Tensor | None) -> "Padded":
        """Rows padded to `length`, `lengths` int64 (B,) of it real.

        A row without real tokens attends its first one, so that nothing becomes NaN.
        """
        if not torch.compiler.is_compiling() and int(lengths.min()) >= length:
            return cls(None, keys)
        inside_BT = torch.arange(length) < lengths.clamp(min=1)[:, None]
        return cls(inside_BT[:, None, None, :], keys)

    def at(self, x_BTC: Tensor, wanted_BK: Tensor) -> Tensor:
        """Of vectors (B, T, C) or keys (B, T) those at places `wanted` of their rows."""
        B, T = x_BTC.shape[:2]
        numbers_BK = wanted_BK + torch.arange(B)[:, None] * T
        chosen = x_BTC.flatten(0, 1).index_select(0, numbers_BK.flatten())
        return chosen.unflatten(0, wanted_BK.shape)

    def attend(
        self,
        qkv_BTC: Tensor,
        heads: int,
        rate: float,
        site: int,
        wanted_BK: Tensor | None = None,
    ) -> Tensor:
        """(B, T, 3 N D), queries before keys before values -> (B, T, N D), or (B, K, N D): only
        for the tokens at places `wanted`.

        `site` is the first of N places of the network, one for each head. The library's kernel
        takes no dropout on a CPU, and in 16 bits it is slower than two products.
        """
        asking = self
        q_BTC, k_BTC, v_BTC = qkv_BTC.chunk(3, dim=-1)
        if wanted_BK is not None:
            q_BTC = self.at(q_BTC, wanted_BK)
            if self.keys is not None:
                asking = replace(self, keys=self.at(self.keys, wanted_BK))
        q_BNTD, k_BNTD, v_BNTD = (
            part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q_BTC, k_BTC, v_BTC)
        )
        if rate == 0 and qkv_BTC.dtype.itemsize >= 4:
            mixed_BNTD = functional.scaled_dot_product_attention(
                q_BNTD, k_BNTD, v_BNTD, attn_mask=self.mask
            )
        else:
            mixed_BNTD = asking._products(q_BNTD, k_BNTD, rate, site) @ v_BNTD
        return mixed_BNTD.transpose(1, 2).flatten(2)

    def _products(self, q_BNTD: Tensor, k_BNTD: Tensor, rate: float, site: int) -> Tensor:
        """The attention probabilities (B, N, T, T) after dropout."""
        scores_BNTT = (q_BNTD * q_BNTD.shape[-1] ** -0.5) @ k_BNTD.transpose(-1, -2)
        if self.mask is not None:
            hidden = scores_BNTT.new_zeros(self.mask.shape).masked_fill(~self.mask, -torch.inf)
            scores_BNTT = scores_BNTT + hidden
        shares_BNTT = functional.softmax(scores_BNTT, -1, dtype=q_BNTD.dtype)
        if rate == 0:
            return shares_BNTT
        factors_2N1 = site_factors(site, q_BNTD.shape[1])[..., None]
        return dropout(shares_BNTT, self.keys[:, None], factors_2N1, rate)


@dataclass(frozen=True)
class Unpadded:
    """The P real tokens of rows with much padding, end to end; `rows` is how attention takes them.

    Everything else is worked out for real tokens only. `numbers` int64 (P,) are theirs among the
    B T tokens of the rows, `first_B` int64 (B,) where each row begins among the P.
    """

    rows: Padded
    numbers: Tensor
    first_B: Tensor

    @classmethod
    def of(cls, lengths: Tensor, length: int, keys: Tensor | None) -> "Unpadded | None":
        """Rows as Padded.of takes them; None where too little is padding to be worth it."""
        sizes_B = lengths.clamp(min=1)
        if torch.compiler.is_compiling() or int(sizes_B.sum()) * WORTH > len(lengths) * length:
            return None
        rows = Padded.of(lengths, length, keys)
        return cls(rows, rows.mask.flatten().nonzero().flatten(), sizes_B.cumsum(0) - sizes_B)

    @cached_property
    def keys(self) -> Tensor | None:
        """Those of the real tokens, (P,)."""
        return None if self.rows.keys is None else self.real(self.rows.keys)

    def real(self, values_BT: Tensor) -> Tensor:
        """What belongs to real tokens, (P,) or (P, C), of (B, T) or (B, T, C)."""
        return values_BT.flatten(0, 1).index_select(0, self.numbers)

    def at(self, x_PC: Tensor, wanted_BK: Tensor) -> Tensor:
        """Of vectors (P, C) or keys (P,) those at places `wanted` of their rows."""
        numbers_BK = self.first_B[:, None] + wanted_BK
        return x_PC.index_select(0, numbers_BK.flatten()).unflatten(0, wanted_BK.shape)

    def attend(
        self, qkv_PC: Tensor, heads: int, rate: float, site: int, wanted_BK: Tensor | None = None
    ) -> Tensor:
        """(P, 3 N D), queries before keys before values -> (P, N D), or (B, K, N D) of the tokens
        at places `wanted`; site as in Padded.
        """
        (B, _, _, T), C = self.rows.mask.shape, qkv_PC.shape[1]
        qkv_BTC = qkv_PC.new_zeros(B * T, C).index_copy(0, self.numbers, qkv_PC).view(B, T, C)
        mixed = self.rows.attend(qkv_BTC, heads, rate, site, wanted_BK)
        return self.real(mixed) if wanted_BK is None else mixed


@dataclass(frozen=True)
class Packed:
    """Samples end to end; `keys` int64 (P,) as in Padded; no sample is longer than `longest`."""

    offsets: Tensor
    keys: Tensor
    longest: int

    @classmethod
    def of_rows(cls, lengths: Tensor, length: int, keys: Tensor | None) -> "Packed":
        """Rows padded to `length`, as Padded.of takes them; no device is waited for."""
        starts_B = torch.arange(len(lengths), device=lengths.device) * length
        edges = torch.stack([starts_B, starts_B + lengths], 1).flatten()
        offsets = functional.pad(edges, (0, 1), value=len(lengths) * length).to(torch.int32)
        if keys is None:
            keys = starts_B.new_zeros(len(lengths) * length)
        return cls(offsets, keys.flatten(), length)

    def at(self, x_PC: Tensor, wanted_M: Tensor) -> Tensor:
        """Of vectors (P, C) or keys (P,) those of the tokens with these numbers."""
        return x_PC[wanted_M]

    def attend(
        self,
        qkv_PC: Tensor,
        heads: int,
        rate: float,
        site: int,
        wanted_M: Tensor | None = None,
    ) -> Tensor:
        """(P, 3 N D), queries before keys before values -> (P, N D), or (M, N D): only for the
        tokens with the numbers `wanted`; site as in Padded.
        """
        if qkv_PC.device.type == "cpu":
            mixed_PC = self._by_rows(qkv_PC, heads, rate, site)
        else:
            from model.network.packed_attention import mixed_values  # needs Triton

            qkv_P3ND = qkv_PC.unflatten(-1, (3, heads, -1))
            mixed_PC = mixed_values(
                qkv_P3ND, self.offsets, self.keys, self.longest, site, rate
            ).flatten(1)
        return mixed_PC if wanted_M is None else self.at(mixed_PC, wanted_M)

    def _by_rows(self, qkv_PC: Tensor, heads: int, rate: float, site: int) -> Tensor:
        """The plain reference: each sample a padded row of its own."""
        sizes_S = self.offsets.diff().long()
        first_S = self.offsets[:-1].long()[sizes_S > 0]
        sizes_S = sizes_S[sizes_S > 0]
        inside_ST = torch.arange(int(sizes_S.max())) < sizes_S[:, None]
        tokens_ST = torch.where(inside_ST, first_S[:, None] + torch.arange(inside_ST.shape[1]), 0)
        rows = Padded.of(sizes_S, inside_ST.shape[1], self.keys[tokens_ST])
        return rows.attend(qkv_PC[tokens_ST], heads, rate, site)[inside_ST]
