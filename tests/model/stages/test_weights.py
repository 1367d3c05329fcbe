"""The weights stage, and pre-trainings that start from its tensors or from another pre-training."""

import json
from pathlib import Path

import pytest
import torch
from network_toy import randomise
from pretraining_toy import LENGTH, arguments, make_study
from safetensors.torch import load_file
from samples_toy import toy_vocabulary
from transformers import BertConfig, BertForPreTraining

from model.stages.pretrain import main as pretrain
from model.stages.weights import main as weights
from study.digests import sha256_file
from study.errors import StudyError
from study.identity import key_of
from study.manifest import Manifest, load_manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def bert(folder) -> Path:
    """A BERT of the toy network's sizes with random weights, as transformers saves it."""
    config = BertConfig(
        vocab_size=toy_vocabulary().size,
        num_hidden_layers=2,
        hidden_size=32,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        layer_norm_eps=1e-5,
    )
    randomise(BertForPreTraining(config)).save_pretrained(folder / "bert")
    return folder / "bert"


def read(bert: Path, place: Path, **changes) -> Manifest:
    """The published run of the weights stage."""
    names = ("config.json", "model.safetensors")
    files = {name: sha256_file(bert / name) for name in names} | changes
    recipe = {"stage": "weights", "version": 1, "files": files}
    places = json.dumps({key_of(recipe): str(bert)})
    weights(
        ["--recipe", json.dumps(recipe), "--manifest", str(place / "w.json"), "--places", places]
    )
    return load_manifest(place / "w.json", key=key_of(recipe), stage="weights")


def trained(folder: Path, place: Path, recipe: dict, **inputs: Manifest) -> Manifest:
    """A pre-training with these further inputs."""
    more = [word for name, run in inputs.items() for word in (f"--{name}", str(run.path))]
    pretrain([*arguments(folder, recipe, place / "manifest.json"), *more])
    return load_manifest(place / "manifest.json", key=key_of(recipe))


def test_a_pre_training_starts_from_what_transformers_wrote(folder, bert, tmp_path):
    run = read(bert, tmp_path)
    assert list(run.files) == ["model.safetensors"]
    assert run.figures["sizes"]["positions"] == LENGTH
    assert [file["name"] for file in run.figures["files"]] == ["config.json", "model.safetensors"]
    recipe = make_study(folder, "segment-pair", steps=0, weights=run.key)
    found = load_file(trained(folder, tmp_path, recipe, weights=run).file("model.safetensors"))
    theirs = load_file(bert / "model.safetensors")
    size = toy_vocabulary().size
    words = theirs["bert.embeddings.word_embeddings.weight"]
    assert torch.equal(found["encoder.words.weight"][:size], words)
    assert torch.equal(found["nsp.pooler.weight"], theirs["bert.pooler.dense.weight"])
    segments = theirs["bert.embeddings.token_type_embeddings.weight"]
    assert torch.equal(found["encoder.segments.weight"], segments)
    # Without segments every token has those of segment 0.
    recipe = make_study(folder, "full-sentences", steps=0, weights=run.key)
    plain = trained(folder, tmp_path / "plain", recipe, weights=run)
    assert plain.figures["fresh_tensors"] == []
    positions = theirs["bert.embeddings.position_embeddings.weight"] + segments[0]
    found = load_file(plain.file("model.safetensors"))
    assert torch.equal(found["encoder.positions.weight"], positions)


def test_a_pre_training_goes_on_from_another_one(folder, tmp_path):
    first = make_study(folder, "full-sentences", steps=3)
    run = trained(folder, tmp_path / "first", first)
    assert "fresh_tensors" not in run.figures
    start = load_file(run.file("model.safetensors"))
    same = make_study(folder, "full-sentences", steps=0, start=run.key)
    again = trained(folder, tmp_path / "same", same, start=run)
    assert again.figures["heldout_loss"] == run.figures["heldout_loss"]
    for name, tensor in load_file(again.file("model.safetensors")).items():
        if name != "encoder.words.weight":  # whose filler rows are nobody's
            assert torch.equal(tensor, start[name])
    paired = make_study(folder, "segment-pair", steps=0, start=run.key, fresh=["nsp", "segments"])
    found = trained(folder, tmp_path / "paired", paired, start=run)
    assert found.figures["fresh_tensors"] == [
        "encoder.segments.weight",
        *("nsp.output.bias", "nsp.output.weight", "nsp.pooler.bias", "nsp.pooler.weight"),
    ]
    further = make_study(folder, "full-sentences", steps=3, start=run.key)
    assert trained(folder, tmp_path / "further", further, start=run).figures["steps"] == 3


def test_weights_that_do_not_fit_are_one_line(folder, bert, tmp_path):
    with pytest.raises(StudyError, match="bert: not the files of the recipe; if they were chang"):
        read(bert, tmp_path / "other", **{"config.json": "0" * 64})
    run = read(bert, tmp_path)
    recipe = make_study(folder, "full-sentences", steps=0, weights=run.key)
    recipe["model"] = recipe["model"] | {"heads": 2}
    with pytest.raises(StudyError) as error:
        trained(folder, tmp_path, recipe, weights=run)
    assert str(error.value) == f"{run.path}: other sizes than field model: heads 2 (4)"
    recipe = make_study(folder, "segment-pair", steps=0, weights=run.key, fresh=["mlm"])
    trained(folder, tmp_path / "fresh", recipe, weights=run)
    with pytest.raises(StudyError, match="unknown for random weights"):
        make = make_study(folder, "full-sentences", steps=0, fresh=["mlm"])
        trained(folder, tmp_path / "none", make)
