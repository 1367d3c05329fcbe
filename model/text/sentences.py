"""A shard of a corpus: its documents in, a parquet file of their sentences out (paper 3.2, 4.2).

Columns of `sentences.parquet`, one row per document that has a sentence:

    id         uint64        first 8 bytes of BLAKE2b of the text
    heldout    bool          id below `heldout_fraction` of 2**64: the same documents at any shards
    sentences  list<string>  see model.text.splitting

Documents are read, split and written in blocks of a few million characters. Half a surrogate pair,
which JSON can spell and UTF-8 cannot, becomes U+FFFD.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.text.sources import open_parquet
from model.text.splitting import split_with_sentencex

SENTENCES_FILE = "sentences.parquet"
SCHEMA = pa.schema(
    [("id", pa.uint64()), ("heldout", pa.bool_()), ("sentences", pa.list_(pa.string()))]
)
BLOCK_CHARACTERS = 4_000_000
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
COUNTS = ("documents", "sentences", "characters", "words", "bytes")


def document_id(text: str) -> int:
    """64-bit hash of a document's text; equal texts are held out together."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def is_heldout(identity: int, fraction: float) -> bool:
    """Whether a document belongs to the held-out `fraction`."""
    return identity < int(fraction * 2**64)


def shard_range(documents: int, shard: int, shards: int) -> tuple[int, int]:
    """First document of a shard and the one after its last."""
    return documents * shard // shards, documents * (shard + 1) // shards


def documents_within(texts: Iterable[str], limit: int) -> int:
    """How many of the first documents hold at most `limit` bytes of UTF-8 text together.

    At least one, and all if they hold less; the texts are read no further than that.
    """
    count = size = 0
    for text in texts:
        size += len(text.encode(errors="surrogatepass"))
        if count and size > limit:
            break
        count += 1
    return count


def write_sentences(
    texts: Iterable[str], path: Path, language: str, heldout_fraction: float
) -> dict:
    """Split `texts` and write `path`; about a share `heldout_fraction` of them is held out.

    Returns the figures: per split ("train", "heldout") documents, sentences, characters, words
    and bytes of the sentences, and `empty_documents`, those left out.
    """
    counts = {name: dict.fromkeys(COUNTS, 0) for name in ("train", "heldout")}
    empty = 0
    with BlockWriter(path) as writer:
        for read in texts:
            text = LONE_SURROGATE.sub("\ufffd", read)
            sentences = split_with_sentencex(text, language)
            if not sentences:
                empty += 1
                continue
            identity = document_id(text)
            heldout = is_heldout(identity, heldout_fraction)
            count_sentences(counts["heldout" if heldout else "train"], sentences)
            writer.add(identity, heldout, sentences, len(text))
    return {**counts, "empty_documents": empty}


def count_sentences(counts: dict[str, int], sentences: list[str]) -> None:
    """Add a document's figures to `counts`."""
    joined = "".join(sentences)
    counts["documents"] += 1
    counts["sentences"] += len(sentences)
    counts["characters"] += len(joined)
    counts["words"] += sum(len(sentence.split()) for sentence in sentences)
    counts["bytes"] += len(joined.encode())


class BlockWriter:
    """Writes rows to a parquet file, a row group whenever enough characters have come together."""

    def __init__(self, path: Path):
        self.file = pq.ParquetWriter(path, SCHEMA, compression="zstd", compression_level=1)
        self._clear()

    def __enter__(self) -> "BlockWriter":
        return self

    def __exit__(self, *_) -> None:
        self._flush()
        self.file.close()

    def add(self, identity: int, heldout: bool, sentences: list[str], characters: int) -> None:
        """Append one document."""
        for column, value in zip(self.columns, (identity, heldout, sentences), strict=True):
            column.append(value)
        self.characters += characters
        if self.characters >= BLOCK_CHARACTERS:
            self._flush()

    def _clear(self) -> None:
        self.columns: tuple[list, list, list] = ([], [], [])
        self.characters = 0

    def _flush(self) -> None:
        if self.columns[0]:
            arrays = [
                pa.array(column, type=field.type)
                for column, field in zip(self.columns, SCHEMA, strict=True)
            ]
            self.file.write_batch(pa.record_batch(arrays, schema=SCHEMA))
        self._clear()


def read_blocks(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the file's row groups, one at a time."""
    with open_parquet(path) as parquet:
        for group in range(parquet.num_row_groups):
            yield from parquet.read_row_group(group, columns=columns).combine_chunks().to_batches()


def training_sentences(path: Path) -> Iterator[list[str]]:
    """Yield the sentences of the documents that are not held out, a block at a time."""
    for block in read_blocks(path, ["heldout", "sentences"]):
        kept = block.filter(pc.invert(block.column("heldout")))
        yield kept.column("sentences").flatten().to_pylist()
