"""Columns of a task's files, checked, and the examples that are made of them.

In: the files of one split (`model.tasks.files`). Out: a `Split`, whose columns are read when a task
kind asks for them. Whole numbers may be written as floats, as pandas does where a column has gaps;
texts may be empty. Every fault is a StudyError that names the file, the column and the row (the
first is 0).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa

from model.samples.keyed import permutation
from model.tasks.files import Fits, TaskFile
from study.errors import StudyError

ID_COLUMNS = ("id", "idx", "example_id")  # SQuAD, GLUE, RACE
SUBSET_SEED = 0
TRUTH = ("false", "true")
MOST_NAMED = 20  # classes that a line of advice names


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

    files: list[TaskFile]
    starts: np.ndarray
    rows: np.ndarray
    ids: list[str]

    @classmethod
    def open(cls, paths: list[Path]) -> "Split":
        """All rows of the files; StudyError where one cannot be read or none has a row."""
        files = [TaskFile.open(path) for path in paths]
        names = files[-1].names
        starts = np.cumsum([0, *(file.rows for file in files)])
        if not starts[-1]:
            raise StudyError(f"{paths[0]}: no rows" + f", nor in {paths[-1]}" * (len(paths) > 1))
        split = cls(files, starts[:-1], np.arange(starts[-1]), [])
        id_column = next((name for name in ID_COLUMNS if names.count(name) == 1), None)
        ids = split.rows if id_column is None else split.values(id_column, "an id", lambda _: True)
        return replace(split, ids=_unique([str(value) for value in ids]))

    def chosen(self, rows: Iterable[int]) -> "Split":
        """Some of its rows."""
        rows = np.array(list(rows), dtype=np.int64)
        return replace(self, rows=self.rows[rows], ids=[self.ids[row] for row in rows])

    def share(self, fraction: float, texts: list[str], *, of_dev: bool) -> "Split":
        """About so large a part of the rows to score, or the others to train on.

        Rows with the same text of `texts`, one of each row, stay together; which are taken is told
        by a hash of it, so that a row that is added or corrected moves no other one. StudyError
        where all texts are the same.
        """
        distinct = sorted({*texts}, key=lambda text: blake2b(text.encode()).digest())
        if len(distinct) < 2:
            path = self.files[0].path
            raise StudyError(
                f"{path}: one text in all of its rows, nothing for dev_fraction to split"
            )
        count = min(max(1, round(fraction * len(distinct))), len(distinct) - 1)
        dev = {*distinct[:count]}
        return self.chosen(row for row, text in enumerate(texts) if (text in dev) == of_dev)

    def first(self, limit: int, unit_column: str | None) -> "Split":
        """The rows of the first `limit` units in a keyed order, in the files' order: every row is
        one, or with a column all rows that have the same text there.
        """
        units = np.arange(len(self.rows))
        if unit_column is not None:
            _, units = unique_indices(self.texts(unit_column))
        chosen = permutation(SUBSET_SEED, "task-subset", 0, int(np.max(units)) + 1)[:limit]
        return self.chosen(np.flatnonzero(np.isin(units, chosen)))

    def file_row(self, row: int) -> tuple[Path, int]:
        """File, and row of that file, of a row."""
        file = int(np.searchsorted(self.starts, self.rows[row], side="right")) - 1
        return self.files[file].path, int(self.rows[row] - self.starts[file])

    def where(self, column: str, row: int) -> str:
        """A cell's place in words."""
        path, number = self.file_row(row)
        return f"{path}: column {column}: row {number}"

    def values(self, column: str, expected: str, fits: Callable[[pa.DataType], bool]) -> list:
        """The cells of a column whose type fits; StudyError where it does not, or one is empty."""
        cells = self.cells(column, fits)
        if not fits(cells.type):
            raise StudyError(
                f"{self.files[0].path}: column {column}: expected {expected}, found {cells.type}"
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

    def classes(self, column: str, classes: int | list) -> np.ndarray:
        """A column of numbers from 0 to `classes` - 1, or of these names, int64 (N,)."""
        if isinstance(classes, list):
            return self._named(column, classes)
        try:
            labels = self.whole_numbers(column)
            wrong = np.flatnonzero((labels < 0) | (labels >= classes))
            if len(wrong):
                row = int(wrong[0])
                where = self.where(column, row)
                raise StudyError(f"{where}: {labels[row]} is not 0 to {classes - 1}")
        except StudyError as error:
            raise StudyError(f"{error}{self._names_to_give(column)}") from None
        return labels

    def _named(self, column: str, names: list) -> np.ndarray:
        """A column of classes that have these names, int64 (N,)."""
        places = {spelt(name): place for place, name in enumerate(names)}
        labels = []
        for row, value in enumerate(self.values(column, "names of classes", is_label)):
            name = spelt(value)
            # A truth value, which tools spell in their own ways.
            place = places.get(name, places.get(name.lower()) if name.lower() in TRUTH else None)
            if place is None:
                known = ", ".join(places)
                raise StudyError(f"{self.where(column, row)}: {name!r} is not one of {known}")
            labels.append(place)
        return np.array(labels, dtype=np.int64)

    def _names_to_give(self, column: str) -> str:
        """How a study would name the few classes that a column has; nothing where it cannot."""
        try:
            names = sorted({spelt(value) for value in self.values(column, "", is_label)})
        except StudyError:
            return ""
        if not 2 <= len(names) <= MOST_NAMED:
            return ""
        return f"; classes with names are, in their order, labels: [{', '.join(names)}]"

    def cells(self, column: str, fits: Fits) -> pa.ChunkedArray:
        """A column of all files."""
        tables = [file.column(column, fits) for file in self.files]
        try:
            table = pa.concat_tables(tables, promote_options="permissive")
        except pa.ArrowException as error:
            raise StudyError(
                f"{self.files[-1].path}: columns of other types than {self.files[0].path} "
                f"({' '.join(str(error).split())})"
            ) from None
        if len(self.rows) < table.num_rows:
            table = table.take(pa.array(self.rows))
        return table.column(0)


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


def is_label(kind: pa.DataType) -> bool:
    """Whether a type is that of classes' names or numbers."""
    return is_text(kind) or is_number(kind) or pa.types.is_boolean(kind)


def spelt(value: str | float | bool) -> str:
    """A class's name as text: `2` for 2.0, `true` for true."""
    if isinstance(value, bool):
        return TRUTH[value]
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


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
