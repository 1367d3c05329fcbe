"""Exported folders: transformers loads them and computes the same."""

import json

import network_toy as toy
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForMaskedLM, AutoModelForPreTraining, AutoTokenizer

from model import export
from model.network.pretraining import PretrainingModel
from model.text.tokenizer import Vocabulary
from model.text.vocabulary_training import train_vocabulary
from study.errors import StudyError
from study.identity import key_of
from study.manifest import Manifest, publish_manifest

TEXTS = ["The cat sat on a mat.", "Who sat? The dog, in 1984.", "hello  world"]


def make(kind) -> Vocabulary:
    """A small vocabulary of the study's own kind."""
    return Vocabulary(train_vocabulary(lambda: [TEXTS], kind, 300, lowercase=kind == "wordpiece"))


def publish(path, recipe, files, figures) -> Manifest:
    """Publish a manifest whose files are written by the functions in `files`."""
    folder = path.parent / key_of(recipe)
    folder.mkdir(parents=True)
    for name, write in files.items():
        write(folder / name)
    return publish_manifest(path, recipe, files=list(files), figures=figures)


def study(root, vocabulary, nsp):
    """A vocabulary and a pre-training run, where a study keeps them; the run and its model."""
    recipe = {"stage": "vocabulary", "version": 1, "kind": "file", "path": "toy"}
    write = {"tokenizer.json": lambda path: vocabulary.tokenizer.save(str(path))}
    publish(root / f"vocabularies/toy/{key_of(recipe)}.json", recipe, write, {})
    model = PretrainingModel(toy.config(), vocabulary.size, segments=nsp, nsp=nsp)
    toy.randomise(model).eval()
    recipe = {
        "stage": "pretrain",
        "version": 1,
        "vocabulary": key_of(recipe),
        "format": {"name": "segment-pair" if nsp else "full-sentences", "length": 24},
        "model": toy.config().in_recipe(),
        "masking": {"policy": "dynamic"},
        "steps": 7,
        "seed": 3,
    }
    write = {"model.safetensors": lambda path: save_file(model.state_dict(), path)}
    place = root / f"pretrain/cell/seed-3/{key_of(recipe)}.json"
    figures = {"heldout_perplexity": 12.5, "curve": [[7, 2.5]]}
    return publish(place, recipe, write, figures), model


CELLS = [
    pytest.param(True, "wordpiece", id="segment-pair-nsp"),
    pytest.param(False, "byte-bpe", id="roberta"),
]


@pytest.mark.parametrize(("nsp", "kind"), CELLS)
def test_transformers_loads_the_folder_with_equal_logits(tmp_path, nsp, kind):
    vocabulary = make(kind)
    run, ours = study(tmp_path / "runs", vocabulary, nsp)
    target = tmp_path / "exported/cell"
    export.main([str(run.path.parent), str(target)])

    loader = AutoModelForPreTraining if nsp else AutoModelForMaskedLM
    theirs, report = loader.from_pretrained(target, output_loading_info=True)
    assert not any(report[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    masked = AutoModelForMaskedLM.from_pretrained(target).eval()
    tokenizer = AutoTokenizer.from_pretrained(target)

    texts = TEXTS[:2]
    inputs = tokenizer(texts, ["the mat"] * 2, padding=True, return_tensors="pt")
    lengths = inputs["attention_mask"].sum(1)
    assert lengths[0] != lengths[1]
    for row, text in enumerate(texts):
        first, second = vocabulary.encode_batch([text, "the mat"])
        expected = [0, *first, 2, *second, 2]
        assert inputs["input_ids"][row, : lengths[row]].tolist() == expected
        if nsp:
            kinds = [0] * (len(first) + 2) + [1] * (len(second) + 1)
            assert inputs["token_type_ids"][row, : lengths[row]].tolist() == kinds
    real = inputs["attention_mask"].bool()
    with torch.no_grad():
        hidden = ours.encoder(inputs["input_ids"], lengths, inputs.get("token_type_ids"))
        found = ours.mlm(hidden[real], ours.encoder.words.weight)[:, : vocabulary.size]
        assert (found - masked(**inputs).logits[real]).abs().max() <= 1e-5
        if nsp:
            output = theirs.eval()(**inputs)
            assert (ours.nsp(hidden[:, 0]) - output.seq_relationship_logits).abs().max() <= 1e-5


@pytest.mark.parametrize(("nsp", "kind"), CELLS)
def test_what_the_folder_holds(tmp_path, nsp, kind):
    vocabulary = make(kind)
    run, _ = study(tmp_path / "runs", vocabulary, nsp)
    target = tmp_path / "exported"
    export.main([str(run.path), str(target)])
    assert sorted(path.name for path in target.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    tokenizer = AutoTokenizer.from_pretrained(target)
    assert tokenizer.model_max_length == 24
    roles = ("bos", "cls", "pad", "eos", "sep", "unk", "mask")
    ids = [getattr(tokenizer, f"{role}_token_id") for role in roles]
    assert ids == [0, 0, 1, 2, 2, 3, vocabulary.mask]
    assert len(tokenizer) == vocabulary.size
    for text in TEXTS:
        assert tokenizer(text)["input_ids"] == [0, *vocabulary.encode_batch([text])[0], 2]
    before, after = vocabulary.encode_batch(["the", " sat"])
    filled = tokenizer(f"the {tokenizer.mask_token} sat")["input_ids"]
    assert filled == [0, *before, vocabulary.mask, *after, 2]  # the mask takes the blank before it
    assert tokenizer.decode(tokenizer("the cat sat")["input_ids"], skip_special_tokens=True) == (
        "the cat sat"
    )
    config = json.loads((target / "config.json").read_text())
    assert config["vocab_size"] == vocabulary.size
    assert config["max_position_embeddings"] == (24 if nsp else 26)
    card = (target / "README.md").read_text()
    assert run.key in card
    assert "| heldout_perplexity | 12.5 |" in card
    assert "curve" not in card


def test_run_directory_and_vocabulary_option(tmp_path):
    run, _ = study(tmp_path / "runs", make("wordpiece"), False)
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "runs/vocabularies/toy").rename(elsewhere)
    with pytest.raises(StudyError, match=r"no vocabulary .* name its manifest with --vocabulary"):
        export.main([str(run.run_directory), str(tmp_path / "out")])
    manifest = str(next(elsewhere.glob("*.json")))
    export.main([str(run.run_directory), str(tmp_path / "out"), "--vocabulary", manifest])
    assert (tmp_path / "out/model.safetensors").is_file()


def test_folder_of_a_cell_is_enough_while_it_holds_one_run(tmp_path):
    run, _ = study(tmp_path / "runs", make("wordpiece"), False)
    export.main([str(run.path.parent), str(tmp_path / "out")])
    assert (tmp_path / "out/model.safetensors").is_file()
    (run.path.parent / "000000000000.json").touch()
    with pytest.raises(StudyError, match=r"expected one manifest, found 000000000000\.json, "):
        export.main([str(run.path.parent), str(tmp_path / "again")])


def test_bad_targets_and_runs_are_one_line(tmp_path):
    run, _ = study(tmp_path / "runs", make("wordpiece"), False)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").touch()
    with pytest.raises(StudyError, match="full: exists and is not an empty folder"):
        export.main([str(run.path), str(full)])
    with pytest.raises(
        StudyError, match="field stage: expected pretrain or finetune, found vocabulary"
    ):
        export.main([str(tmp_path / "runs/vocabularies/toy"), str(tmp_path / "out")])
    (run.run_directory / "model.safetensors").write_bytes(b"short")
    with pytest.raises(StudyError, match=r"model\.safetensors: 5 bytes, expected"):
        export.main([str(run.path), str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
