"""The sentences stage: literal rows, hash of documents, shards, streaming."""

import hashlib
from itertools import pairwise

import pyarrow.parquet as pq
import pytest

from model.text import splitting as stage
from model.text.sources import read_texts
from model.text.splitting import (
    document_id,
    documents_within,
    is_heldout,
    read_blocks,
    shard_range,
    training_sentences,
    write_sentences,
)


def test_rows_and_figures(tmp_path):
    path = tmp_path / "s.parquet"
    figures = write_sentences(["Title\n\nOne é. Two.", " \n", "Three."], path, "en", 0.0)
    rows = pq.read_table(path).to_pylist()
    assert [row["sentences"] for row in rows] == [["Title", "One é.", "Two."], ["Three."]]
    assert [row["heldout"] for row in rows] == [False, False]
    assert rows[1]["id"] == int(hashlib.blake2b(b"Three.", digest_size=8).hexdigest(), 16)
    assert figures == {
        "train": {"documents": 2, "sentences": 4, "characters": 21, "words": 5, "bytes": 22},
        "heldout": {"documents": 0, "sentences": 0, "characters": 0, "words": 0, "bytes": 0},
        "empty_documents": 1,
    }


def test_sentences_may_be_the_lines_of_the_text(tmp_path):
    """BERT's input: what is given as a sentence stays one."""
    path = tmp_path / "s.parquet"
    write_sentences(["Mr. X  left. He ran\n\n so\n"], path, "en", 0.0, "lines")
    assert pq.read_table(path).column("sentences").to_pylist() == [["Mr. X left. He ran", "so"]]


def test_half_a_surrogate_pair_is_replaced(tmp_path):
    """JSON can spell one, as tools do that cut text between the halves of an emoji."""
    file = tmp_path / "texts.jsonl"
    lines = ["One \\ud83d\\ude00.", "Two \\ud83d.", "\\ude00Three", "\\ude00\\ud83d"]
    file.write_text("".join(f'{{"text": "{line}"}}\n' for line in lines))
    path = tmp_path / "s.parquet"
    figures = write_sentences(read_texts(file, "text"), path, "en", 0.0)
    found = [row["sentences"] for row in pq.read_table(path).to_pylist()]
    assert found == [["One 😀."], ["Two \ufffd."], ["\ufffdThree"], ["\ufffd\ufffd"]]
    assert figures["train"]["bytes"] == 9 + 8 + 8 + 6


def test_heldout_share_is_the_fraction_and_grows_with_it():
    identities = [document_id(f"document {i}") for i in range(20_000)]
    small = {i for i in identities if is_heldout(i, 0.01)}
    large = {i for i in identities if is_heldout(i, 0.02)}
    assert small < large
    assert 150 < len(small) < 250
    assert not any(is_heldout(i, 0.0) for i in identities)
    assert all(is_heldout(i, 1.0) for i in identities)


@pytest.mark.parametrize(("documents", "shards"), [(0, 1), (1, 3), (10, 3), (41_125, 2)])
def test_shards_partition_the_documents(documents, shards):
    ranges = [shard_range(documents, shard, shards) for shard in range(shards)]
    assert ranges[0][0] == 0 and ranges[-1][1] == documents
    assert all(left[1] == right[0] for left, right in pairwise(ranges))
    assert max(b - a for a, b in ranges) - min(b - a for a, b in ranges) <= 1


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, 1), (4, 1), (5, 2), (6, 2), (8, 3), (9, 4), (10, 4), (99, 4)]
)
def test_a_cap_in_bytes_keeps_the_first_documents_that_fit(limit, expected):
    """The texts are of 3, 2, 3 and 1 bytes; the first one always stays."""
    assert documents_within(["abc", "é", "xyz", "z"], limit) == expected


def test_files_are_written_and_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "BLOCK_CHARACTERS", 36)
    path = tmp_path / "s.parquet"
    figures = write_sentences((f"Item {i}." for i in range(10, 50)), path, "en", 0.5)
    blocks = list(read_blocks(path))
    assert len(blocks) == 8
    assert sum(block.num_rows for block in blocks) == 40
    train = [s for block in training_sentences(path) for s in block]
    assert len(train) == figures["train"]["sentences"] == 40 - figures["heldout"]["sentences"]
