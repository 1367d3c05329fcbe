"""From files to a store through the stage commands: literal ids, shards, held-out documents."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples_toy import all_tokens

from model.stages import sentences, store, tokens, vocabulary
from model.stages import source as source_stage
from model.text import store as store_module
from model.text.splitting import SCHEMA
from model.text.store import TokenStore, write_tokens
from model.text.tokenizer import Vocabulary
from model.text.vocabulary_training import train_vocabulary
from study import digests
from study.digests import sha256_file
from study.errors import StudyError
from study.identity import key_of
from study.manifest import load_manifest
from study.places import own_contents

DOCUMENTS = [
    f"Heading {i}\n\nThe dog number {i} barks. Cats sleep, {i % 7} of them." for i in range(40)
]


def run(stage, manifest, recipe, *more):
    stage.main(["--recipe", json.dumps(recipe), "--manifest", str(manifest), *map(str, more)])
    return load_manifest(manifest)


def places(recipe, path):
    return "--places", json.dumps({key_of(recipe): str(path)})


def build(folder, root, shards, **capped):
    """Run all text stages on a folder of files; returns the store's manifest and the vocabulary."""
    contents = own_contents(folder, ["train"])
    recipe = {"stage": "source", "version": 1, "files": contents, "splits": ["train"]}
    source = run(source_stage, root / "source.json", recipe, *places(recipe, folder))
    common = {"stage": "sentences", "version": 1, "source": source.key, "corpus": "toy"}
    common |= {"column": "text", "split": "train", "documents": None, "shards": shards}
    common |= {"splitter": "sentencex", "language": "en", "heldout_fraction": 0.25, **capped}
    parts = [
        run(sentences, root / f"s{i}.json", {**common, "shard": i}, "--source", source.path)
        for i in range(shards)
    ]
    recipe = {"stage": "vocabulary", "version": 1, "kind": "byte-bpe", "size": 320}
    recipe |= {"sentences": [part.key for part in parts], "characters": None}
    paths = [part.path for part in parts]
    trained = run(vocabulary, root / "v.json", recipe, "--sentences", *paths)
    shards_of_tokens = [
        run(
            tokens,
            root / f"t{i}.json",
            {"stage": "tokens", "version": 1, "sentences": part.key, "vocabulary": trained.key},
            *("--sentences", part.path, "--vocabulary", trained.path),
        )
        for i, part in enumerate(parts)
    ]
    recipe = {"stage": "store", "version": 1, "tokens": [t.key for t in shards_of_tokens]}
    recipe |= {"vocabulary": trained.key, "corpora": ["toy"] * shards}
    paths = [t.path for t in shards_of_tokens]
    return run(store, root / "store.json", recipe, "--tokens", *paths), Vocabulary.load(trained)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    table = pa.table({"text": DOCUMENTS[:25]})
    pq.write_table(table, folder / "a.parquet", row_group_size=7)
    lines = [json.dumps({"text": text}) + "\n" for text in DOCUMENTS[25:39]]
    (folder / "b.jsonl").write_text("".join(lines))
    (folder / "c.txt").write_text(DOCUMENTS[39])
    return folder


def decoded(manifest, vocabulary, split):
    opened = TokenStore.open(manifest, split)
    texts = [
        vocabulary.tokenizer.decode(opened.read(np.array([a]), np.array([b])).tolist())
        for a, b in zip(opened.sentences[:-1], opened.sentences[1:], strict=True)
    ]
    bounds = zip(opened.documents[:-1], opened.documents[1:], strict=True)
    return [texts[a:b] for a, b in bounds]


def test_store_holds_every_sentence_in_order(folder, tmp_path):
    manifest, trained = build(folder, tmp_path, shards=2)
    found = {split: decoded(manifest, trained, split) for split in ("train", "heldout")}
    expected = [
        [f"Heading {i}", f"The dog number {i} barks.", f"Cats sleep, {i % 7} of them."]
        for i in range(40)
    ]
    assert 2 < len(found["heldout"]) < 20
    for documents in found.values():
        order = [expected.index(document) for document in documents]
        assert order == sorted(order)
    assert sorted(found["train"] + found["heldout"]) == sorted(expected)
    figures = manifest.figures["train"]["toy"]
    assert figures["documents"] == len(found["train"])
    assert figures["sentences"] == 3 * len(found["train"])
    assert figures["characters"] == sum(len(s) for d in found["train"] for s in d)
    assert figures["tokens"] == TokenStore.open(manifest, "train").size
    assert figures["unknown_tokens"] == figures["empty_sentences"] == 0
    heldout = TokenStore.open(manifest, "heldout")
    _, counts = np.unique(heldout.read(np.array([0]), np.array([heldout.size])), return_counts=True)
    shares = counts / counts.sum()
    entropy = -(shares * np.log(shares)).sum()
    assert manifest.figures["unigram_entropy"] == pytest.approx(entropy)


def test_a_cap_in_bytes_keeps_the_first_documents_for_any_number_of_shards(folder, tmp_path):
    limit = sum(len(text.encode()) for text in DOCUMENTS[:30]) + 5  # the 31st does not fit
    found = []
    for shards in (1, 4):
        (tmp_path / str(shards)).mkdir()
        manifest, trained = build(folder, tmp_path / str(shards), shards, bytes=limit)
        found.append({split: decoded(manifest, trained, split) for split in ("train", "heldout")})
    assert found[0] == found[1]
    titles = sorted(document[0] for documents in found[0].values() for document in documents)
    assert titles == sorted(f"Heading {i}" for i in range(30))


def test_number_of_shards_does_not_change_the_store(folder, tmp_path):
    stores = []
    for shards in (1, 3):
        (tmp_path / str(shards)).mkdir()
        stores.append(build(folder, tmp_path / str(shards), shards)[0])
    assert stores[0].figures == stores[1].figures
    for split in store_module.SPLITS:
        one, other = (TokenStore.open(manifest, split) for manifest in stores)
        assert (len(one.shards), len(other.shards)) == (1, 3)
        assert all_tokens(one) == all_tokens(other)
        for name in (f"{split}/{array}.npy" for array in store_module.ARRAYS):
            assert stores[0].files[name] == stores[1].files[name]


def test_a_store_outlives_its_shards_and_does_not_hash_their_tokens_again(
    folder, tmp_path, monkeypatch
):
    hashed = []
    monkeypatch.setattr(digests, "LARGE", 1)  # as if the files were
    monkeypatch.setattr(
        digests, "sha256_file", lambda path: hashed.append(path.name) or sha256_file(path)
    )
    manifest, trained = build(folder, tmp_path, shards=2)
    assert hashed.count("tokens.bin") == 4
    assert not {"tokens-0.bin", "tokens-1.bin"} & {*hashed}
    before = decoded(manifest, trained, "train")
    for shard in ("t0", "t1"):
        shard = load_manifest(tmp_path / f"{shard}.json")
        entry = shard.files["train/tokens.bin"]
        assert entry in manifest.files.values()
        shutil.rmtree(shard.run_directory)
    assert decoded(manifest, trained, "train") == before
    assert not {"tokens-0.bin", "tokens-1.bin"} & {*hashed}
    assert {path.name for path in (manifest.run_directory / "train").iterdir()} == {
        Path(name).name for name in manifest.files
    }


def test_literal_parts_of_a_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SENTENCES_PER_CALL", 2)
    rows = [
        {"id": 1, "heldout": False, "sentences": ["ab", "b", "a"]},
        {"id": 2, "heldout": True, "sentences": ["bb"]},
        {"id": 3, "heldout": False, "sentences": ["\u200b", "\u200b"]},
        {"id": 4, "heldout": False, "sentences": ["\u200b", "b z"]},
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), tmp_path / "s.parquet")
    letters = Vocabulary(train_vocabulary(lambda: [["ab a b"]], "wordpiece", 9, lowercase=True))
    ids = letters.tokenizer.get_vocab()
    figures = write_tokens(tmp_path / "s.parquet", letters, tmp_path)
    read = {
        name: np.fromfile(tmp_path / name, dtype).tolist()
        for name, dtype in (
            ("train/tokens.bin", np.uint16),
            ("train/sentences.bin", np.int32),
            ("train/documents.bin", np.int32),
            ("heldout/tokens.bin", np.uint16),
            ("heldout/documents.bin", np.int32),
        )
    }
    assert read["train/tokens.bin"] == [ids["ab"], ids["b"], ids["a"], ids["b"], ids["<unk>"]]
    assert read["train/sentences.bin"] == [1, 1, 1, 2]
    assert read["train/documents.bin"] == [3, 1]
    assert read["heldout/tokens.bin"] == [ids["b"], ids["##b"]]
    assert read["heldout/documents.bin"] == [1]
    assert figures["train"] == {
        "documents": 2,
        "sentences": 4,
        "tokens": 5,
        "unknown_tokens": 1,
        "empty_sentences": 3,
    }


def test_a_manifest_of_another_recipe_is_refused(folder, tmp_path):
    manifest, _ = build(folder, tmp_path, shards=1)
    recipe = {**manifest.recipe, "tokens": ["0" * 12]}
    with pytest.raises(StudyError, match="field key: made from recipe"):
        run(store, tmp_path / "other.json", recipe, "--tokens", tmp_path / "t0.json")
    with pytest.raises(StudyError, match="2 manifests, but field tokens of the recipe has 1"):
        shard = tmp_path / "t0.json"
        run(store, tmp_path / "other.json", manifest.recipe, "--tokens", shard, shard)


def test_a_named_tokenizer_is_taken_as_it_is(tmp_path):
    named = tmp_path / "tokenizer.json"
    named.write_text(train_vocabulary(lambda: [["a b c"]], "byte-bpe", 280).to_str())
    recipe = {"stage": "vocabulary", "version": 1, "kind": "file"}
    recipe["sha256"] = sha256_file(named)
    manifest = run(vocabulary, tmp_path / "v.json", recipe, *places(recipe, named))
    assert manifest.file("tokenizer.json").read_bytes() == named.read_bytes()
    assert manifest.figures == {"size": Vocabulary.load(named).size}
    named.write_text(named.read_text() + " ")
    with pytest.raises(StudyError, match="SHA-256 differs from the recipe's"):
        other = {**recipe, "version": 2}
        run(vocabulary, tmp_path / "other.json", other, *places(other, named))
