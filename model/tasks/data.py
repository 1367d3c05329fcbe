"""Task examples from the hub's parquet files (protocol sections 7-10).

In: the parquet files of one split and the task of a recipe. Out: an `Examples` with one entry per
example in file order, columns checked. With a limit, the examples that come first in a keyed order
of the whole split, so that every cell of a study sees the same ones.
"""

from pathlib import Path

import numpy as np

from model.samples.keyed import permutation
from model.tasks.columns import Examples, Split
from model.tasks.features import unique_indices
from model.tasks.kinds import KINDS
from study.kinds import KIND_FACTS

SUBSET_SEED = 0


def read_examples(
    paths: list[Path], task: dict, limit: int | None = None, *, labelled: bool = True
) -> Examples:
    """Read one split of a task; without its labels where it is not `labelled`.

    Raises StudyError naming the file, the column and the row (the first is 0) for a missing column
    or one of another type, an empty cell, text that is not UTF-8, a label out of range or an answer
    that is not in its context; the file alone where it cannot be read or the split has no rows.
    """
    split = Split.open(paths)
    if limit is not None and limit < len(split.rows):
        split = split.subset(_first_rows(split, task, limit))
    return KINDS[task["kind"]].read(split, task, labelled)


def _first_rows(split: Split, task: dict, limit: int) -> np.ndarray:
    """Rows, rising, of the first `limit` units in a keyed order: examples or whole questions."""
    units = np.arange(len(split.rows))
    if KIND_FACTS[task["kind"]].by_question:
        _, units = unique_indices(split.texts(task["texts"][0]))
    chosen = permutation(SUBSET_SEED, "task-subset", 0, int(np.max(units)) + 1)[:limit]
    return np.flatnonzero(np.isin(units, chosen))
