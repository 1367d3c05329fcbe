"""The post-LN Transformer encoder of BERT and RoBERTa: token ids -> hidden vectors.

In: padded rows: ids (B, T) int64, lengths (B,) int64 real tokens per row; or packed samples
(attention.py): ids (P,) int64, their places within samples (P,) int64, offsets (S + 1,) int32; keys
of dropout int64 (chance.py) and, where the input format has two, segments 0/1 int64 of ids' shape.
Out: a hidden vector for each id, (B, T, H) or (P, H), in the compute dtype. Rows of a word table
beyond the real vocabulary exist for fast shapes only.

RoBERTa (arXiv 1907.11692) section 2 and table 9: learned positions, LayerNorm then dropout on the
summed embeddings, dropout on every sublayer's output and on the attention probabilities, LayerNorm
after each residual sum, exact (erf) GELU, no dropout inside the feed-forward block.

Legend: B rows, T tokens, P packed tokens, S samples, H hidden width, X is B, T or P.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.network.attention import Packed, Padded, Unpadded
from model.network.dropout import Dropout
from study.cells import Model
from study.errors import StudyError

Layout = Padded | Unpadded | Packed


class SelfAttention(nn.Module):
    """Multi-head self-attention with one product for queries, keys and values."""

    def __init__(self, config: Model, site: int):
        super().__init__()
        self.heads, self.site = config.heads, site
        self.dropout = config.attention_dropout
        self.qkv = nn.Linear(config.hidden, 3 * config.hidden)
        self.output = nn.Linear(config.hidden, config.hidden)

    def forward(self, x_XH: Tensor, layout: Layout, wanted: Tensor | None = None) -> Tensor:
        """(X, H) -> (X, H), or the outputs of the tokens at `wanted` (Layer)."""
        rate = self.dropout if self.training else 0.0
        return self.output(layout.attend(self.qkv(x_XH), self.heads, rate, self.site, wanted))


class Norm(nn.LayerNorm):
    """LayerNorm of a sum, taken in fp32.

    On a GPU the result has the compute dtype: what autocast would keep in fp32 is read and written
    by every sublayer, a tenth of a step's time.
    """

    def forward(self, x_XH: Tensor, branch_XH: Tensor | None = None) -> Tensor:
        """LayerNorm(x + branch), (X, H) -> (X, H)."""
        if x_XH.device.type == "cpu":
            return super().forward(x_XH if branch_XH is None else x_XH + branch_XH)
        dtype = x_XH.dtype
        if torch.is_autocast_enabled(x_XH.device.type):
            dtype = torch.get_autocast_dtype(x_XH.device.type)
        x_XH = x_XH if branch_XH is None else x_XH + branch_XH
        return super().forward(x_XH.float()).to(dtype)


class Layer(nn.Module):
    """Attention and feed-forward blocks, LayerNorm after each residual sum.

    `site` is the first of its places for dropout: its heads, then the outputs of both blocks.
    """

    def __init__(self, config: Model, site: int):
        super().__init__()
        self.attention = SelfAttention(config, site)
        self.attention_norm = Norm(config.hidden, eps=config.layer_norm_eps)
        self.ffn_in = nn.Linear(config.hidden, config.ffn)
        self.ffn_out = nn.Linear(config.ffn, config.hidden)
        self.ffn_norm = Norm(config.hidden, eps=config.layer_norm_eps)
        self.attention_dropout = Dropout(config.dropout, site + config.heads)
        self.ffn_dropout = Dropout(config.dropout, site + config.heads + 1)

    def forward(self, x_XH: Tensor, layout: Layout, wanted: Tensor | None = None) -> Tensor:
        """(X, H) -> (X, H), or the outputs of the tokens at `wanted`: places (B, K) in padded rows,
        numbers (M,) of packed tokens. All are attended to; the others' own outputs nobody reads.
        """
        mixed_XH, keys_X = self.attention(x_XH, layout, wanted), layout.keys
        if wanted is not None:
            x_XH = layout.at(x_XH, wanted)
            keys_X = None if keys_X is None else layout.at(keys_X, wanted)
        x_XH = self.attention_norm(x_XH, self.attention_dropout(mixed_XH, keys_X))
        inner = functional.gelu(self.ffn_in(x_XH))
        return self.ffn_norm(x_XH, self.ffn_dropout(self.ffn_out(inner), keys_X))


class Encoder(nn.Module):
    """Embeddings and layers.

    `vocabulary_size` is the number of real entries, `pad` the id whose row starts at zero,
    `segments` whether the two-row table of segment embeddings exists.
    """

    def __init__(
        self,
        config: Model,
        vocabulary_size: int,
        segments: bool = False,
        pad: int = 1,
    ):
        super().__init__()
        self.config, self.pad = config, pad
        self.longest = config.positions
        self.words = nn.Embedding(config.word_rows(vocabulary_size), config.hidden)
        self.positions = nn.Embedding(config.positions, config.hidden)
        self.segments = nn.Embedding(2, config.hidden) if segments else None
        self.norm = Norm(config.hidden, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.dropout, 0)
        sites = range(1, encoder_sites(config), config.heads + 2)
        self.layers = nn.ModuleList(Layer(config, site) for site in sites)
        initialise(self, config.init_std)
        with torch.no_grad():
            if config.position_init == "sinusoidal":
                self.positions.weight.copy_(sinusoids(config))
            self.words.weight[pad].zero_()

    def forward(
        self,
        ids: Tensor,
        lengths: Tensor | None = None,
        segments: Tensor | None = None,
        keys: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """Hidden vectors (B, T, H), or (B, K, H) of the tokens at places `wanted` int64 (B, K) of
        their rows; those at padded positions are defined but mean nothing.

        `lengths` None says that no row is padded; `keys` int64 (B, T) are needed where dropout is
        on. Raises StudyError when T is longer than the position table.
        """
        B, T = ids.shape
        if self.longest < T:
            raise StudyError(
                f"input of {T} tokens: the network has {self.longest} positions "
                "(recipe field model.positions)"
            )
        if lengths is None:
            lengths = torch.full((B,), T, device=ids.device)
        positions_TH = self.positions.weight[:T]
        if ids.device.type == "cpu":
            layout = None if wanted is None else Unpadded.of(lengths, T, keys)
            if layout is None:
                layout = Padded.of(lengths, T, keys)
                return self._encode(ids, positions_TH, segments, layout, wanted)
            if segments is not None:
                segments = layout.real(segments)
            positions_PH = self.positions(layout.numbers % T)
            return self._encode(layout.real(ids), positions_PH, segments, layout, wanted)
        if segments is not None:
            segments = segments.flatten()
        shape = ids.shape
        if wanted is not None:
            shape = wanted.shape
            wanted = (wanted + torch.arange(B, device=ids.device)[:, None] * T).flatten()
        layout = Packed.of_rows(lengths, T, keys)
        positions_PH = positions_TH.repeat(B, 1)
        return self._encode(ids.flatten(), positions_PH, segments, layout, wanted).view(*shape, -1)

    def packed(
        self,
        ids: Tensor,
        places: Tensor,
        offsets: Tensor,
        keys: Tensor,
        segments: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """Hidden vectors (P, H), or (M, H) of the tokens with the numbers `wanted` int64 (M,), of
        samples end to end, none longer than the position table.

        `keys` int64 (P,) decide what dropout drops (chance.py).
        """
        layout = Packed(offsets, keys, self.longest)
        return self._encode(ids, self.positions(places), segments, layout, wanted)

    def _encode(
        self,
        ids: Tensor,
        positions: Tensor,
        segments: Tensor | None,
        layout: Layout,
        wanted: Tensor | None,
    ) -> Tensor:
        x_XH = self.words(ids) + positions
        if self.segments is not None:
            x_XH = x_XH + self.segments(segments)
        x_XH = self.dropout(self.norm(x_XH), layout.keys)
        last = self.layers[-1]
        for layer in self.layers:
            x_XH = layer(x_XH, layout, wanted if layer is last else None)
        return x_XH


def encoder_sites(config: Model) -> int:
    """Places of dropout in an encoder: its embeddings, in every layer the heads and two outputs."""
    return 1 + config.layers * (config.heads + 2)


def initialise(network: nn.Module, std: float) -> None:
    """N(0, std) matrices and tables, zero biases, LayerNorm 1/0."""
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def sinusoids(config: Model) -> Tensor:
    """A position table to start from, (positions, hidden) float32: sines beside their cosines.

    As arXiv 1706.03762, section 3.5, but the longest wave is twice the table, so that no column is
    nearly constant on it, and the deviation is twice `init_std`, the best of 1, 2 and 4 times in
    docs/small-scales.md. Near positions are alike from the start, and a step by one is the same
    rotation everywhere: what an attention head that looks at its neighbours otherwise learns row by
    row. With 128 positions the waves are 2 pi to 256 tokens.
    """
    pairs = torch.arange(-(-config.hidden // 2), dtype=torch.float64) * 2 / config.hidden
    turns = (math.pi / config.positions) ** pairs
    angles = torch.arange(config.positions, dtype=torch.float64)[:, None] * turns
    waves = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, : config.hidden]
    return (waves * (2 * config.init_std * math.sqrt(2))).float()
