"""Features: a task's examples as flat token arrays that can be memory-mapped.

A *row* is one model input, `<s> a </s>`, `<s> a </s> b </s>` (one separator between two texts) or
`<s> a </s> </s> b </s>` (two). Arrays of one split:

  tokens      uint16 or uint32 (tokens of all rows)   ids, special tokens included
  offsets     int64 (R + 1,)                          row r is tokens[offsets[r]:offsets[r + 1]]
  boundaries  int32 (R,)                              first position of text b; the row's length
                                                      where there is no b
  labels      int64 (N,) or float32 (N,)              all kinds but span, labelled splits
  and for span, one row per window of a context:
  questions   int32 (R,)                              question of the window, not falling
  starts, ends int32 (R,)                             first and last token of the answer in the
                                                      row, both 0 where the window lacks it
  answerable  bool (R,)                               whether the window holds the answer
  and for span in the dev split, parallel to tokens (0 and false outside the context):
  characters  int32 (tokens, 2)                       start and end in the context's characters
  may_start, may_end bool (tokens,)                   token is not blank; for may_start also: no
                                                      other window shows it with more context

  and for the kinds whose examples have several rows, ranking and wsc:
  groups      int64 (U + 1,)                          rows of unit u are groups[u] to groups[u + 1]
  order       int64 (R,)                              ranking: the example of each row
  originals   as tokens                               wsc: the tokens without masks

Classification and regression have a row per example; choice has its options' rows in turn. Ids,
texts and gold answers of the dev examples lie beside the arrays in `examples.parquet`.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.tasks.data import Examples
from model.text.tokenizer import Vocabulary
from study.errors import StudyError
from study.tasks import shortest_row

EXAMPLES_FILE = "examples.parquet"
CHUNK = 4096  # examples whose token lists are in memory at a time


@dataclass
class Features:
    """The arrays of one split by name, and its examples' ids, contexts and gold answers."""

    arrays: dict[str, np.ndarray]
    ids: list[str] = field(default_factory=list)
    contexts: list[str] | None = None
    answers: list[list[str]] | None = None

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, int64 (R,)."""
        return np.diff(self.arrays["offsets"])

    def save(self, directory: Path) -> list[str]:
        """Write the arrays (and the examples, if there are ids); return the files' names."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, array in self.arrays.items():
            np.save(directory / f"{name}.npy", array, allow_pickle=False)
        names = [f"{name}.npy" for name in self.arrays]
        if self.ids:
            columns = {"id": pa.array(self.ids, pa.string())}
            if self.contexts is not None:
                columns["context"] = pa.array(self.contexts, pa.string())
                columns["answers"] = pa.array(self.answers, pa.list_(pa.string()))
            pq.write_table(pa.table(columns), directory / EXAMPLES_FILE)
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
        columns = pq.read_table(files[EXAMPLES_FILE]).to_pydict()
        return cls(arrays, columns["id"], columns.get("context"), columns.get("answers"))


class Rows:
    """Gathers rows of a split and the figures that all kinds share."""

    def __init__(self, vocabulary: Vocabulary, separators: int, length: int):
        self.vocabulary = vocabulary
        self.separators = separators
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

    def arrays(self) -> dict[str, np.ndarray]:
        """tokens, offsets and boundaries of all rows."""
        self.flush()
        offsets = np.zeros(len(self._lengths) + 1, dtype=np.int64)
        np.cumsum(self._lengths, out=offsets[1:])
        return {
            "tokens": np.concatenate(self._tokens),
            "offsets": offsets,
            "boundaries": np.array(self._boundaries, dtype=np.int32),
        }

    def figures(self, examples: int) -> dict[str, int]:
        """Counts of examples, rows and tokens, and of the rows or texts that had to be cut."""
        return {
            "examples": examples,
            "rows": len(self._lengths),
            "tokens": sum(self._lengths),
            "truncated": self.truncated,
        }


def check_length(task: dict, length: int) -> None:
    """StudyError when rows of `length` tokens leave no room for what the task puts into them."""
    separators = task.get("separators", 1)
    if separators not in (1, 2):
        raise StudyError(f"task {task['name']}: separators: expected 1 or 2, found {separators}")
    needed = shortest_row(task.get("question_length"), separators)
    if length < needed:
        raise StudyError(
            f"task {task['name']}: length: {length} tokens are too few, it needs {needed} or more"
        )


def pair_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """Tokens kept of a pair in `room`, taken off the longer one until both are equally long."""
    if first + second <= room:
        return first, second
    second = max(room - first, min(second, room // 2))
    return room - second, second


def label_figures(labels: np.ndarray) -> dict:
    """Number of examples per class and the share (percent) of the commonest."""
    values, counts = np.unique(labels, return_counts=True)
    return {
        "labels": {
            str(int(value)): int(count) for value, count in zip(values, counts, strict=True)
        },
        "majority": 100.0 * int(counts.max()) / len(labels),
    }


def unique_indices(texts: list[str]) -> tuple[list[str], list[int]]:
    """The different texts in order of appearance, and for each text its place among them."""
    places: dict[str, int] = {}
    indices = [places.setdefault(text, len(places)) for text in texts]
    return list(places), indices


def build_texts(examples: Examples, vocabulary: Vocabulary, task: dict, length: int):
    """Features and figures of a classification or regression split: one row per example.

    A split without labels has no array of them.
    """
    rows = Rows(vocabulary, task.get("separators", 1), length)
    room = rows.room(len(examples.texts))
    for begin in range(0, len(examples), CHUNK):
        encoded = [
            vocabulary.encode_batch(texts[begin : begin + CHUNK]) for texts in examples.texts
        ]
        for texts in zip(*encoded, strict=True):
            rows.truncated += sum(map(len, texts)) > room
            if len(texts) == 1:
                rows.add(texts[0][:room])
            else:
                first, second = pair_lengths(len(texts[0]), len(texts[1]), room)
                rows.add(texts[0][:first], texts[1][:second])
        rows.flush()
    figures = rows.figures(len(examples))
    arrays = rows.arrays()
    if examples.labels is not None:
        arrays["labels"] = examples.labels
        if task["kind"] == "classification":
            figures |= label_figures(examples.labels)
    return Features(arrays, examples.ids), figures
