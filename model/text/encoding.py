"""A shard's sentences in, its token ids out: the parts that a token store is put together from.

Per split ("train", "heldout") under the run directory:

    tokens.bin     uint16 or uint32  ids of all sentences, no specials
    sentences.bin  int32             tokens of each sentence, at least 1
    documents.bin  int32             sentences of each document, at least 1

Raw arrays of lengths, so that they can be written while the sentences are read, a block at a time.
"""

from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.text.splitting import read_blocks
from model.text.tokenizer import Vocabulary

SPLITS = ("train", "heldout")
PARTS = ("tokens.bin", "sentences.bin", "documents.bin")
PART_FILES = [f"{split}/{part}" for split in SPLITS for part in PARTS]
# Large enough to keep the tokenizer busy, small enough that its results stay in megabytes.
SENTENCES_PER_CALL = 4096


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
