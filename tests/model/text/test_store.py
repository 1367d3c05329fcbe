"""The token store: literal arrays, and refusal of what does not fit together."""

import errno
import mmap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples_toy import all_tokens, store_of

from model.text import store as store_module
from model.text.store import TokenStore, unigram_entropy
from study.errors import StudyError
from study.manifest import publish_manifest
from study.run import open_run

SHARDS = [[[[5, 6], [7]], [[8]]], [], [[[9, 9, 9], [4], [4]]]]


def write_part(folder, documents):
    store = store_of(documents)
    folder.mkdir(parents=True)
    (folder / "tokens.bin").write_bytes(store.shards[0].tobytes())
    (folder / "sentences.bin").write_bytes(np.diff(store.sentences).astype("<i4").tobytes())
    (folder / "documents.bin").write_bytes(np.diff(store.documents).astype("<i4").tobytes())


def write_shards(folder, shards=SHARDS):
    """The folders of shards, written as the tokens stage does."""
    parts = [folder / str(number) for number in range(len(shards))]
    for part, shard in zip(parts, shards, strict=True):
        write_part(part, shard)
    return parts


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_the_entropy_is_that_of_the_frequencies_in_all_files(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(store_module, "BLOCK", 2)
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path, tokens in zip(paths, ([5, 9, 5, 5], [], [7, 5, 700, 9]), strict=True):
        path.write_bytes(np.array(tokens, dtype).tobytes())
    # Frequencies of 1/2, 1/4, 1/8 and 1/8: 1.75 bits.
    assert unigram_entropy(paths, dtype) == pytest.approx(1.75 * np.log(2))
    assert unigram_entropy(paths[:1] * 3, dtype) == unigram_entropy(paths[:1], dtype)
    assert unigram_entropy(paths[1:2], dtype) is None


@pytest.mark.parametrize("block", [1, 2, 1 << 20])
def test_shards_are_put_together_block_by_block(tmp_path, monkeypatch, block):
    monkeypatch.setattr(store_module, "BLOCK", block)
    store_module.write_store(write_shards(tmp_path), [1, 1, 0], tmp_path / "out")
    tokens = [np.fromfile(tmp_path / f"out/tokens-{i}.bin", np.uint16).tolist() for i in range(3)]
    assert tokens == [[5, 6, 7, 8], [], [9, 9, 9, 4, 4]]
    read = {name: np.load(tmp_path / f"out/{name}.npy") for name in store_module.ARRAYS}
    assert {name: array.tolist() for name, array in read.items()} == {
        "sentences": [0, 2, 3, 4, 7, 8, 9],
        "documents": [0, 2, 3, 6],
        "document_tokens": [0, 3, 4, 9],
        "corpora": [1, 1, 0],
    }
    assert [array.dtype.str for array in read.values()] == ["<i8", "<i8", "<i8", "|u1"]


def test_tokens_are_those_of_the_shards_until_one_of_them_is_written_anew(tmp_path):
    parts = write_shards(tmp_path)
    for _ in range(2):  # also where an earlier process was killed
        store_module.write_store(parts, [1, 1, 0], tmp_path / "out")
    mine, shard = tmp_path / "out/tokens-0.bin", parts[0] / "tokens.bin"
    assert mine.samefile(shard)
    with store_module._open_anew(shard) as file:
        file.write(b"other")
    assert np.fromfile(mine, np.uint16).tolist() == [5, 6, 7, 8]
    assert shard.read_bytes() == b"other"


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_where_a_file_system_cannot_link_tokens_are_copied(tmp_path, monkeypatch, error):
    def cannot(self, target):
        raise OSError(error, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", cannot)
    parts = write_shards(tmp_path)
    store_module.write_store(parts, [1, 1, 0], tmp_path / "out")
    mine, shard = tmp_path / "out/tokens-2.bin", parts[2] / "tokens.bin"
    assert not mine.samefile(shard) and mine.read_bytes() == shard.read_bytes()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.data())
def test_tokens_are_read_across_shards(sizes, data):
    store = replace(store_of([]), shards=tuple(np.arange(n) + 10 * i for i, n in enumerate(sizes)))
    whole = [10 * i + j for i, n in enumerate(sizes) for j in range(n)]
    assert store.size == len(whole) and all_tokens(store) == whole
    places = st.integers(0, len(whole))
    ranges = data.draw(st.lists(st.tuples(places, places).map(sorted), min_size=1, max_size=5))
    expected = [token for start, stop in ranges for token in whole[start:stop]]
    assert store.read(*np.array(ranges).T).tolist() == expected


def publish(tmp_path, documents):
    for split in store_module.SPLITS:
        write_part(tmp_path / "parts" / split, documents[split])
    recipe = {"stage": "store", "version": 1, "tokens": ["t"], "corpora": ["toy"]}
    with open_run(tmp_path / "store.json", recipe) as run:
        for split in store_module.SPLITS:
            parts = [tmp_path / "parts" / split]
            store_module.write_store(parts, [0], run.directory / split)
        files = store_module.store_files(1)
        return run.publish(files=files, figures={"dtype": "uint16", "corpora": ["toy"]})


def publish_again(manifest):
    """The manifest of the same run with the bytes that lie there now."""
    return publish_manifest(
        manifest.path, manifest.recipe, files=list(manifest.files), figures=manifest.figures
    )


def test_open_maps_what_was_written_also_an_empty_split(tmp_path):
    manifest = publish(tmp_path, {"train": [[[1, 2], [3]]], "heldout": []})
    train, heldout = (TokenStore.open(manifest, split) for split in ("train", "heldout"))
    assert all(isinstance(getattr(train, name), np.memmap) for name in store_module.ARRAYS)
    assert all(isinstance(shard.base.obj, mmap.mmap) for shard in train.shards)
    assert all_tokens(train) == [1, 2, 3]
    assert train.corpus_names == ("toy",)
    assert (heldout.size, heldout.sentences.tolist(), heldout.documents.tolist()) == (0, [0], [0])
    with pytest.raises(StudyError, match="no split test; expected train or heldout"):
        TokenStore.open(manifest, "test")


@pytest.mark.skipif(not hasattr(mmap, "MADV_RANDOM"), reason="no advice on this system")
def test_the_system_is_told_what_is_read_of_a_large_store(tmp_path, monkeypatch):
    documents = {"train": [[[1, 2], [3]], [[4] * 5000]], "heldout": []}
    manifest = publish(tmp_path, documents)
    ranges = np.array([0, 2, 3000, 5002]), np.array([3, 5003, 3001, 5003])
    for large in (1 << 30, 10_005, 0):
        monkeypatch.setattr(store_module, "LARGE", large)
        train, heldout = (TokenStore.open(manifest, split) for split in ("train", "heldout"))
        assert bool(train.maps) == (large < 10_006)
        assert all_tokens(train) == [1, 2, 3, *[4] * 5000]
        train.will_need(*ranges)
        heldout.will_need(np.zeros(0, int), np.zeros(0, int))
    split = replace(train, shards=(train.shards[0], *heldout.shards, *train.shards))
    split = replace(split, maps=(*train.maps, b"", *train.maps))
    split.will_need(*ranges)
    split.will_need(ranges[0] + 5003, ranges[1] + 5003)
    assert split.read(np.array([5002]), np.array([5006])).tolist() == [4, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "array", "line"),
    [
        ("sentences", [0, 2, 4], "offsets run from 0 to 4, expected 0 to 3"),
        ("documents", [0, 1], "offsets run from 0 to 1, expected 0 to 2"),
        ("document_tokens", [1, 3], "offsets run from 1 to 3, expected 0 to 3"),
        ("document_tokens", [0, 1, 3], "3 entries, expected 2 for 1 documents"),
        ("corpora", [0, 0], "2 entries, expected 1 for 1 documents"),
    ],
)
def test_offsets_that_do_not_fit_are_refused(tmp_path, name, array, line):
    manifest = publish(tmp_path, {"train": [[[1, 2], [3]]], "heldout": []})
    np.save(manifest.run_directory / f"train/{name}.npy", np.array(array))
    with pytest.raises(StudyError, match=rf"train/{name}\.npy: "):
        TokenStore.open(manifest, "train")
    with pytest.raises(StudyError, match=f"train: {name}: {line}"):
        TokenStore.open(publish_again(manifest), "train")
