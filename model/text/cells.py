"""Cells of .csv and .tsv files, a column at a time, as text: what they mean, their reader knows.

The first row names the columns. Quotation marks around a cell hold delimiters, line ends and, twice
each, quotation marks, as spreadsheets, pandas and Python write them. Every fault is a StudyError
that names the file.
"""

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow.csv import (
    ConvertOptions,
    CSVStreamingReader,
    ParseOptions,
    ReadOptions,
    open_csv,
)

from model.text.opened import COMPRESSED, open_bytes
from study.errors import StudyError, first_line
from study.parts import suffix_of

DELIMITERS = {"csv": ",", "tsv": "\t"}
BLOCK = 1 << 24  # bytes that are read at once; no row is longer


def column_names(path: Path) -> list[str]:
    """Names of the columns in their order."""
    with _open(path) as reader:
        return reader.schema.names


def row_count(path: Path) -> int:
    """Rows below that of the names.

    Raises StudyError where a quotation mark opens a cell and none closes it, or closes it in the
    middle: Arrow takes the rows up to the next one for one cell.
    """
    rows, line = -1, 1
    csv.field_size_limit(sys.maxsize)
    try:
        with open_bytes(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
            reader = csv.reader(text, delimiter=_delimiter(path), strict=True)
            for row in reader:
                rows, line = rows + bool(row), reader.line_num + 1
    except csv.Error:
        raise StudyError(
            f"{path}: line {line}: quotation marks open a cell and do not close it at its end; one "
            'that belongs to a text is written twice, in a cell in quotation marks: "5"" long"'
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    return max(rows, 0)


def read_cells(path: Path, column: str) -> Iterator[pa.StringArray]:
    """Yield a column's cells, empty ones as empty text; they may hold bytes that are no UTF-8."""
    names = column_names(path)
    if names.count(column) != 1:
        many = f"{names.count(column)} columns" if column in names else "no column"
        raise StudyError(f"{path}: {many} {column}; it has {', '.join(names)}")
    with _open(path, column) as reader:
        while True:
            try:
                yield reader.read_next_batch().column(0)
            except StopIteration:
                return
            except (pa.ArrowException, OSError) as error:
                raise _unreadable(path, error) from None


def _open(path: Path, column: str = "") -> CSVStreamingReader:
    """A reader of all columns, or of one as text."""
    chosen = {"include_columns": [column], "column_types": {column: pa.string()}} if column else {}
    try:
        open_bytes(path).close()
        return open_csv(
            pa.input_stream(str(path), COMPRESSED.get(path.suffix.lower())),
            ReadOptions(block_size=BLOCK, use_threads=False),  # with threads no row is counted
            ParseOptions(delimiter=_delimiter(path), newlines_in_values=True),
            ConvertOptions(check_utf8=False, **chosen),
        )
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _delimiter(path: Path) -> str:
    return DELIMITERS[suffix_of(path).split(".")[1]]


def _unreadable(path: Path, error: Exception) -> StudyError:
    return StudyError(f"{path}: cannot be read ({first_line(error)})")
