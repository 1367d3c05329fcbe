"""Networks that start from what transformers wrote compute what transformers computes."""

import json

import network_toy as toy
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    RobertaModel,
)

from model.network.layout import Layout, read_shapes
from model.network.pretraining import PretrainingModel
from model.network.starting import from_transformers, take_over
from study.errors import StudyError
from study.starts import read_sizes

SIZES = {
    "vocab_size": toy.VOCABULARY,
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-5,
}


def folder_of(folder, of_model, **changes):
    """A model of transformers with random weights, and the folder that it saves itself in."""
    bert = of_model.__name__.startswith("Bert")
    more = {"max_position_embeddings": 24} if bert else {"max_position_embeddings": 26}
    more |= {"type_vocab_size": 2 if bert else 1, "pad_token_id": toy.PAD}
    config = (BertConfig if bert else RobertaConfig)(**{**SIZES, **more, **changes})
    model = toy.randomise(of_model(config))
    model.save_pretrained(folder)
    return model.eval()


def layout_of(folder) -> Layout:
    path = folder / "model.safetensors"
    return Layout(read_shapes(path), read_sizes(folder / "config.json"), path)


def start(folder, segments=False, nsp=False, fresh=()):
    """Our network of the folder's weights, and what of it is fresh."""
    config = toy.config()
    ours = toy.randomise(PretrainingModel(config, toy.VOCABULARY, segments, nsp, toy.PAD), seed=9)
    kept = take_over(ours, from_transformers(layout_of(folder)), fresh, str(folder))
    return ours.eval(), kept


def both(ours, theirs, segments):
    """Masked-language logits of ours and theirs at the real tokens, and next-sentence logits."""
    micro = toy.inputs()
    real = torch.arange(24) < micro["lengths"][:, None]
    kinds = micro["segments"] if segments else torch.zeros_like(micro["ids"])
    with torch.no_grad():
        output = theirs(micro["ids"], attention_mask=real.long(), token_type_ids=kinds)
        hidden = ours.encoder(micro["ids"], micro["lengths"], micro["segments"])
        found = ours.mlm(hidden[real], ours.encoder.words.weight)[:, : toy.VOCABULARY]
        following = None if ours.nsp is None else ours.nsp(hidden[:, 0])
    return found, following, output, real


def test_roberta_with_equal_logits(tmp_path):
    theirs = folder_of(tmp_path, RobertaForMaskedLM)
    ours, kept = start(tmp_path)
    found, _, output, real = both(ours, theirs, False)
    assert kept == [] and found.std() > 0.1
    assert (found - output.logits[real]).abs().max() <= 1e-5


@pytest.mark.parametrize("segments", [True, False])
def test_bert_with_equal_logits(tmp_path, segments):
    theirs = folder_of(tmp_path, BertForPreTraining)
    ours, kept = start(tmp_path, segments, nsp=True)
    found, following, output, real = both(ours, theirs, segments)
    assert kept == [] and found.std() > 0.1
    assert (found - output.prediction_logits[real]).abs().max() <= 1e-5
    assert (following - output.seq_relationship_logits).abs().max() <= 1e-5


def test_bert_of_2018_with_its_decoder_and_its_names_of_layer_norm(tmp_path):
    theirs = folder_of(tmp_path, BertForMaskedLM)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    words = tensors["bert.embeddings.word_embeddings.weight"]
    old["cls.predictions.decoder.weight"] = words.clone()
    old["bert.embeddings.position_ids"] = torch.arange(24)[None]
    save_file(old, path)
    ours, _ = start(tmp_path)
    found, _, output, real = both(ours, theirs, False)
    assert (found - output.logits[real]).abs().max() <= 1e-5
    old["cls.predictions.decoder.weight"] = words + 1
    save_file(old, path)
    message = r"tensor cls.predictions.decoder.weight: differs from bert.embeddings.word_embedd"
    with pytest.raises(StudyError, match=message):
        start(tmp_path)


@pytest.mark.parametrize("of_model", [RobertaModel, BertModel, RobertaForSequenceClassification])
def test_an_encoder_alone_needs_a_fresh_head(tmp_path, of_model):
    theirs = folder_of(tmp_path, of_model, architectures=None)
    layout = layout_of(tmp_path)
    assert list(layout.lacking(nsp=False, segments=False)) == ["mlm"]
    with pytest.raises(StudyError, match=r"tensor mlm\.bias: missing"):
        start(tmp_path)
    ours, kept = start(tmp_path, fresh=["mlm"])
    assert {name.split(".")[0] for name in kept} == {"mlm"} and len(kept) == 5
    micro = toy.inputs()
    real = torch.arange(24) < micro["lengths"][:, None]
    encoder = getattr(theirs, "roberta", theirs)
    with torch.no_grad():
        expected = encoder(micro["ids"], attention_mask=real.long()).last_hidden_state[real]
        found = ours.encoder(micro["ids"], micro["lengths"], None)[real]
    assert (found - expected).abs().max() <= 1e-5


def test_parts_that_are_not_there_are_told_by_their_tensors(tmp_path):
    folder_of(tmp_path, RobertaForMaskedLM)
    lacking = layout_of(tmp_path).lacking(nsp=True, segments=True)
    assert lacking == {
        "nsp": "cls.seq_relationship.weight",
        "segments": "roberta.embeddings.token_type_embeddings.weight of 2 rows",
    }
    _, kept = start(tmp_path, segments=True, nsp=True, fresh=["nsp", "segments"])
    assert kept == [
        "encoder.segments.weight",
        *("nsp.output.bias", "nsp.output.weight", "nsp.pooler.bias", "nsp.pooler.weight"),
    ]


def change(folder, name, tensor=None):
    """Take a tensor out of a folder's file, or put another one there."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors.pop(name, None)
    save_file(tensors if tensor is None else {**tensors, name: tensor}, path)


WORDS = "roberta.embeddings.word_embeddings.weight"


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        (WORDS, None, f"tensor {WORDS}: missing"),
        (
            WORDS,
            torch.zeros(96, 32),
            f"tensor {WORDS}: expected shape (100, 32) by config.json, found (96, 32)",
        ),
        (
            "roberta.embeddings.position_embeddings.weight",
            torch.zeros(24, 32),
            "tensor roberta.embeddings.position_embeddings.weight: expected shape (26, 32) by "
            "config.json, found (24, 32)",
        ),
        ("lm_head.dense.bias", None, "tensor lm_head.dense.bias: missing"),
        (
            "roberta.encoder.layer.0.adapter.weight",
            torch.zeros(2),
            "tensor roberta.encoder.layer.0.adapter.weight: not part of this network",
        ),
        (
            "roberta.encoder.layer.2.output.dense.bias",
            torch.zeros(32),
            "tensor roberta.encoder.layer.2.output.dense.bias: not part of this network",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(tmp_path, name, tensor, message):
    folder_of(tmp_path, RobertaForMaskedLM)
    change(tmp_path, name, tensor)
    with pytest.raises(StudyError) as error:
        layout_of(tmp_path)
    assert str(error.value) == f"{tmp_path}/model.safetensors: {message}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_type": "gpt2"},
            "field model_type: expected bert or roberta or xlm-roberta or camembert, found gpt2",
        ),
        ({"hidden_act": "relu"}, 'field hidden_act: expected "gelu", found "relu"'),
        ({"num_hidden_layers": None}, "field num_hidden_layers: missing"),
        ({"vocab_size": "100"}, "field vocab_size: expected a whole number, found 100"),
        ({"is_decoder": True}, "field is_decoder: expected false, found true"),
        (
            {"position_embedding_type": "relative_key"},
            'field position_embedding_type: expected "absolute", found "relative_key"',
        ),
    ],
)
def test_a_config_of_another_network_is_one_line(tmp_path, changes, message):
    folder_of(tmp_path, RobertaForMaskedLM)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(StudyError) as error:
        read_sizes(path)
    assert str(error.value) == f"{path}: {message}"


def test_sizes_are_those_of_a_cell_and_differences_are_told(tmp_path):
    folder_of(tmp_path, RobertaForMaskedLM)
    sizes = read_sizes(tmp_path / "config.json")
    assert sizes.differences(toy.config()) == []
    other = toy.config(heads=2, positions=26, layer_norm_eps=1e-12)
    assert sizes.differences(other) == [
        "heads 2 (4)",
        "positions 26 (24)",
        "layer_norm_eps 1e-12 (1e-05)",
    ]
