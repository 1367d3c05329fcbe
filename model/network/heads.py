"""Heads: hidden vectors -> logits of one objective.

Masked-language and next-sentence heads of pre-training (RoBERTa, arXiv 1907.11692, section 2.3)
and the fine-tuning heads (sections 3.3 and 5). All return logits in the compute dtype; losses are
taken in fp32 by their callers.

Legend: B rows, T tokens, H hidden width, M target positions, V real vocabulary, W rows of the word
table (V rounded up), C classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.network.dropout import Dropout
from model.network.encoder import encoder_sites, initialise
from study.cells import Model


class MaskedLanguageHead(nn.Module):
    """Linear, GELU, LayerNorm, then the word table as decoder with a bias of its own."""

    def __init__(self, config: Model, vocabulary_size: int):
        super().__init__()
        self.dense = nn.Linear(config.hidden, config.hidden)
        self.norm = nn.LayerNorm(config.hidden, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        initialise(self, config.init_std)

    def forward(self, x_MH: Tensor, words_WH: Tensor) -> Tensor:
        """(M, H) and the encoder's word table -> (M, W); rows beyond the vocabulary get -inf."""
        x_MH = self.norm(functional.gelu(self.dense(x_MH)))
        unused = words_WH.shape[0] - self.bias.shape[0]
        bias = functional.pad(self.bias, (0, unused), value=-torch.inf) if unused else self.bias
        return functional.linear(x_MH, words_WH, bias)


class NextSentenceHead(nn.Module):
    """Tanh pooler on the first token, then two classes: 0 = B follows A, 1 = B is random."""

    def __init__(self, config: Model):
        super().__init__()
        self.pooler = nn.Linear(config.hidden, config.hidden)
        self.output = nn.Linear(config.hidden, 2)
        initialise(self, config.init_std)

    def forward(self, first_BH: Tensor) -> Tensor:
        """Hidden vectors of first tokens (B, H) -> (B, 2)."""
        return self.output(torch.tanh(self.pooler(first_BH)))


class ClassificationHead(nn.Module):
    """Dropout, Linear, tanh, dropout, Linear on the first token; C outputs.

    Its places for dropout are behind those of the encoder.
    """

    def __init__(self, config: Model, outputs: int):
        super().__init__()
        self.dense = nn.Linear(config.hidden, config.hidden)
        self.output = nn.Linear(config.hidden, outputs)
        first = encoder_sites(config)
        self.dropouts = nn.ModuleList(Dropout(config.dropout, first + i) for i in range(2))
        initialise(self, config.init_std)

    def forward(self, hidden_BTH: Tensor, keys_BT: Tensor | None) -> Tensor:
        """(B, T, H) and the tokens' keys of dropout int64, None where that is off -> (B, C)."""
        keys_B = None if keys_BT is None else keys_BT[:, 0]
        before, inside = self.dropouts
        x_BH = torch.tanh(self.dense(before(hidden_BTH[:, 0], keys_B)))
        return self.output(inside(x_BH, keys_B))


class SpanHead(nn.Module):
    """One vector each for the first and the last token of an answer."""

    def __init__(self, config: Model):
        super().__init__()
        self.output = nn.Linear(config.hidden, 2)
        initialise(self, config.init_std)

    def forward(self, hidden_BTH: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, H) -> start and end logits, (B, T) each."""
        start_BT, end_BT = self.output(hidden_BTH).unbind(-1)
        return start_BT, end_BT
