"""Columns of a task's parquet files, checked, and the examples that are made of them.

In: the parquet files of one split. Out: a `Split`, whose columns are read when a task kind asks for
them. Whole numbers may be written as floats, as pandas does where a column has gaps; texts may be
empty. Every fault is a StudyError that names the file, the column and the row (the first is 0).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.samples.keyed import permutation
from study.errors import StudyError

ID_COLUMNS = ("id", "idx", "example_id")  # SQuAD, GLUE, RACE
SUBSET_SEED = 0


@dataclass
class Examples:
    """Examples of one split: unique `ids`, one sequence per column that the task's kind reads, and
    `labels` int64 (N,) classes or float32 (N,) values where there are any.
    """

    ids: list[str]
    columns: list[Sequence]
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Split:
    """Some rows of a split's files: `rows` are their numbers in the whole split, `ids` their unique
    names, `starts` the first row of each file.
    """

    paths: list[Path]
    starts: np.ndarray
    rows: np.ndarray
    ids: list[str]

    @classmethod
    def open(cls, paths: list[Path]) -> "Split":
        """All rows of the files; StudyError where one cannot be read or none has a row."""
        counts = [_read(path, lambda file: file.metadata.num_rows) for path in paths]
        names = _read(paths[-1], lambda file: file.schema_arrow.names)
        if not any(counts):
            raise StudyError(f"{paths[0]}: no rows" + f", nor in {paths[-1]}" * (len(paths) > 1))
        starts = np.cumsum([0, *counts])
        split = cls(paths, starts[:-1], np.arange(starts[-1]), [])
        id_column = next((name for name in ID_COLUMNS if names.count(name) == 1), None)
        ids = split.rows if id_column is None else split.values(id_column, "an id", lambda _: True)
        return replace(split, ids=_unique([str(value) for value in ids]))

    def first(self, limit: int, unit_column: str | None) -> "Split":
        """The rows of the first `limit` units in a keyed order, in the files' order: every row is
        one, or with a column all rows that have the same text there.
        """
        units = self.rows
        if unit_column is not None:
            _, units = unique_indices(self.texts(unit_column))
        chosen = permutation(SUBSET_SEED, "task-subset", 0, int(np.max(units)) + 1)[:limit]
        rows = np.flatnonzero(np.isin(units, chosen))
        return replace(self, rows=self.rows[rows], ids=[self.ids[row] for row in rows])

    def file_row(self, row: int) -> tuple[Path, int]:
        """File, and row of that file, of a row."""
        file = int(np.searchsorted(self.starts, self.rows[row], side="right")) - 1
        return self.paths[file], int(self.rows[row] - self.starts[file])

    def where(self, column: str, row: int) -> str:
        """A cell's place in words."""
        path, number = self.file_row(row)
        return f"{path}: column {column}: row {number}"

    def values(self, column: str, expected: str, fits: Callable[[pa.DataType], bool]) -> list:
        """The cells of a column whose type fits; StudyError where it does not, or one is empty."""
        cells = self._cells(column)
        if not fits(cells.type):
            raise StudyError(
                f"{self.paths[0]}: column {column}: expected {expected}, found {cells.type}"
            )
        if cells.null_count:
            path, number = self.file_row(cells.is_null().to_pylist().index(True))
            raise StudyError(
                f"{path}: column {column}: {cells.null_count} empty cells, "
                f"the first in row {number}; expected {expected}"
            )
        try:
            return cells.to_pylist()
        except UnicodeDecodeError:
            row = next(row for row, cell in enumerate(cells) if not _is_utf8(cell))
            raise StudyError(f"{self.where(column, row)}: text that is not UTF-8") from None

    def texts(self, column: str) -> list[str]:
        """A column of texts."""
        return self.values(column, "text", is_text)

    def whole_numbers(self, column: str) -> np.ndarray:
        """A column of whole numbers, int64 (N,)."""
        numbers = []
        for row, value in enumerate(self.values(column, "whole numbers", is_number)):
            number = whole(value)
            if number is None or not -(2**63) <= number < 2**63:
                raise StudyError(f"{self.where(column, row)}: {value}, expected a whole number")
            numbers.append(number)
        return np.array(numbers, dtype=np.int64)

    def classes(self, column: str, classes: int) -> np.ndarray:
        """A column of numbers from 0 to `classes` - 1, int64 (N,)."""
        labels = self.whole_numbers(column)
        wrong = np.flatnonzero((labels < 0) | (labels >= classes))
        if len(wrong):
            row = int(wrong[0])
            raise StudyError(f"{self.where(column, row)}: {labels[row]} is not 0 to {classes - 1}")
        return labels

    def _cells(self, column: str) -> pa.ChunkedArray:
        """A column of all files, its text as the type that every function of Arrow takes."""
        tables = [
            _read(path, lambda file, path=path: _column(path, file, column)) for path in self.paths
        ]
        try:
            table = pa.concat_tables(tables, promote_options="permissive")
        except pa.ArrowException as error:
            raise StudyError(
                f"{self.paths[-1]}: columns of other types than {self.paths[0]} "
                f"({_one_line(error)})"
            ) from None
        if len(self.rows) < table.num_rows:
            table = table.take(pa.array(self.rows))
        return table.column(0)


def _read(path: Path, read: Callable[[pq.ParquetFile], Any]) -> Any:
    """What `read` gives of a file; StudyError where it cannot be read."""
    try:
        with pq.ParquetFile(path) as file:
            return read(file)
    except (OSError, pa.ArrowException) as error:
        raise StudyError(
            f"{path}: not a parquet file that can be read ({_one_line(error)})"
        ) from None


def _column(path: Path, file: pq.ParquetFile, column: str) -> pa.Table:
    """A column of one file, without metadata."""
    names = file.schema_arrow.names
    if names.count(column) != 1:
        many = f"{names.count(column)} columns" if column in names else "no column"
        raise StudyError(f"{path}: {many} {column}; it has {', '.join(names)}")
    table = file.read(columns=[column])
    kind = table.schema.field(0).type
    kind = pa.large_string() if pa.types.is_string_view(kind) else kind
    return table.cast(pa.schema([pa.field(column, kind)]))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_utf8(cell: pa.Scalar) -> bool:
    """Whether all text in a cell can be decoded."""
    try:
        cell.as_py()
    except UnicodeDecodeError:
        return False
    return True


def _unique(names: list[str]) -> list[str]:
    """The names, where a repeated one gets `#1`, `#2`, ... (RACE)."""
    taken, repeats = set(names), Counter()
    ids: dict[str, None] = {}
    for name in names:
        unique = name
        while unique in ids or (unique != name and unique in taken):
            repeats[name] += 1
            unique = f"{name}#{repeats[name]}"
        ids[unique] = None
    return list(ids)


def unique_indices(texts: list[str]) -> tuple[list[str], list[int]]:
    """The different texts in order of appearance, and for each text its place among them."""
    places: dict[str, int] = {}
    indices = [places.setdefault(text, len(places)) for text in texts]
    return list(places), indices


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is that of text, or of a category of pandas."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def is_number(kind: pa.DataType) -> bool:
    """Whether a type is that of whole or real numbers."""
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def is_list(kind: pa.DataType, fits: Callable[[pa.DataType], bool]) -> bool:
    """Whether a type is that of lists of values that fit, or of nulls only."""
    types = pa.types
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return types.is_null(kind) or (
        lists and (types.is_null(kind.value_type) or fits(kind.value_type))
    )


def whole(value: float | None) -> int | None:
    """The whole number that an int or a float says, else None."""
    return int(value) if value is not None and float(value).is_integer() else None
