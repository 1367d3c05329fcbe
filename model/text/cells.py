"""Cells of .csv and .tsv files, a column at a time, as text: what they mean, their reader knows.

The first row names the columns. Quotation marks around a cell hold delimiters, line ends and, twice
each, quotation marks, as spreadsheets, pandas and Python write them. Every fault is a StudyError
that names the file and the row; the first below the names is 0.
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
    wrong: list[csv.InvalidRow] = []
    try:
        with _open(path, column, wrong) as reader:
            for batch in reader:
                yield batch.column(0)
    except (pa.ArrowException, OSError) as error:
        if not wrong:
            raise _unreadable(path, error) from None
        row, cells, expected = wrong[0].number, wrong[0].actual_columns, len(names)
        raise StudyError(f"{path}: row {row - 2}: {cells} cells, expected {expected}") from None


def _open(path: Path, column: str = "", wrong: list | None = None) -> csv.CSVStreamingReader:
    """A reader of all columns, or of one as text; a row of other columns is put into `wrong`."""

    def refuse(row: csv.InvalidRow) -> str:
        if wrong is not None:
            wrong.append(row)
        return "error"

    shape = {"delimiter": DELIMITERS[suffix_of(path).split(".")[1]], "newlines_in_values": True}
    chosen = {"include_columns": [column], "column_types": {column: pa.string()}} if column else {}
    try:
        return csv.open_csv(
            pa.input_stream(str(path), compression="detect"),
            csv.ReadOptions(block_size=BLOCK, use_threads=False),  # with threads no row is counted
            csv.ParseOptions(**shape, invalid_row_handler=refuse),
            csv.ConvertOptions(check_utf8=False, **chosen),
        )
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> StudyError:
    return StudyError(f"{path}: cannot be read ({first_line(error)})")
