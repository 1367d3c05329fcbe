"""Minimal pairs as they stand in files: tables with BLiMP's columns (arXiv 1912.00582).

In: the files of a source's splits, in order. Out: `MinimalPairs`, the two sentences of each pair
and the groups that it belongs to. Columns are `sentence_good`, `sentence_bad` and, as far as the
data have them, `field`, `linguistics_term` and `UID` (the paradigm), or what a study says they are
called. Every fault is a StudyError that names the file, the column and the row (the first is 0) or
the line.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.text.cells import DELIMITERS, column_names, row_count
from model.text.sources import count_rows, open_parquet, read_lines, read_texts
from study.errors import StudyError
from study.minimal_pairs import LEVELS, SENTENCES
from study.parts import suffix_of

GOOD, BAD = SENTENCES
# BLiMP spells this field in two ways.
SPELLINGS = {"syntax/semantics": "syntax_semantics"}


@dataclass(frozen=True)
class MinimalPairs:
    """N pairs: their names, the good and the bad sentences, and by level the group of each."""

    ids: list[str]
    good: list[str]
    bad: list[str]
    groups: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.ids)


def read_pairs(
    files: dict[str, list[Path]], called: Mapping[str, str] | None = None
) -> MinimalPairs:
    """The pairs of these files by split; a pair is called `<split>/<row of the split>`.

    `called` has the names of BLiMP's columns in the files, where they are others. The files have
    the same columns of groups. Raises StudyError for a file without pairs, a column that is missing
    or holds no text, a sentence or a group without letters, or the same sentences twice.
    """
    own = {name: (called or {}).get(name, name) for name in (GOOD, BAD, *LEVELS)}
    there = {name for paths in files.values() for path in paths for name in _columns(path)}
    levels = [name for name in LEVELS if own[name] in there or name in (called or {})]
    columns: dict[str, list[str]] = {name: [] for name in (GOOD, BAD, *levels)}
    ids: list[str] = []
    for split, of_split in files.items():
        count = 0
        for path in of_split:
            found = {name: _texts(path, own[name]) for name in columns}
            for name, texts in found.items():
                columns[name] += texts
            if found[GOOD] == found[BAD]:  # of one pair they may: BLiMP has seven, as ties
                raise StudyError(f"{path}: columns {own[GOOD]} and {own[BAD]} have the same texts")
            count += len(found[GOOD])
        ids += [f"{split}/{row}" for row in range(count)]
    if "field" in columns:
        columns["field"] = [SPELLINGS.get(name, name) for name in columns["field"]]
    return MinimalPairs(
        ids, columns[GOOD], columns[BAD], {level: columns[level] for level in levels}
    )


def place_of(files: dict[str, list[Path]], pair: int) -> str:
    """File and row of a pair, in words; .jsonl rows are lines that are not blank."""
    for path in (path for of_split in files.values() for path in of_split):
        count = count_rows(path)
        if pair < count:
            return f"{path}: row {pair}"
        pair -= count
    raise IndexError(pair)


def _columns(path: Path) -> Iterable[str]:
    """Names of a file's columns; of .jsonl those of its first line."""
    kind = suffix_of(path).removeprefix(".").split(".")[0]
    if kind == "parquet":
        with open_parquet(path) as parquet:
            return parquet.schema_arrow.names
    if kind in DELIMITERS:
        row_count(path)  # refuses rows that have run into each other
        return column_names(path)
    if kind != "jsonl":
        tables = ".jsonl or .parquet (or .csv, .tsv)"
        raise StudyError(f"{path}: minimal pairs are {tables}, with {GOOD} and {BAD}")
    try:
        first = json.loads(next(line for _, line in read_lines(path)))
    except (StudyError, ValueError, RecursionError, StopIteration):
        return ()  # told in full when its texts are read
    return first if isinstance(first, dict) else ()


def _texts(path: Path, column: str) -> list[str]:
    """A column of a file; StudyError where it has no row, or one without letters or signs."""
    texts = list(read_texts(path, column))
    if not texts:
        raise StudyError(f"{path}: no minimal pairs")
    for row, text in enumerate(texts):
        if not text.strip():
            raise StudyError(f"{path}: column {column}: row {row}: empty")
    return texts
