"""The token store: a split's token ids, flat, with the offsets of its sentences and documents.

In: the token files of the shards (`model.text.encoding`). Out, under `<run>/<split>/`:

    tokens.bin     uint16 or uint32 (T,)  ids of all sentences, documents in order, no specials
    sentences.npy  int64 (S+1,)           sentence s is tokens[sentences[s]:sentences[s+1]]
    documents.npy  int64 (D+1,)           document d is sentences documents[d]..documents[d+1]-1
    corpora.npy    uint8 (D,)             corpus of each document, an index into `corpus_names`

Every sentence has at least one token and every document at least one sentence. The files are
memory-mapped when read and copied in blocks when written, so memory does not grow with the corpus.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from study.errors import StudyError
from study.manifest import Manifest

SPLITS = ("train", "heldout")


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
            name: np.load(manifest.file(f"{split}/{name}.npy"), mmap_mode="r")
            for name in ("sentences", "documents", "corpora")
        }
        tokens = map_tokens(manifest.file(f"{split}/tokens.bin"), manifest.figures["dtype"])
        store = cls(tokens=tokens, corpus_names=tuple(manifest.figures["corpora"]), **arrays)
        store.check(str(manifest.run_directory / split))
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
        store.check("documents")
        return store

    def check(self, where: str) -> None:
        """Raise StudyError, naming `where`, unless the arrays fit each other."""
        for name, offsets, end in (
            ("sentences", self.sentences, len(self.tokens)),
            ("documents", self.documents, len(self.sentences) - 1),
        ):
            if offsets[0] != 0 or offsets[-1] != end:
                raise StudyError(
                    f"{where}: {name}: offsets run from {offsets[0]} to {offsets[-1]}, "
                    f"expected 0 to {end}"
                )
            if (np.diff(offsets) < 1).any():
                raise StudyError(f"{where}: {name}: an empty one at {np.diff(offsets).argmin()}")
        if len(self.corpora) != len(self.documents) - 1:
            raise StudyError(
                f"{where}: corpora: {len(self.corpora)} entries, "
                f"expected one per document ({len(self.documents) - 1})"
            )


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
