"""Files of a task: parquet, .jsonl, .csv and .tsv, a column at a time, with the types they have.

What stands in a .csv or .tsv is text, of which numbers are made where a task wants them. A line of
.jsonl is an object; a text that looks like a time stays text. Every fault is a StudyError that
names the file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import json

from model.text.cells import DELIMITERS, column_names, read_cells, row_count
from model.text.opened import open_bytes
from study.errors import StudyError
from study.parts import suffix_of

Fits = Callable[[pa.DataType], bool]


@dataclass(frozen=True)
class TaskFile:
    """A file with its columns' names and its number of rows; of .jsonl also what it holds."""

    path: Path
    names: list[str]
    rows: int
    table: pa.Table | None = None

    @classmethod
    def open(cls, path: Path) -> "TaskFile":
        """What a file has; StudyError where it cannot be read."""
        kind = _kind(path)
        if kind in DELIMITERS:
            names = column_names(path)
            return cls(path, names, row_count(path))
        if kind == "jsonl":
            table = _read_json(path)
            return cls(path, table.column_names, table.num_rows, table)
        return cls(
            path,
            read_parquet(path, lambda file: file.schema_arrow.names),
            read_parquet(path, lambda file: file.metadata.num_rows),
        )

    def column(self, name: str, fits: Fits) -> pa.Table:
        """A column as a table of its own, without metadata; its type may not fit.

        Cells of .csv and .tsv become numbers where `fits` takes no text. StudyError where the file
        has no such column, or several.
        """
        if self.names.count(name) != 1:
            many = f"{self.names.count(name)} columns" if name in self.names else "no column"
            raise StudyError(f"{self.path}: {many} {name}; it has {', '.join(self.names)}")
        if self.table is not None:
            return self.table.select([name])
        if _kind(self.path) in DELIMITERS:
            cells = pa.chunked_array(read_cells(self.path, name), pa.string())
            return pa.table({name: cells if fits(cells.type) else self._numbers(name, cells, fits)})
        table = read_parquet(self.path, lambda file: file.read(columns=[name]).select([name]))
        kind = _without_views(table.schema.field(0).type)
        return table.cast(pa.schema([pa.field(name, kind)]))

    def _numbers(self, name: str, cells: pa.ChunkedArray, fits: Fits) -> pa.ChunkedArray:
        """The numbers that cells spell, an empty one as none; the cells where numbers do not fit.

        StudyError names the first row that spells none.
        """
        if not fits(pa.float64()):
            return cells
        numbers: list[float | None] = []
        for row, cell in enumerate(cells.cast(pa.binary()).to_pylist()):
            text = cell.decode(errors="replace").strip()
            try:
                numbers.append(float(text) if text else None)
            except ValueError:
                problem = f"{self.path}: column {name}: row {row}: {text!r}"
                raise StudyError(f"{problem}, expected a number") from None
        return pa.chunked_array([pa.array(numbers, pa.float64())])


def _kind(path: Path) -> str:
    """`parquet`, `jsonl`, `csv`, `tsv`, whatever compresses it; StudyError for what is no table."""
    kind = suffix_of(path).removeprefix(".").split(".")[0]
    if kind in ("", "txt"):
        raise StudyError(f"{path}: a task's files are .jsonl, .parquet, .csv or .tsv")
    return kind


def read_parquet(path: Path, read: Callable[[pq.ParquetFile], Any]) -> Any:
    """What `read` gives of a file; StudyError where it cannot be read."""
    try:
        with pq.ParquetFile(path) as file:
            return read(file)
    except (OSError, pa.ArrowException) as error:
        problem = f"not a parquet file that can be read ({_one_line(error)})"
        raise StudyError(f"{path}: {problem}") from None


def _read_json(path: Path) -> pa.Table:
    """All of a .jsonl file."""
    try:
        with open_bytes(path) as file:
            data = pa.BufferReader(file.read())
        # In one block, for rows are counted by block where one is wrong.
        options = json.ReadOptions(block_size=max(1, data.size()))
        table = json.read_json(data, options)
        schema = pa.schema([pa.field(one.name, _without_times(one.type)) for one in table.schema])
        if schema != table.schema:
            data.seek(0)
            table = json.read_json(data, options, json.ParseOptions(explicit_schema=schema))
        return table
    except (OSError, pa.ArrowException, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(f"{path}: cannot be read ({_one_line(error)})") from None


def _without_times(kind: pa.DataType) -> pa.DataType:
    """A type with text where it has times: JSON has none, and Arrow sees them in text."""
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_without_times(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(one.name, _without_times(one.type)) for one in kind])
    return kind


def _without_views(kind: pa.DataType) -> pa.DataType:
    """A type with plain text where it has views, which not every function of Arrow takes."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        make = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return make(kind.value_field.with_type(_without_views(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([one.with_type(_without_views(one.type)) for one in kind])
    return kind


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
