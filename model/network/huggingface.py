"""Our weights under transformers' names: a state dict and a config.json.

In: the state dict of a pre-trained or fine-tuned network, its sizes, the vocabulary's special ids.
Out: the state dict and configuration of a class of transformers that computes the same logits
(RoBERTa, arXiv 1907.11692, sections 2, 3.3 and 5). Nothing here imports transformers.

Differences of layout: transformers keeps queries, keys and values in three matrices, and its
RoBERTa counts positions from pad + 1, so its position table starts with pad + 1 unused rows. Rows
of the word table beyond the real vocabulary stay behind.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from model.network.layout import BERT_MASKED, BERT_NEXT, LAYER_PARTS, QKV, ROBERTA_MASKED
from study.cells import Model
from study.errors import StudyError

POOLED = {"head.dense": "pooler.dense", "head.output": "classifier"}
ANSWERS = {"span.output": "qa_outputs"}
# What a class has besides its encoder: our names -> transformers'; `pooler` is inside the encoder.
HEADS = {
    "BertForPreTraining": {**BERT_MASKED, **BERT_NEXT},
    "BertForMaskedLM": BERT_MASKED,
    "RobertaForMaskedLM": ROBERTA_MASKED,
    "BertForSequenceClassification": POOLED,
    "RobertaForSequenceClassification": {
        "head.dense": "classifier.dense",
        "head.output": "classifier.out_proj",
    },
    "BertForMultipleChoice": POOLED,
    "RobertaForMultipleChoice": POOLED,
    "BertForQuestionAnswering": ANSWERS,
    "RobertaForQuestionAnswering": ANSWERS,
}
# The class of each task kind, behind Bert or Roberta.
CLASSES = {
    **dict.fromkeys(("classification", "regression", "ranking"), "ForSequenceClassification"),
    "choice": "ForMultipleChoice",
    "span": "ForQuestionAnswering",
    "wsc": "ForMaskedLM",
}


class SpecialIds(Protocol):
    """What is needed of a vocabulary."""

    size: int
    start: int
    pad: int
    separator: int


def predicts_next_sentence(state: Mapping[str, Tensor]) -> bool:
    """Whether these weights belong to a network with a next-sentence head."""
    return "nsp.output.weight" in state


def architecture(state: Mapping[str, Tensor], kind: str = "") -> str:
    """The class of transformers that is this network, of a task `kind` where it was fine-tuned.

    Of two kinds of segments a tokenizer tells BERT's classes by itself. Raises StudyError for a
    kind that transformers has no class for.
    """
    if not kind:
        return "BertForPreTraining" if predicts_next_sentence(state) else "RobertaForMaskedLM"
    if kind not in CLASSES:
        raise StudyError(f"tasks of kind {kind}: transformers has no class with such a head")
    return ("Bert" if "encoder.segments.weight" in state else "Roberta") + CLASSES[kind]


def to_transformers(state: Mapping[str, Tensor], ids: SpecialIds, name: str) -> dict[str, Tensor]:
    """State dict of the class `name` of `architecture`, with the same logits."""
    bert = name.startswith("Bert")
    root = "bert" if bert else "roberta"
    positions = state["encoder.positions.weight"]
    # BERT's code may be given segment 1, RoBERTa's is only ever given 0.
    no_segments = positions.new_zeros(2 if bert else 1, positions.shape[1])
    if not bert:
        positions = torch.cat([positions.new_zeros(ids.pad + 1, positions.shape[1]), positions])
    tables = f"{root}.embeddings"
    tensors = {
        f"{tables}.word_embeddings.weight": state["encoder.words.weight"][: ids.size],
        f"{tables}.position_embeddings.weight": positions,
        f"{tables}.token_type_embeddings.weight": state.get("encoder.segments.weight", no_segments),
    }
    heads = HEADS[name]
    if "mlm.dense" in heads:
        tensors["cls.predictions.bias" if bert else "lm_head.bias"] = state["mlm.bias"]
    names = {"encoder.norm": f"{tables}.LayerNorm"}
    for ours, theirs in heads.items():
        names[ours] = f"{root}.{theirs}" if theirs.startswith("pooler.") else theirs
    for layer in {name.split(".")[2] for name in state if name.startswith("encoder.layers.")}:
        ours, theirs = f"encoder.layers.{layer}", f"{root}.encoder.layer.{layer}"
        names |= {f"{ours}.{part}": f"{theirs}.{name}" for part, name in LAYER_PARTS.items()}
        for kind in ("weight", "bias"):
            parts = state[f"{ours}.attention.qkv.{kind}"].chunk(3)
            for part, tensor in zip(QKV, parts, strict=True):
                tensors[f"{theirs}.attention.self.{part}.{kind}"] = tensor
    for ours, theirs in names.items():
        for kind in ("weight", "bias"):
            tensors[f"{theirs}.{kind}"] = state[f"{ours}.{kind}"]
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def transformers_config(
    config: Model, state: Mapping[str, Tensor], ids: SpecialIds, name: str
) -> dict[str, Any]:
    """Content of config.json for `to_transformers(state, ids, name)`, but for the task's labels."""
    bert = name.startswith("Bert")
    return {
        "architectures": [name],
        "model_type": "bert" if bert else "roberta",
        "vocab_size": ids.size,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.ffn,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "classifier_dropout": None,
        "max_position_embeddings": config.positions + (0 if bert else ids.pad + 1),
        "type_vocab_size": 2 if bert or "encoder.segments.weight" in state else 1,
        "layer_norm_eps": config.layer_norm_eps,
        "initializer_range": config.init_std,
        "tie_word_embeddings": True,
        "bos_token_id": ids.start,
        "pad_token_id": ids.pad,
        "eos_token_id": ids.separator,
        "dtype": "float32",
    }
