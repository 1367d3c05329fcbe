"""The samples stage as a command: manifest in, manifest out, one-line errors."""

import json

import numpy as np
import pytest
from samples_toy import TOY, build, store_of, write_split

from model.samples.index import Samples
from model.stages.samples import main
from study.errors import StudyError
from study.formats import FORMATS
from study.identity import key_of
from study.manifest import load_manifest, publish_manifest

STORE = {"stage": "store", "version": 1, "tokens": ["t"], "vocabulary": "v", "corpora": ["toy"]}


def publish_store(folder, heldout=TOY):
    """A store manifest with the toy corpus as both splits."""
    files = []
    for split, documents in (("train", TOY), ("heldout", heldout)):
        files += write_split(store_of(documents), folder / key_of(STORE) / split)
    publish_manifest(
        folder / "store.json", STORE, files=files, figures={"dtype": "uint16", "corpora": ["toy"]}
    )


def recipe_of(format: str, **changes) -> dict:
    recipe = {
        "stage": "samples",
        "version": 1,
        "store": key_of(STORE),
        "format": format,
        "length": 12,
        **({"seed": 0} if format.endswith("-pair") else {"separators": "document"}),
        **changes,
    }
    return {name: value for name, value in recipe.items() if value is not None}


def run(folder, recipe):
    main(
        [
            *("--recipe", json.dumps(recipe), "--manifest", str(folder / "samples.json")),
            *("--store", str(folder / "store.json")),
        ]
    )
    return load_manifest(folder / "samples.json", key=key_of(recipe), stage="samples")


@pytest.mark.parametrize("format", ["full-sentences", "segment-pair"])
def test_builds_both_splits(format, tmp_path):
    publish_store(tmp_path, heldout=TOY[:2])
    manifest = run(tmp_path, recipe_of(format))
    for split, documents in (("train", TOY), ("heldout", TOY[:2])):
        expected = build(store_of(documents), format, 12, seed=0)
        found = Samples.open(manifest.run_directory / split)
        assert manifest.figures[split] == found.figures == expected.figures
        for name, array in expected.arrays.items():
            assert np.array_equal(found.arrays[name], array)
            assert np.array_equal(np.load(manifest.file(f"{split}/{name}.npy")), array)


def test_negatives_of_the_same_corpus_are_another_recipe(tmp_path):
    publish_store(tmp_path)
    plain = run(tmp_path, recipe_of("segment-pair"))
    other = run(tmp_path, recipe_of("segment-pair", negatives="corpus"))
    assert plain.key != other.key
    # The toy store is one corpus.
    assert plain.files["train/documents.npy"] == other.files["train/documents.npy"]


@pytest.mark.parametrize("format", FORMATS)
def test_long_work_says_how_far_it_is(format, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("model.stages.stage.PAUSE", 0)
    publish_store(tmp_path)
    manifest = run(tmp_path, recipe_of(format))
    starts = np.load(manifest.file("train/starts.npy"))
    tokens = sum(len(sentence) for document in TOY for sentence in document)
    assert f"train: {starts[-1, 0]} of {tokens} tokens" in capsys.readouterr().err.splitlines()


def test_running_again_adopts(tmp_path):
    publish_store(tmp_path)
    first = run(tmp_path, recipe_of("doc-sentences"))
    text = first.path.read_text()
    stamp = (first.run_directory / "train/starts.npy").stat().st_mtime_ns
    first.path.unlink()
    assert run(tmp_path, recipe_of("doc-sentences")).path.read_text() == text
    assert (first.run_directory / "train/starts.npy").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (recipe_of("doc-sentences", seed=1), "field seed: unknown"),
        (recipe_of("segment-pair", seed=None), "field seed: missing"),
        (recipe_of("doc-sentences", negatives="corpus"), "field negatives: unknown for format doc"),
        (recipe_of("doc-sentences", separators=None), "field separators: missing"),
        (recipe_of("doc-sentences", store="0" * 12), "field key: made from recipe"),
        (recipe_of("pairs"), "^--recipe: field format: input should be .*, found 'pairs'"),
        (recipe_of("full-sentences", separators="none"), "^--recipe: field separators: .*'none'"),
        (recipe_of("segment-pair", negatives="none"), "^--recipe: field negatives: .*'none'"),
        (recipe_of("full-sentences", length=4), "^--recipe: field length: .* 8, found 4"),
    ],
)
def test_bad_recipes_are_one_line(recipe, message, tmp_path):
    publish_store(tmp_path)
    with pytest.raises(StudyError, match=message):
        run(tmp_path, recipe)


def test_one_document_in_a_split_is_one_line(tmp_path):
    publish_store(tmp_path, heldout=TOY[:1])
    with pytest.raises(StudyError, match=r"store.json: split heldout: .*at least 2, found 1"):
        run(tmp_path, recipe_of("segment-pair"))


@pytest.mark.parametrize("format", ["full-sentences", "sentence-pair"])
def test_a_split_without_samples_is_one_line(format, tmp_path):
    publish_store(tmp_path, heldout=[])
    expected = r"split heldout: .*holds no sentences; held out is a share heldout_fraction of the"
    with pytest.raises(StudyError, match=expected):
        run(tmp_path, recipe_of(format))
    assert not (tmp_path / "samples.json").exists()


def test_heldout_pairs_do_not_depend_on_the_seed(tmp_path):
    publish_store(tmp_path, heldout=TOY)
    manifests = [run(tmp_path, recipe_of("segment-pair", seed=seed)) for seed in (0, 1)]
    starts = [manifest.files["heldout/starts.npy"]["sha256"] for manifest in manifests]
    assert starts[0] == starts[1]
