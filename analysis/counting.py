"""Sizes of files of one's own, which a plan counts before anything of them has been fetched.

Tokens are characters / CHARACTERS_PER_TOKEN, of a task's row with its special tokens.
"""

from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from model.tasks.columns import Split, is_list, is_text
from model.tasks.minimal_pairs import read_pairs
from model.text.sources import open_parquet
from study.fields import given
from study.minimal_pairs import MinimalPairs
from study.parts import own_files
from study.tasks import Task
from study.texts import Corpus

CHARACTERS_PER_TOKEN = 4.6
PACKED = 3  # characters per byte of a compressed file
SPECIAL = 3  # tokens of a row of two texts


def task_size(task: Task, split: str) -> tuple[int, float]:
    """Examples of a split of a task of one's own, and the mean tokens of a row."""
    own: list = task.texts or [task.column(name) for name in task.facts.columns]
    columns = tuple(tuple(one) if isinstance(one, list) else one for one in own if one)
    return _task_size(given(task.source.own), split, columns, task.rows)


@lru_cache
def _task_size(place: str, split: str, columns: tuple, rows: int) -> tuple[int, float]:
    """The same, of columns of text; those of a choice's options are in one of `rows` each."""
    examples, characters = Split.open(own_files(Path(place), split)), 0.0
    for column in columns:
        for name in [column] if isinstance(column, str) else column:
            cells = examples.cells(name, is_text)
            options = not is_text(cells.type) and is_list(cells.type, is_text)
            if options:
                cells = pc.list_flatten(cells)
            if is_text(cells.type):
                length = pc.sum(pc.utf8_length(cells.cast(pa.large_string()))).as_py() or 0
                characters += length / (rows if options or isinstance(column, tuple) else 1)
    mean = characters / len(examples.rows)
    return len(examples.rows), SPECIAL + mean / CHARACTERS_PER_TOKEN


def pairs_size(pairs: MinimalPairs) -> tuple[int, float]:
    """Pairs of a set of one's own, and the mean tokens of a sentence with its frame."""
    files = {split: own_files(Path(given(pairs.source.own)), split) for split in pairs.splits}
    called: dict[str, str] = {name: own for name, own in (pairs.columns or {}).items()}
    found = read_pairs(files, called)
    mean = sum(map(len, [*found.good, *found.bad])) / (2 * len(found))
    return len(found), 2 + mean / CHARACTERS_PER_TOKEN


def corpus_characters(corpus: Corpus) -> float:
    """About so many characters has a corpus of one's own, by the size of its files."""
    files = own_files(Path(given(corpus.source.own)), corpus.split)
    return sum((_characters(path, corpus.column) for path in files), start=0.0)


def _characters(path: Path, column: str) -> float:
    if path.suffix != ".parquet":
        return path.stat().st_size * (PACKED if path.suffix in (".gz", ".zst") else 1)
    with open_parquet(path) as parquet:
        groups = [parquet.metadata.row_group(i) for i in range(parquet.num_row_groups)]
    chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
    own = [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] == column]
    return sum(chunk.total_uncompressed_size for chunk in own)
