"""The post-LN Transformer encoder of BERT and RoBERTa: token ids -> hidden vectors.

In: ids (B, T) int64; lengths (B,) int64 real tokens per row; segments (B, T) int64 0/1 where the
input format has two segments. Out: hidden (B, T, H) in the compute dtype. Rows of a word table
beyond the real vocabulary exist for fast shapes only.

RoBERTa (arXiv 1907.11692) section 2 and table 9: learned positions, LayerNorm then dropout on the
summed embeddings, dropout on every sublayer's output and on the attention probabilities, LayerNorm
after each residual sum, exact (erf) GELU, no dropout inside the feed-forward block.

Legend: B rows, T tokens, H hidden width, N heads, D width of a head.
"""

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from model.network.config import NetworkConfig
from model.network.dropout import Dropout, dropout
from study.errors import StudyError

# On Hopper cuDNN's attention with dropout is faster than flash, which is what SDPA prefers.
CUDA_BACKENDS = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]


def attention_backends(device: torch.device):
    """Context in which SDPA prefers the fastest kernel of `device`."""
    if device.type == "cuda":
        return sdpa_kernel(CUDA_BACKENDS, set_priority=True)
    return nullcontext()


def attend(q_BNTD: Tensor, k_BNTD: Tensor, v_BNTD: Tensor, mask: Tensor | None, rate: float):
    """Attention (B, N, T, D) with dropout on its probabilities; mask as in SelfAttention.

    On a CPU the library has no fused kernel with dropout, and its fallback is several times slower
    than these products.
    """
    if rate == 0 or q_BNTD.device.type != "cpu" or torch.compiler.is_compiling():
        return functional.scaled_dot_product_attention(
            q_BNTD, k_BNTD, v_BNTD, attn_mask=mask, dropout_p=rate
        )
    scores_BNTT = (q_BNTD * q_BNTD.shape[-1] ** -0.5) @ k_BNTD.transpose(-1, -2)
    if mask is not None:
        scores_BNTT = scores_BNTT + scores_BNTT.new_zeros(mask.shape).masked_fill(~mask, -torch.inf)
    shares_BNTT = functional.softmax(scores_BNTT, -1, dtype=q_BNTD.dtype)
    return dropout(shares_BNTT, rate, training=True) @ v_BNTD


class SelfAttention(nn.Module):
    """Multi-head self-attention with one product for queries, keys and values."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.heads = config.heads
        self.dropout = config.attention_dropout
        self.qkv = nn.Linear(config.hidden, 3 * config.hidden)
        self.output = nn.Linear(config.hidden, config.hidden)

    def forward(self, x_BTH: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, H) -> (B, T, H); mask (B, 1, 1, T) bool is true where a key may be attended."""
        B, T, H = x_BTH.shape
        qkv = self.qkv(x_BTH).view(B, T, 3, self.heads, H // self.heads)
        q_BNTD, k_BNTD, v_BNTD = qkv.permute(2, 0, 3, 1, 4)
        rate = self.dropout if self.training else 0.0
        mixed_BNTD = attend(q_BNTD, k_BNTD, v_BNTD, mask, rate)
        return self.output(mixed_BNTD.transpose(1, 2).reshape(B, T, H))


class Layer(nn.Module):
    """Attention and feed-forward blocks, LayerNorm after each residual sum."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.attention = SelfAttention(config)
        self.attention_norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.ffn_in = nn.Linear(config.hidden, config.ffn)
        self.ffn_out = nn.Linear(config.ffn, config.hidden)
        self.ffn_norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.dropout)

    def forward(self, x_BTH: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, H) -> (B, T, H)."""
        x_BTH = self.attention_norm(x_BTH + self.dropout(self.attention(x_BTH, mask)))
        inner = functional.gelu(self.ffn_in(x_BTH))
        return self.ffn_norm(x_BTH + self.dropout(self.ffn_out(inner)))


class Encoder(nn.Module):
    """Embeddings and layers.

    `vocabulary_size` is the number of real entries, `pad` the id whose row starts at zero,
    `segments` whether the two-row table of segment embeddings exists.
    """

    def __init__(
        self,
        config: Mapping | NetworkConfig,
        vocabulary_size: int,
        segments: bool = False,
        pad: int = 1,
    ):
        super().__init__()
        self.config = config = NetworkConfig.of(config)
        self.pad = pad
        self.words = nn.Embedding(config.word_rows(vocabulary_size), config.hidden)
        self.positions = nn.Embedding(config.positions, config.hidden)
        self.segments = nn.Embedding(2, config.hidden) if segments else None
        self.norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.apply(initialiser(config.init_std))
        with torch.no_grad():
            self.words.weight[pad].zero_()

    def forward(
        self, ids: Tensor, lengths: Tensor | None = None, segments: Tensor | None = None
    ) -> Tensor:
        """Hidden vectors (B, T, H); vectors at padded positions are defined but mean nothing.

        `lengths` None says that no row is padded, and the attention mask is left out. A row of
        length 0 (a padding row) attends its first token, so that nothing becomes NaN.
        Raises StudyError when T is longer than the position table.
        """
        T = ids.shape[1]
        if self.config.positions < T:
            raise StudyError(
                f"input of {T} tokens: the network has {self.config.positions} positions "
                "(recipe field model.positions)"
            )
        x_BTH = self.words(ids) + self.positions.weight[:T]
        if self.segments is not None:
            x_BTH = x_BTH + self.segments(segments)
        x_BTH = self.dropout(self.norm(x_BTH))
        mask = self._key_mask(lengths, T)
        with attention_backends(ids.device):
            for layer in self.layers:
                x_BTH = layer(x_BTH, mask)
        return x_BTH

    def _key_mask(self, lengths: Tensor | None, T: int) -> Tensor | None:
        """(B, 1, 1, T) bool, true at real tokens; None when every row is full."""
        if lengths is None:
            return None
        # Only the CPU may look at the values: elsewhere that would wait for the device.
        if (
            lengths.device.type == "cpu"
            and not torch.compiler.is_compiling()
            and int(lengths.min()) >= T
        ):
            return None
        places = torch.arange(T, device=lengths.device)
        return (places < lengths.clamp(min=1)[:, None])[:, None, None, :]


def initialiser(std: float):
    """Function for `Module.apply`: N(0, std) matrices and tables, zero biases, LayerNorm 1/0."""

    def initialise(module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    return initialise
