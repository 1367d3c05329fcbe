"""Cells of .csv and .tsv files, a column at a time, as text: what they mean, their reader knows.

The first row names the columns. Quotation marks around a cell hold delimiters, line ends and, twice
each, quotation marks, as spreadsheets, pandas and Python write them. Every fault is a StudyError
that names the file.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from study.errors import StudyError, first_line
from study.parts import suffix_of

DELIMITERS = {"csv": ",", "tsv": "\t"}
BLOCK = 1 << 24  # bytes that are read at once; no row is longer


def column_names(path: Path) -> list[str]:
    """Names of the columns in their order."""
    with _open(path) as reader:
        return reader.schema.names


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


def _open(path: Path, column: str = "") -> csv.CSVStreamingReader:
    """A reader of all columns, or of one as text."""
    delimiter = DELIMITERS[suffix_of(path).split(".")[1]]
    chosen = {"include_columns": [column], "column_types": {column: pa.string()}} if column else {}
    try:
        return csv.open_csv(
            pa.input_stream(str(path), compression="detect"),
            csv.ReadOptions(block_size=BLOCK, use_threads=False),  # with threads no row is counted
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            csv.ConvertOptions(check_utf8=False, **chosen),
        )
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> StudyError:
    return StudyError(f"{path}: cannot be read ({first_line(error)})")
