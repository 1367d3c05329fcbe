"""The token store: a split's token ids, flat, with the offsets of its sentences and documents.

In: the token files of the shards (`model.text.encoding`). Out, under `<run>/<split>/`:

    tokens.bin     uint16 or uint32 (T,)  ids of all sentences, documents in order, no specials
    sentences.npy  int64 (S+1,)           sentence s is tokens[sentences[s]:sentences[s+1]]
    documents.npy  int64 (D+1,)           document d is sentences documents[d]..documents[d+1]-1
    corpora.npy    uint8 (D,)             corpus of each document, an index into `corpus_names`

Every sentence has at least one token and every document at least one sentence. The files are
memory-mapped when read and copied in blocks when written, so memory does not grow with the corpus.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.text.encoding import SPLITS
from study.errors import StudyError
from study.manifest import Manifest

ARRAYS = ("sentences", "documents", "corpora")
STORE_FILES = [
    f"{split}/{name}" for split in SPLITS for name in ("tokens.bin", *(f"{a}.npy" for a in ARRAYS))
]
BLOCK_BYTES = 1 << 24


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
        tokens = map_tokens(manifest.file(f"{split}/tokens.bin"), _token_dtype(manifest))
        names = tuple(dict.fromkeys(manifest.recipe["corpora"]))
        store = cls(tokens=tokens, corpus_names=names, **arrays)
        store._check_ends(str(manifest.run_directory / split))
        return store

    @classmethod
    def from_lists(
        cls,
        documents: Sequence[Sequence[Sequence[int]]],
        corpora: Sequence[int] | None = None,
        corpus_names: Sequence[str] = ("corpus",),
    ) -> "TokenStore":
        """A store in memory: documents of sentences of ids; `corpora` has one index per document.

        Raises StudyError for a document without sentences or a sentence without ids.
        """
        sentences = [sentence for document in documents for sentence in document]
        flat = [token for sentence in sentences for token in sentence]
        store = cls(
            tokens=np.array(
                flat, dtype=np.uint32 if max(flat, default=0) >= 1 << 16 else np.uint16
            ),
            sentences=offsets_of([len(sentence) for sentence in sentences]),
            documents=offsets_of([len(document) for document in documents]),
            corpora=np.array(corpora or [0] * len(documents), dtype=np.uint8),
            corpus_names=tuple(corpus_names),
        )
        for name, offsets in (("sentences", store.sentences), ("documents", store.documents)):
            lengths = np.diff(offsets)
            if (lengths < 1).any():
                raise StudyError(f"from_lists: {name}: number {lengths.argmin()} is empty")
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


def _token_dtype(manifest: Manifest) -> str:
    """The dtype of a store's tokens; StudyError for any but the two that a vocabulary has."""
    dtype = manifest.figure("dtype", kind=str)
    if dtype not in ("uint16", "uint32"):
        raise StudyError(f"{manifest.path}: field figures.dtype: {dtype}; {manifest.rebuild_hint}")
    return dtype


def offsets_of(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Offsets int64 (n+1,) of n consecutive spans of these lengths."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def map_tokens(path: Path, dtype: str) -> np.ndarray:
    """Map a flat token file; an empty file, which cannot be mapped, gives an empty array."""
    if path.stat().st_size == 0:
        return np.zeros(0, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r")


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
