"""Our weights under transformers' names: a state dict and a config.json.

In: the state dict of a PretrainingModel, its sizes, the vocabulary's special ids. Out: the
state dict and configuration of `BertForPreTraining` where the network predicts next sentences, of
`RobertaForMaskedLM` otherwise, such that transformers computes the same logits (RoBERTa, arXiv
1907.11692, section 2). Nothing here imports transformers.

Two differences of layout: transformers keeps queries, keys and values in three matrices, and its
RoBERTa counts positions from pad + 1, so its position table starts with pad + 1 unused rows. Rows
of the word table beyond the real vocabulary stay behind.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from study.cells import Model

# Ours -> transformers'; each has a weight and a bias.
LAYER_PARTS = {
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "ffn_in": "intermediate.dense",
    "ffn_out": "output.dense",
    "ffn_norm": "output.LayerNorm",
}
BERT_HEADS = {
    "mlm.dense": "cls.predictions.transform.dense",
    "mlm.norm": "cls.predictions.transform.LayerNorm",
    "nsp.pooler": "bert.pooler.dense",
    "nsp.output": "cls.seq_relationship",
}
ROBERTA_HEADS = {"mlm.dense": "lm_head.dense", "mlm.norm": "lm_head.layer_norm"}


class SpecialIds(Protocol):
    """What is needed of a vocabulary."""

    start: int
    pad: int
    separator: int


def predicts_next_sentence(state: Mapping[str, Tensor]) -> bool:
    """Whether these weights belong to a network with a next-sentence head."""
    return "nsp.output.weight" in state


def to_transformers(state: Mapping[str, Tensor], pad: int) -> dict[str, Tensor]:
    """State dict of BertForPreTraining or RobertaForMaskedLM with the same logits."""
    bert = predicts_next_sentence(state)
    root = "bert" if bert else "roberta"
    positions = state["encoder.positions.weight"]
    # BERT's code may be given segment 1, RoBERTa's is only ever given 0.
    no_segments = positions.new_zeros(2 if bert else 1, positions.shape[1])
    if not bert:
        positions = torch.cat([positions.new_zeros(pad + 1, positions.shape[1]), positions])
    tables = f"{root}.embeddings"
    tensors = {
        f"{tables}.word_embeddings.weight": state["encoder.words.weight"][: len(state["mlm.bias"])],
        f"{tables}.position_embeddings.weight": positions,
        f"{tables}.token_type_embeddings.weight": state.get("encoder.segments.weight", no_segments),
        "cls.predictions.bias" if bert else "lm_head.bias": state["mlm.bias"],
    }
    names = {"encoder.norm": f"{tables}.LayerNorm", **(BERT_HEADS if bert else ROBERTA_HEADS)}
    for layer in {name.split(".")[2] for name in state if name.startswith("encoder.layers.")}:
        ours, theirs = f"encoder.layers.{layer}", f"{root}.encoder.layer.{layer}"
        names |= {f"{ours}.{part}": f"{theirs}.{name}" for part, name in LAYER_PARTS.items()}
        for kind in ("weight", "bias"):
            parts = state[f"{ours}.attention.qkv.{kind}"].chunk(3)
            for name, part in zip(("query", "key", "value"), parts, strict=True):
                tensors[f"{theirs}.attention.self.{name}.{kind}"] = part
    for ours, theirs in names.items():
        for kind in ("weight", "bias"):
            tensors[f"{theirs}.{kind}"] = state[f"{ours}.{kind}"]
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def transformers_config(
    config: Model, state: Mapping[str, Tensor], ids: SpecialIds
) -> dict[str, object]:
    """Content of config.json for `to_transformers(state, ids.pad)`."""
    bert = predicts_next_sentence(state)
    segments = 2 if bert or "encoder.segments.weight" in state else 1
    return {
        "architectures": ["BertForPreTraining" if bert else "RobertaForMaskedLM"],
        "model_type": "bert" if bert else "roberta",
        "vocab_size": len(state["mlm.bias"]),
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.ffn,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "classifier_dropout": None,
        "max_position_embeddings": config.positions + (0 if bert else ids.pad + 1),
        "type_vocab_size": segments,
        "layer_norm_eps": config.layer_norm_eps,
        "initializer_range": config.init_std,
        "tie_word_embeddings": True,
        "bos_token_id": ids.start,
        "pad_token_id": ids.pad,
        "eos_token_id": ids.separator,
        "dtype": "float32",
    }
