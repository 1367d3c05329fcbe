"""The token store: a split's token ids with the offsets of its sentences and documents.

In: the sentences of shards. Out, first for each shard and split ("train", "heldout"):

    tokens.bin     uint16 or uint32  ids of all sentences, no specials
    sentences.bin  int32             tokens of each sentence, at least 1
    documents.bin  int32             sentences of each document, at least 1

(raw arrays of lengths, so that they can be written while the sentences are read), and then, under
`<run>/<split>/` of the store that they are put together to:

    tokens-<n>.bin       uint16 or uint32    ids of shard n; of all shards in order: T tokens
    sentences.npy        int64 (S+1,)        sentence s is tokens sentences[s]..sentences[s+1]-1
    documents.npy        int64 (D+1,)        document d is sentences documents[d]..documents[d+1]-1
    document_tokens.npy  int64 (D+1,)        sentences[documents]: where documents begin in tokens
    corpora.npy          uint8 (D,)          corpus of each document, an index into `corpus_names`

The tokens of a store are those of its shards by another name, hard links, where the file system
can; whichever is deleted first, the other stays whole. All other files are written in blocks, and
all are memory-mapped when read, so memory does not grow with the corpus.
"""

import mmap
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.array_file import ArrayWriter, forget
from model.text.splitting import read_blocks
from model.text.tokenizer import Vocabulary
from study.errors import StudyError
from study.manifest import Manifest

SPLITS = ("train", "heldout")
TOKENS = "tokens.bin"
PARTS = (TOKENS, "sentences.bin", "documents.bin")
PART_FILES = [f"{split}/{part}" for split in SPLITS for part in PARTS]
ARRAYS = ("sentences", "documents", "document_tokens", "corpora")
# Bytes of tokens that may not stay in memory. A map's pages are read with many behind them, 3 GB
# for 1,500 inputs of 1 KB, unless one says that those will not be used.
LARGE = 1 << 30
BLOCK = 1 << 22  # entries of an array that are written at once
# Large enough to keep the tokenizer busy, small enough that its results stay in megabytes.
SENTENCES_PER_CALL = 4096


def shard_file(number: int) -> str:
    """Name of the tokens of a store's shard, in the folder of a split."""
    return f"tokens-{number}.bin"


def store_files(shards: int) -> list[str]:
    """Names of all files of a store of so many shards."""
    names = [*map(shard_file, range(shards)), *(f"{array}.npy" for array in ARRAYS)]
    return [f"{split}/{name}" for split in SPLITS for name in names]


@dataclass(frozen=True)
class TokenStore:
    """One split of a store; `shards` are the tokens, the other arrays those of the docstring.

    `maps` are their files, where they are so large that the system is told what will be read.
    """

    shards: tuple[np.ndarray, ...]
    sentences: np.ndarray
    documents: np.ndarray
    document_tokens: np.ndarray
    corpora: np.ndarray
    corpus_names: tuple[str, ...]
    maps: tuple[mmap.mmap | bytes, ...] = ()

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
        dtype = manifest.figure("dtype", kind=str)
        if dtype not in ("uint16", "uint32"):
            raise StudyError(
                f"{manifest.path}: field figures.dtype: {dtype}; {manifest.rebuild_hint}"
            )
        count, names = len(manifest.recipe["tokens"]), dict.fromkeys(manifest.recipe["corpora"])
        files = [manifest.file(f"{split}/{shard_file(number)}") for number in range(count)]
        maps = tuple(map(_map, files))
        shards = tuple(np.frombuffer(pages, dtype) for pages in maps)
        if sum(map(len, maps)) <= LARGE or not hasattr(mmap, "MADV_RANDOM"):
            maps = ()
        for pages in filter(None, maps):
            pages.madvise(mmap.MADV_RANDOM)
        store = cls(shards=shards, maps=maps, corpus_names=tuple(names), **arrays)
        store._check_ends(str(manifest.run_directory / split))
        return store

    @cached_property
    def _ends(self) -> np.ndarray:
        """Where each shard ends in the tokens, int64."""
        return np.cumsum([len(shard) for shard in self.shards])

    @cached_property
    def _begins(self) -> np.ndarray:
        """Where each shard begins in the tokens, int64."""
        return np.append(0, self._ends[:-1])

    @property
    def size(self) -> int:
        """Number of tokens."""
        return int(self._ends[-1])

    def read(self, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
        """Ids of the tokens from each start to before its stop, int64 (N,) both, one range after
        the other in one array.
        """
        numbers = np.minimum(self._shard_of(starts), len(self.shards) - 1)
        places = (np.stack([starts, stops]) - self._begins[numbers]).tolist()
        pieces = [
            self.shards[number][start:stop]
            for number, start, stop in zip(numbers.tolist(), *places, strict=True)
        ]
        ends = self._ends[numbers]
        for piece in np.flatnonzero(stops > ends).tolist():  # it goes on in the next shard
            rest = self.read(ends[piece : piece + 1], stops[piece : piece + 1])
            pieces[piece] = np.concatenate([pieces[piece], rest])
        return np.concatenate(pieces)

    def will_need(self, starts: np.ndarray, stops: np.ndarray) -> None:
        """Have the tokens of these ranges, int64 (N,) both, read together and in advance instead of
        one by one as they are touched; of a small store the system does so by itself.
        """
        if not self.maps:
            return
        size = self.shards[0].itemsize
        numbers = self._shard_of(starts)
        places = np.stack([starts, stops]) - self._begins[numbers]
        for number, start, stop in zip(numbers.tolist(), *places.tolist(), strict=True):
            first = start * size // mmap.PAGESIZE * mmap.PAGESIZE
            last = min(stop * size, len(self.maps[number]))
            self.maps[number].madvise(mmap.MADV_WILLNEED, first, last - first)

    def forget(self) -> None:
        """Let go of the offsets' pages that were read."""
        forget(self.sentences, self.documents, self.document_tokens, self.corpora)

    def _shard_of(self, offsets: np.ndarray) -> np.ndarray:
        """Number of the shard that has the token at each offset; that of all shards at the end."""
        return np.searchsorted(self._ends, offsets, side="right")

    def _check_ends(self, where: str) -> None:
        """Raise StudyError, naming `where`, unless the arrays fit each other in length."""
        for name, offsets, end in (
            ("sentences", self.sentences, self.size),
            ("documents", self.documents, len(self.sentences) - 1),
            ("document_tokens", self.document_tokens, self.size),
        ):
            if offsets[0] != 0 or offsets[-1] != end:
                raise StudyError(
                    f"{where}: {name}: offsets run from {offsets[0]} to {offsets[-1]}, "
                    f"expected 0 to {end}"
                )
        documents = len(self.documents) - 1
        for name, array, entries in (
            ("document_tokens", self.document_tokens, documents + 1),
            ("corpora", self.corpora, documents),
        ):
            if len(array) != entries:
                raise StudyError(
                    f"{where}: {name}: {len(array)} entries, expected {entries} for "
                    f"{documents} documents"
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
            _open_anew(directory / part) for part in PARTS
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

    `corpora` has a corpus index per shard.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(parts):
        _link(part / TOKENS, directory / shard_file(number))
    for name in ("sentences", "documents"):
        _write_offsets([part / f"{name}.bin" for part in parts], directory / f"{name}.npy")
    sentences, documents = (
        np.load(directory / f"{name}.npy", mmap_mode="r") for name in ("sentences", "documents")
    )
    with ArrayWriter(directory / "document_tokens.npy", np.int64) as target:
        for start in range(0, len(documents), BLOCK):
            target.append(sentences[documents[start : start + BLOCK]])
            forget(sentences, documents)
    with ArrayWriter(directory / "corpora.npy", np.uint8) as target:
        for part, corpus in zip(parts, corpora, strict=True):
            for block in _blocks(part / "documents.bin"):
                target.append(np.full(len(block), corpus))


def unigram_entropy(paths: list[Path], dtype: str) -> float | None:
    """Entropy of the token frequencies of these files of tokens, nats; None without a token.

    No prediction that leaves out the context has a smaller mean loss on their text.
    """
    counts = np.zeros(0, dtype=np.int64)
    for path in paths:
        for block in _blocks(path, dtype):
            more = np.bincount(block, minlength=len(counts))
            more[: len(counts)] += counts
            counts = more
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum()) if len(shares) else None


def _map(path: Path) -> mmap.mmap | bytes:
    """A file's bytes, read when they are used; an empty one cannot be mapped."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _open_anew(path: Path) -> BinaryIO:
    """Open a file to write; what had this name before stays as it is under its other names."""
    path.unlink(missing_ok=True)
    return path.open("wb")


def _link(source: Path, target: Path) -> None:
    """Give a file a second name; where that cannot be, copy it."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # two file systems, one without links, or no right to have them
        shutil.copyfile(source, target)


def _write_offsets(lengths: list[Path], target: Path) -> None:
    """Write the running sum of int32 lengths kept in several files, with a zero in front."""
    with ArrayWriter(target, np.int64) as offsets:
        offsets.append(np.zeros(1))
        end = 0
        for path in lengths:
            for block in _blocks(path):
                ends = np.cumsum(block, dtype=np.int64) + end
                offsets.append(ends)
                end = int(ends[-1])


def _blocks(path: Path, dtype: str = "<i4") -> Iterator[np.ndarray]:
    """The numbers of a file, of lengths if nothing else is said, block by block."""
    with path.open("rb") as source:
        while data := source.read(np.dtype(dtype).itemsize * BLOCK):
            yield np.frombuffer(data, dtype)
