"""The token store: a split's token ids, flat, with the offsets of its sentences and documents.

In: the sentences of shards. Out, first for each shard and split ("train", "heldout"):

    tokens.bin     uint16 or uint32  ids of all sentences, no specials
    sentences.bin  int32             tokens of each sentence, at least 1
    documents.bin  int32             sentences of each document, at least 1

(raw arrays of lengths, so that they can be written while the sentences are read), and then, under
`<run>/<split>/` of the store that they are put together to:

    tokens.bin     uint16 or uint32 (T,)  ids of all sentences, documents in order
    sentences.npy  int64 (S+1,)           sentence s is tokens[sentences[s]:sentences[s+1]]
    documents.npy  int64 (D+1,)           document d is sentences documents[d]..documents[d+1]-1
    corpora.npy    uint8 (D,)             corpus of each document, an index into `corpus_names`

The files are memory-mapped when read and copied in blocks when written, so memory does not grow
with the corpus.
"""

import shutil
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.text.splitting import read_blocks
from model.text.tokenizer import Vocabulary
from study.errors import StudyError
from study.manifest import Manifest

SPLITS = ("train", "heldout")
PARTS = ("tokens.bin", "sentences.bin", "documents.bin")
PART_FILES = [f"{split}/{part}" for split in SPLITS for part in PARTS]
ARRAYS = ("sentences", "documents", "corpora")
STORE_FILES = [
    f"{split}/{name}" for split in SPLITS for name in ("tokens.bin", *(f"{a}.npy" for a in ARRAYS))
]
BLOCK_BYTES = 1 << 24
# Large enough to keep the tokenizer busy, small enough that its results stay in megabytes.
SENTENCES_PER_CALL = 4096


@dataclass(frozen=True)
class TokenStore:
    """One split of a store; the arrays are those of the module docstring."""

    tokens: np.ndarray
    sentences: np.ndarray
    documents: np.ndarray
    corpora: np.ndarray
    corpus_names: tuple[str, ...]

    @classmethod
    def open(cls, manifest: Manifest, split: str) -> "TokenStore":
        """Map a split ("train" or "heldout") of a published store.

        Raises StudyError when a file is missing or its length does not fit the offsets.
        """
        if split not in SPLITS:
            raise StudyError(f"{manifest.path}: no split {split}; expected {' or '.join(SPLITS)}")
        arrays = {
            name: np.load(manifest.file(f"{split}/{name}.npy"), mmap_mode="r") for name in ARRAYS
        }
        dtype, path = manifest.figure("dtype", kind=str), manifest.file(f"{split}/tokens.bin")
        if dtype not in ("uint16", "uint32"):
            raise StudyError(
                f"{manifest.path}: field figures.dtype: {dtype}; {manifest.rebuild_hint}"
            )
        # An empty file cannot be mapped.
        tokens = np.memmap(path, dtype, "r") if path.stat().st_size else np.zeros(0, dtype)
        names = tuple(dict.fromkeys(manifest.recipe["corpora"]))
        store = cls(tokens=tokens, corpus_names=names, **arrays)
        store._check_ends(str(manifest.run_directory / split))
        return store

    def _check_ends(self, where: str) -> None:
        """Raise StudyError, naming `where`, unless the arrays fit each other in length."""
        for name, offsets, end in (
            ("sentences", self.sentences, len(self.tokens)),
            ("documents", self.documents, len(self.sentences) - 1),
        ):
            if offsets[0] != 0 or offsets[-1] != end:
                raise StudyError(
                    f"{where}: {name}: offsets run from {offsets[0]} to {offsets[-1]}, "
                    f"expected 0 to {end}"
                )
        if len(self.corpora) != len(self.documents) - 1:
            raise StudyError(
                f"{where}: corpora: {len(self.corpora)} entries, "
                f"expected one per document ({len(self.documents) - 1})"
            )


def write_tokens(path: Path, vocabulary: Vocabulary, directory: Path) -> dict:
    """Encode `sentences.parquet` at `path` into the files above.

    Returns the figures: per split documents, sentences, tokens, unknown tokens and the sentences
    without any token, which are left out (as are documents of nothing else), and the dtype.
    """
    figures: dict = {"dtype": vocabulary.dtype.name}
    writers = {split: _SplitWriter(directory / split, vocabulary) for split in SPLITS}
    try:
        for block in read_blocks(path, ["heldout", "sentences"]):
            heldout = block.column("heldout")
            writers["heldout"].add(block.filter(heldout))
            writers["train"].add(block.filter(pc.invert(heldout)))
    finally:
        for split, writer in writers.items():
            figures[split] = writer.close()
    return figures


class _SplitWriter:
    """Appends blocks of documents to one split's files and counts them."""

    def __init__(self, directory: Path, vocabulary: Vocabulary):
        directory.mkdir(parents=True, exist_ok=True)
        self.vocabulary = vocabulary
        self.tokens, self.sentences, self.documents = (
            (directory / part).open("wb") for part in PARTS
        )
        self.figures = dict.fromkeys(
            ("documents", "sentences", "tokens", "unknown_tokens", "empty_sentences"), 0
        )

    def close(self) -> dict[str, int]:
        for file in (self.tokens, self.sentences, self.documents):
            file.close()
        return self.figures

    def add(self, block: pa.RecordBatch) -> None:
        column = block.column("sentences")
        lengths = self._write_tokens(column.flatten())
        per_document = pc.list_value_length(column).to_numpy(zero_copy_only=False)
        document = np.repeat(np.arange(len(per_document)), per_document)
        kept = lengths > 0
        per_document = np.bincount(document[kept], minlength=len(per_document))
        per_document = per_document[per_document > 0]
        self.sentences.write(lengths[kept].astype("<i4").tobytes())
        self.documents.write(per_document.astype("<i4").tobytes())
        self.figures["documents"] += len(per_document)
        self.figures["sentences"] += int(kept.sum())
        self.figures["empty_sentences"] += int((~kept).sum())

    def _write_tokens(self, sentences: pa.Array) -> np.ndarray:
        """Encode and write; returns tokens per sentence, int64 (S,), zeros included."""
        lengths = np.zeros(len(sentences), dtype=np.int64)
        for start in range(0, len(sentences), SENTENCES_PER_CALL):
            texts = sentences[start : start + SENTENCES_PER_CALL].to_pylist()
            ids = self.vocabulary.encode_batch(texts)
            counts = [len(sentence) for sentence in ids]
            lengths[start : start + len(counts)] = counts
            flat = np.fromiter(chain.from_iterable(ids), self.vocabulary.dtype, sum(counts))
            self.tokens.write(flat.tobytes())
            self.figures["tokens"] += len(flat)
            self.figures["unknown_tokens"] += int((flat == self.vocabulary.unknown).sum())
        return lengths


def write_store(parts: list[Path], corpora: list[int], directory: Path) -> None:
    """Put the shards in `parts` (folders, in order) together as one split in `directory`.

    `corpora` has a corpus index per shard. Tokens and offsets are copied in blocks.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "tokens.bin").open("wb") as target:
        for part in parts:
            with (part / "tokens.bin").open("rb") as source:
                shutil.copyfileobj(source, target, BLOCK_BYTES)
    for name in ("sentences", "documents"):
        _write_offsets([part / f"{name}.bin" for part in parts], directory / f"{name}.npy")
    documents = [_entries(part / "documents.bin") for part in parts]
    np.save(directory / "corpora.npy", np.repeat(np.array(corpora, dtype=np.uint8), documents))


def _write_offsets(lengths: list[Path], target: Path) -> None:
    """Write the running sum of int32 lengths kept in several files, with a zero in front."""
    shape = (sum(map(_entries, lengths)) + 1,)
    # Not through a memory map: on a full disk that is a crash without a word.
    with target.open("wb") as offsets:
        header = {"descr": "<i8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(offsets, header)
        offsets.write(np.zeros(1, "<i8").tobytes())
        end = 0
        for path in lengths:
            with path.open("rb") as source:
                while data := source.read(BLOCK_BYTES):
                    block = np.cumsum(np.frombuffer(data, "<i4"), dtype="<i8") + end
                    offsets.write(block.tobytes())
                    end = int(block[-1])


def _entries(path: Path) -> int:
    """Number of int32 in a file of lengths."""
    return path.stat().st_size // 4
