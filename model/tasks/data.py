"""Task examples from the hub's parquet files (protocol sections 7-10).

In: the parquet files of one split and the task of a recipe. Out: an `Examples` with one entry per
example in file order, columns checked. With a limit, the examples that come first in a keyed order
of the whole split, so that every cell of a study sees the same ones.

Columns by kind: classification and regression read the one or two `texts` and the `label` that the
task names; span reads SQuAD's question, context and answers; choice reads RACE's question, options,
article and answer (a letter); ranking reads the two `texts` and a `label` of 0 or 1; wsc reads
SuperGLUE's text, span1 (a candidate referent), span2 (a pronoun) and label of 0 or 1.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.samples.keyed import permutation
from study.errors import StudyError

KINDS = ("classification", "regression", "span", "choice", "ranking", "wsc")
# kind -> text columns and label column
FIXED_COLUMNS = {
    "span": (["question", "context"], "answers"),
    "choice": (["question", "options", "article"], "answer"),
    "wsc": (["text", "span1_text", "span2_text"], "label"),
}
WORD_COLUMNS = {"wsc": ["span1_index", "span2_index"]}  # places in the first text, by words
ID_COLUMNS = ("id", "idx", "example_id")  # SQuAD, GLUE, RACE
SUBSET_SEED = 0
LETTERS = "ABCD"
CHOICES = len(LETTERS)


@dataclass
class Examples:
    """Examples of one split.

    `ids` are unique strings; `texts` one list per text column (of lists of strings for options);
    `labels` int64 (N,) classes or options, float32 (N,) values, or None for span; `answers` for
    span one list of (text, character start) per question, empty when it has no answer; `words` for
    wsc int64 (N, 2), the first word of each of the two spans in the text cut at white space.
    """

    ids: list[str]
    texts: list[list]
    labels: np.ndarray | None = None
    answers: list[list[tuple[str, int]]] | None = None
    words: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)


def read_examples(
    paths: list[Path], task: dict, limit: int | None = None, *, labelled: bool = True
) -> Examples:
    """Read one split of a task; without its labels where it is not `labelled`.

    Raises StudyError naming the file and the column for a missing column, one of another type, an
    empty cell, a label out of range, an answer that is not in its context, or an empty split.
    """
    columns, label_column = task_columns(task)
    where = str(paths[0]) if len(paths) == 1 else f"{paths[0]} to {paths[-1].name}"
    numbers = WORD_COLUMNS.get(task["kind"], [])
    wanted = [*columns, *numbers, *([label_column] if labelled else [])]
    table, id_column = _read_columns(paths, wanted)
    if table.num_rows == 0:
        raise StudyError(f"{where}: no rows")
    ids = _unique_ids(table, id_column)
    if limit is not None and limit < table.num_rows:
        rows = _subset(table, task, limit)
        table, ids = table.take(pa.array(rows)), [ids[row] for row in rows]
    texts = [_texts(table, column, where) for column in columns]
    words = _words(table, numbers, where) if numbers else None
    if not labelled:
        return Examples(ids, texts, words=words)
    label = table.column(label_column)
    where = f"{where}: column {label_column}"
    if label.null_count:
        raise StudyError(f"{where}: {label.null_count} empty cells")
    if task["kind"] == "span":
        return Examples(ids, texts, answers=_answers(label, texts[1], ids, task, where))
    if task["kind"] == "regression":
        return Examples(ids, texts, labels=_values(label, where))
    if task["kind"] in ("classification", "ranking", "wsc"):
        labels = _classes(label, task.get("labels", 2), where)
        return Examples(ids, texts, labels=labels, words=words)
    return Examples(ids, texts, labels=_options(label, texts[1], where))


def task_columns(task: dict) -> tuple[list[str], str]:
    """Text columns and label column of a task; StudyError for a kind or texts that cannot be."""
    if task["kind"] not in KINDS:
        raise StudyError(f"task {task['name']}: kind: {task['kind']} is none of {', '.join(KINDS)}")
    if task["kind"] in FIXED_COLUMNS:
        return FIXED_COLUMNS[task["kind"]]
    for field in ("texts", "label"):
        if not task.get(field):
            raise StudyError(f"task {task['name']}: {field}: missing, {task['kind']} needs it")
    if task["kind"] == "ranking" and len(task["texts"]) != 2:
        raise StudyError(f"task {task['name']}: texts: expected 2 columns, question and candidate")
    if len(task["texts"]) > 2:
        raise StudyError(
            f"task {task['name']}: texts: expected 1 or 2 columns, found {len(task['texts'])}"
        )
    return task["texts"], task["label"]


def _read_columns(paths: list[Path], columns: list[str]) -> tuple[pa.Table, str | None]:
    """The named columns of all files, and the name of the column of ids if there is one."""
    tables, id_column = [], None
    for path in paths:
        try:
            file = pq.ParquetFile(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise StudyError(f"{path}: not a parquet file ({error})") from None
        with file:
            found = file.schema_arrow.names
            for column in columns:
                if column not in found:
                    raise StudyError(f"{path}: no column {column}; it has {', '.join(found)}")
            id_column = next((name for name in ID_COLUMNS if name in found), None)
            wanted = dict.fromkeys([*columns, *([id_column] if id_column else [])])
            tables.append(file.read(columns=list(wanted)).replace_schema_metadata(None))
    try:
        return pa.concat_tables(tables), id_column
    except pa.ArrowInvalid:
        raise StudyError(f"{paths[-1]}: columns of other types than {paths[0]}") from None


def _subset(table: pa.Table, task: dict, limit: int) -> np.ndarray:
    """Rows of a subset, rising: the first `limit` in a keyed order; of ranking, all rows of the
    first `limit` questions, for a question's rows are one unit.
    """
    units = np.arange(table.num_rows)
    if task["kind"] == "ranking":
        places: dict[str, int] = {}
        questions = table.column(task["texts"][0]).to_pylist()
        units = np.array([places.setdefault(question, len(places)) for question in questions])
    chosen = permutation(SUBSET_SEED, "task-subset", 0, int(units.max()) + 1)[:limit]
    return np.flatnonzero(np.isin(units, chosen))


def _words(table: pa.Table, columns: list[str], where: str) -> np.ndarray:
    """Columns of word numbers as int64 (N, columns)."""
    found = []
    for name in columns:
        column = table.column(name)
        if not pa.types.is_integer(column.type) or column.null_count:
            raise StudyError(f"{where}: column {name}: expected whole numbers in every row")
        found.append(column.to_numpy().astype(np.int64))
    return np.stack(found, 1)


def _unique_ids(table: pa.Table, column: str | None) -> list[str]:
    """Ids as strings; row numbers without a column; an id's repeats get `#1`, `#2`, ... (RACE)."""
    if column is None:
        return [str(row) for row in range(table.num_rows)]
    seen: Counter[str] = Counter()
    ids = []
    for name in map(str, table.column(column).to_pylist()):
        ids.append(f"{name}#{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return ids


def _texts(table: pa.Table, column: str, where: str) -> list:
    values = table.column(column)
    if not (_is_text(values.type) or (_is_list(values.type) and _is_text(values.type.value_type))):
        raise StudyError(f"{where}: column {column}: expected text, found {values.type}")
    if values.null_count:
        raise StudyError(f"{where}: column {column}: {values.null_count} empty cells")
    return values.to_pylist()


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _classes(column: pa.ChunkedArray, classes: int, where: str) -> np.ndarray:
    if not pa.types.is_integer(column.type):
        raise StudyError(f"{where}: expected whole numbers, found {column.type}")
    labels = column.to_numpy().astype(np.int64)
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise StudyError(f"{where}: row {wrong[0]}: {labels[wrong[0]]} is not 0 to {classes - 1}")
    return labels


def _values(column: pa.ChunkedArray, where: str) -> np.ndarray:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise StudyError(f"{where}: expected numbers, found {column.type}")
    values = column.to_numpy().astype(np.float32)
    if not np.isfinite(values).all():
        raise StudyError(f"{where}: row {np.flatnonzero(~np.isfinite(values))[0]}: not finite")
    return values


def _options(column: pa.ChunkedArray, options: list, where: str) -> np.ndarray:
    labels = np.empty(len(column), dtype=np.int64)
    for row, (value, texts) in enumerate(zip(column.to_pylist(), options, strict=True)):
        if not isinstance(value, str) or len(value) != 1 or value not in LETTERS:
            raise StudyError(f"{where}: row {row}: {value!r} is not one of {', '.join(LETTERS)}")
        if not isinstance(texts, list) or len(texts) != CHOICES:
            raise StudyError(f"{where}: row {row}: expected a list of {CHOICES} options")
        labels[row] = LETTERS.index(value)
    return labels


def _answers(
    column: pa.ChunkedArray, contexts: list[str], ids: list[str], task: dict, where: str
) -> list[list[tuple[str, int]]]:
    """Answers stripped of surrounding blanks, each checked to stand where its offset says."""
    kind = column.type
    if not (
        pa.types.is_struct(kind) and {"text", "answer_start"} <= {field.name for field in kind}
    ):
        raise StudyError(f"{where}: expected a struct of text and answer_start, found {kind}")
    answers = []
    for name, context, value in zip(ids, contexts, column.to_pylist(), strict=True):
        if not context.strip():
            raise StudyError(f"{where}: question {name}: its context is empty")
        row = []
        for text, start in zip(value["text"], value["answer_start"], strict=True):
            if not text.strip() or context[start : start + len(text)] != text:
                raise StudyError(f"{where}: question {name}: no {text!r} at character {start}")
            row.append((text.strip(), start + len(text) - len(text.lstrip())))
        if not row and not task["answerability"]:
            raise StudyError(f"{where}: question {name}: no answer, though answerability is false")
        answers.append(row)
    return answers
