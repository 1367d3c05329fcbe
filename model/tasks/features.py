"""Features: a task's examples as flat token arrays that can be memory-mapped.

A *row* is one model input, `<s> a </s>`, `<s> a </s> b </s>` (one separator between two texts) or
`<s> a </s> </s> b </s>` (two). Arrays of one split:

  tokens      uint16 or uint32 (tokens of all rows)   ids, special tokens included
  offsets     int64 (R + 1,)                          row r is tokens[offsets[r]:offsets[r + 1]]
  boundaries  int32 (R,)                              first position of text b; the row's length
                                                      where there is no b
  labels      int64 (N,) or float32 (N,)              of labelled splits
  groups      int64 (U + 1,)                          of kinds whose examples have any number of
                                                      rows: unit u has groups[u] to groups[u + 1]

and those of each kind, as its file in `model.tasks.kinds` says. Ids of the dev
examples and further columns lie beside the arrays in `examples.parquet`.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.tasks.columns import Examples
from model.text.tokenizer import Vocabulary
from study.recipes import RecipeTask

EXAMPLES_FILE = "examples.parquet"
CHUNK = 4096  # examples whose token lists are in memory at a time


@dataclass
class Features:
    """The arrays of one split by name, its examples' ids and further columns that scores need."""

    arrays: dict[str, np.ndarray]
    ids: list[str] = field(default_factory=list)
    columns: dict[str, pa.Array] = field(default_factory=dict)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, int64 (R,)."""
        return np.diff(self.arrays["offsets"])

    def gather(self, name: str, rows: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Entries of an array parallel to tokens as (B, T); arbitrary where not `inside`."""
        offsets = self.arrays["offsets"][rows]
        tokens = np.where(inside, offsets[:, None] + np.arange(inside.shape[1]), 0)
        return self.arrays[name][tokens]

    def save(self, directory: Path) -> list[str]:
        """Write the arrays (and the examples, if there are ids); return the files' names."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, array in self.arrays.items():
            np.save(directory / f"{name}.npy", array, allow_pickle=False)
        names = [f"{name}.npy" for name in self.arrays]
        if self.ids:
            table = pa.table({"id": pa.array(self.ids, pa.string()), **self.columns})
            pq.write_table(table, directory / EXAMPLES_FILE)
            names.append(EXAMPLES_FILE)
        return names

    @classmethod
    def open(cls, files: dict[str, Path]) -> "Features":
        """Features from their files by name; arrays stay on disk, memory-mapped."""
        arrays = {
            name.removesuffix(".npy"): np.load(path, mmap_mode="r", allow_pickle=False)
            for name, path in files.items()
            if name.endswith(".npy")
        }
        if EXAMPLES_FILE not in files:
            return cls(arrays)
        with pq.ParquetFile(files[EXAMPLES_FILE]) as file:  # read_table loads pyarrow.dataset
            table = file.read()
        columns = dict(zip(table.column_names, table.columns, strict=True))
        return cls(arrays, columns.pop("id").to_pylist(), columns)


@dataclass(frozen=True)
class PaddedRows:
    """Some rows as arrays (B, T): `ids` int64; bool `inside` the row and in its `second` text."""

    rows: np.ndarray
    lengths: np.ndarray  # int64 (B,)
    ids: np.ndarray
    inside: np.ndarray
    second: np.ndarray

    @classmethod
    def of(cls, features: Features, rows: np.ndarray, width: int, pad: int) -> "PaddedRows":
        """Rows int64 (B,), filled up to `width` with `pad`."""
        offsets, positions = features.arrays["offsets"], np.arange(width)
        lengths = offsets[rows + 1] - offsets[rows]
        inside = positions < lengths[:, None]
        ids = features.gather("tokens", rows, inside).astype(np.int64)
        ids[~inside] = pad
        second = (positions >= features.arrays["boundaries"][rows][:, None]) & inside
        return cls(rows, lengths, ids, inside, second)


class Rows:
    """Gathers the rows of a split, of at most `length` tokens each."""

    def __init__(self, vocabulary: Vocabulary, task: RecipeTask, length: int):
        self.vocabulary = vocabulary
        self.separators = task.separators
        self.length = length
        self.truncated = 0
        self._tokens: list[np.ndarray] = []
        self._pending: list[int] = []
        self._lengths: list[int] = []
        self._boundaries: list[int] = []

    def add(self, first: list[int], second: list[int] | None = None) -> None:
        """Append the row of one text or of a pair, already cut to fit."""
        separator = self.vocabulary.separator
        row = [self.vocabulary.start, *first, separator]
        boundary = len(row)
        if second is not None:
            row += [separator] * (self.separators - 1)
            boundary = len(row)
            row += second
            row.append(separator)
        self._lengths.append(len(row))
        self._boundaries.append(boundary)
        self._pending += row

    def flush(self) -> None:
        """Pack the rows added so far into an array: a Python list costs 8 bytes per token."""
        self._tokens.append(np.array(self._pending, dtype=self.vocabulary.dtype))
        self._pending = []

    def room(self, texts: int) -> int:
        """Tokens left for text in a row of one or two texts."""
        return self.length - (2 if texts == 1 else 2 + self.separators)

    def finish(self, examples: Examples, figures: dict, **arrays: np.ndarray):
        """Features of all rows, with `arrays` and the labels that the split has, and `figures`
        beside the counts of examples, rows, tokens and of the rows or texts that had to be cut.
        """
        self.flush()
        rows = {
            "tokens": np.concatenate(self._tokens),
            "offsets": np.cumsum([0, *self._lengths], dtype=np.int64),
            "boundaries": np.array(self._boundaries, dtype=np.int32),
        }
        labels = {} if examples.labels is None else {"labels": examples.labels}
        counts = {
            "examples": len(examples),
            "rows": len(self._lengths),
            "tokens": sum(self._lengths),
            "truncated": self.truncated,
        }
        return Features(rows | labels | arrays, examples.ids), counts | figures


def pair_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """Tokens kept of a pair in `room`, taken off the longer one until both are equally long."""
    if first + second <= room:
        return first, second
    second = max(room - first, min(second, room // 2))
    return room - second, second


def label_figures(labels: np.ndarray | None) -> dict:
    """Number of examples per class and the commonest one's share (percent), if labelled."""
    if labels is None:
        return {}
    values, counts = np.unique(labels, return_counts=True)
    return {
        "labels": dict(zip(values.astype(str).tolist(), counts.tolist(), strict=True)),
        "majority": 100.0 * int(counts.max()) / len(labels),
    }


def add_texts(rows: Rows, texts: list[list[str]]) -> None:
    """Append a row for each entry of one or two columns of texts, the longer text cut first."""
    room = rows.room(len(texts))
    for begin in range(0, len(texts[0]), CHUNK):
        encoded = [rows.vocabulary.encode_batch(column[begin : begin + CHUNK]) for column in texts]
        for parts in zip(*encoded, strict=True):
            rows.truncated += sum(map(len, parts)) > room
            kept = pair_lengths(len(parts[0]), sum(map(len, parts[1:])), room)
            rows.add(*(part[:length] for part, length in zip(parts, kept, strict=False)))
        rows.flush()
