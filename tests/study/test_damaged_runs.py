"""Published files whose bytes changed, and manifests that lost a field: one line, nothing used."""

import json

import numpy as np
import pytest
from finetune_toy import Study
from pretraining_toy import arguments, make_study

from model.stages import pretrain
from study.errors import StudyError
from study.identity import key_of
from study.manifest import load_manifest
from study.run import open_run


def flip(path, place=-1):
    """Another byte in a file of the same size."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("store", "train/tokens-0.bin"),
        ("store", "train/sentences.npy"),
        ("store", "heldout/corpora.npy"),
        ("full-sentences", "train/starts.npy"),
        ("full-sentences", "heldout/samples.json"),
        ("vocabulary", "tokenizer.json"),
    ],
)
def test_pretraining_refuses_inputs_of_other_bytes(tmp_path, stage, name):
    recipe = make_study(tmp_path, "full-sentences")
    manifest = load_manifest(tmp_path / f"{stage}.json")
    flip(manifest.run_directory / name)
    with pytest.raises(StudyError, match=f"{name}: SHA-256 differs from .*{stage}.json") as caught:
        pretrain.main(arguments(tmp_path, recipe, tmp_path / "out.json"))
    assert "; to make it anew: rm -r " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("features", "train/labels.npy"),
        ("features", "dev/examples.parquet"),
        ("pretrain", "model.safetensors"),
        ("vocabulary", "tokenizer.json"),
    ],
)
def test_finetuning_refuses_inputs_of_other_bytes(tmp_path, stage, name):
    study = Study(tmp_path, "pairs")
    path = load_manifest(study.path(stage)).run_directory / name
    if name.endswith("labels.npy"):
        labels = np.load(path)
        np.save(path, 1 - labels)
    else:
        flip(path)
    with pytest.raises(StudyError, match=f"{name}: SHA-256 differs from .*{stage}/manifest.json"):
        study.finetune()
    assert not study.path("finetune").exists()


def test_features_refuse_source_files_of_other_bytes(tmp_path):
    study = Study(tmp_path, "pairs")
    flip(tmp_path / "hub/train.parquet", 4)
    recipe = {**study.features, "length": 31}
    with pytest.raises(StudyError, match=r"hub/train\.parquet: another SHA-256, not as .*source"):
        study.run_features(recipe)


def test_renamed_corpora_in_a_store_manifest_change_nothing(tmp_path):
    recipe = make_study(tmp_path, "full-sentences")
    path = tmp_path / "store.json"
    data = json.loads(path.read_text())
    data["figures"]["corpora"] = ["b", "a"]
    path.write_text(json.dumps(data))
    pretrain.main(arguments(tmp_path, recipe, tmp_path / "out.json"))
    assert list(load_manifest(tmp_path / "out.json").figures["corpora"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda data: data.update(figures=None),
            r"not a manifest \(field figures: expected an object, found null\)",
        ),
        (lambda data: data["figures"].pop("dev"), r"field figures\.dev: missing"),
        (lambda data: data["figures"].update(train=None), r"field figures\.train: cannot be null"),
        (
            lambda data: data.update(files=None),
            r"not a manifest \(field files: expected an object, found null\)",
        ),
        (
            lambda data: data.update(files={"a": None}),
            r"not a manifest \(field files\.a: expected bytes",
        ),
        (lambda data: data.update(files={}), "field files: none of split train"),
    ],
)
def test_a_features_manifest_that_lost_a_field_is_one_line(tmp_path, change, line):
    study = Study(tmp_path, "pairs")
    path = study.path("features")
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(StudyError, match=f"features/manifest.json: {line}") as caught:
        study.finetune()
    assert "\n" not in str(caught.value)


def test_a_source_manifest_that_lost_a_field_is_one_line(tmp_path):
    study = Study(tmp_path, "pairs")
    recipe = {**study.features, "length": 31}
    path = study.path("source")
    whole = path.read_text()
    for change, line in (
        (lambda figures: figures.pop("files"), r"field figures\.files: missing"),
        (lambda figures: figures["files"].pop("train"), r"field figures\.files\.train: missing"),
        (
            lambda figures: figures["files"].update(train=[3]),
            r"figures\.files\.train: name: missing",
        ),
    ):
        data = json.loads(whole)
        change(data["figures"])
        path.write_text(json.dumps(data))
        with pytest.raises(StudyError, match=line):
            study.run_features(recipe)


def test_an_inner_manifest_without_files_is_made_again(tmp_path):
    recipe = {"stage": "store", "version": 1}
    path = tmp_path / "store.json"
    with open_run(path, recipe) as run:
        run.publish(files=[], figures={})
    inner = run.directory / "manifest.json"
    for files in (None, [], {"a": 1}):
        inner.write_text(json.dumps({**json.loads(path.read_text()), "files": files}))
        path.unlink()
        with open_run(path, recipe) as run:
            assert run.adopt() is None
            run.publish(files=[], figures={})
    assert load_manifest(path).files == {}


def test_what_lies_where_a_run_belongs_is_named(tmp_path):
    recipe = {"stage": "store", "version": 1}
    place = tmp_path / key_of(recipe)
    place.write_text("a file")
    line = f"{place}: expected a folder; remove what lies there"
    with pytest.raises(StudyError, match=line), open_run(tmp_path / "store.json", recipe):
        pass
    place.unlink()
    place.symlink_to(tmp_path / "gone")
    with pytest.raises(StudyError, match=line), open_run(tmp_path / "store.json", recipe):
        pass


@pytest.mark.parametrize("name", ["log.jsonl", "model.safetensors", "recipe.json"])
def test_a_folder_where_a_file_belongs_is_named(tmp_path, name):
    recipe = make_study(tmp_path, "full-sentences", steps=1)
    (tmp_path / key_of(recipe) / name).mkdir(parents=True)
    with pytest.raises(StudyError, match=f"{name}: a folder lies where this file belongs"):
        pretrain.main(arguments(tmp_path, recipe, tmp_path / "out.json"))


def test_a_folder_in_place_of_a_checkpoint_is_gone_past(tmp_path):
    recipe = make_study(tmp_path, "full-sentences", steps=2)
    run = tmp_path / key_of(recipe)
    (run / "checkpoints/step-000000001").mkdir(parents=True)
    pretrain.main(arguments(tmp_path, recipe, tmp_path / "out.json"))
    assert load_manifest(tmp_path / "out.json").figures["steps"] == 2
