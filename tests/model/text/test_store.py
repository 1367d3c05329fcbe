"""The token store: literal arrays, and refusal of what does not fit together."""

import numpy as np
import pytest
from samples_toy import store_of

from model.text import store as store_module
from model.text.store import TokenStore
from study.errors import StudyError
from study.manifest import publish_manifest
from study.run import open_run


def write_part(folder, documents):
    store = store_of(documents)
    folder.mkdir(parents=True)
    (folder / "tokens.bin").write_bytes(store.tokens.tobytes())
    (folder / "sentences.bin").write_bytes(np.diff(store.sentences).astype("<i4").tobytes())
    (folder / "documents.bin").write_bytes(np.diff(store.documents).astype("<i4").tobytes())


@pytest.mark.parametrize("block_bytes", [4, 8, 1 << 20])
def test_shards_are_put_together_block_by_block(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(store_module, "BLOCK_BYTES", block_bytes)
    shards = [[[[5, 6], [7]], [[8]]], [], [[[9, 9, 9], [4], [4]]]]
    for i, shard in enumerate(shards):
        write_part(tmp_path / str(i), shard)
    store_module.write_store([tmp_path / str(i) for i in range(3)], [1, 1, 0], tmp_path / "out")
    assert np.fromfile(tmp_path / "out/tokens.bin", np.uint16).tolist() == [
        5,
        6,
        7,
        8,
        *[9] * 3,
        4,
        4,
    ]
    read = {name: np.load(tmp_path / f"out/{name}.npy") for name in store_module.ARRAYS}
    assert read["sentences"].tolist() == [0, 2, 3, 4, 7, 8, 9]
    assert read["sentences"].dtype == np.int64
    assert read["documents"].tolist() == [0, 2, 3, 6]
    assert read["corpora"].tolist() == [1, 1, 0]


def publish(tmp_path, documents):
    for split in store_module.SPLITS:
        write_part(tmp_path / "parts" / split, documents[split])
    recipe = {"stage": "store", "version": 1, "corpora": ["toy"]}
    with open_run(tmp_path / "store.json", recipe) as run:
        for split in store_module.SPLITS:
            parts = [tmp_path / "parts" / split]
            store_module.write_store(parts, [0], run.directory / split)
        return run.publish(
            files=store_module.STORE_FILES, figures={"dtype": "uint16", "corpora": ["toy"]}
        )


def publish_again(manifest):
    """The manifest of the same run with the bytes that lie there now."""
    return publish_manifest(
        manifest.path, manifest.recipe, files=list(manifest.files), figures=manifest.figures
    )


def test_open_maps_what_was_written_also_an_empty_split(tmp_path):
    manifest = publish(tmp_path, {"train": [[[1, 2], [3]]], "heldout": []})
    train, heldout = (TokenStore.open(manifest, split) for split in ("train", "heldout"))
    assert isinstance(train.tokens, np.memmap) and isinstance(train.sentences, np.memmap)
    assert train.tokens.tolist() == [1, 2, 3]
    assert train.corpus_names == ("toy",)
    assert (len(heldout.tokens), heldout.sentences.tolist(), heldout.documents.tolist()) == (
        0,
        [0],
        [0],
    )
    with pytest.raises(StudyError, match="no split test; expected train or heldout"):
        TokenStore.open(manifest, "test")


def test_offsets_that_do_not_fit_the_tokens_are_refused(tmp_path):
    manifest = publish(tmp_path, {"train": [[[1, 2], [3]]], "heldout": []})
    np.save(manifest.run_directory / "train/sentences.npy", np.array([0, 2, 4]))
    with pytest.raises(StudyError, match=r"train/sentences\.npy: SHA-256 differs"):
        TokenStore.open(manifest, "train")
    with pytest.raises(
        StudyError, match="train: sentences: offsets run from 0 to 4, expected 0 to 3"
    ):
        TokenStore.open(publish_again(manifest), "train")
