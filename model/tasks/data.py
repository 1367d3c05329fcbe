"""Task examples from the hub's parquet files (protocol sections 7-10).

In: the parquet files of one split and the task of a recipe. Out: an `Examples` with one entry per
example in file order, columns checked. With a limit, the examples that come first in a keyed order
of the whole split, so that every cell of a study sees the same ones.

Columns by kind: classification and regression read the one or two `texts` and the `label` that the
task names; span reads SQuAD's question, context and answers; choice reads RACE's question, options,
article and answer (a letter); ranking reads the two `texts` and a `label` of 0 or 1; wsc reads
SuperGLUE's text, span1 (a candidate referent), span2 (a pronoun) and label of 0 or 1.

Whole numbers may be written as floats, as pandas does where a column has gaps. A question without
an answer has empty lists or nulls in its `answers`. Texts may be empty; a passage may not.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
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

    Raises StudyError naming the file, the column and the row (the first is 0) for a missing column
    or one of another type, an empty cell, text that is not UTF-8, a label out of range or an answer
    that is not in its context; the file alone where it cannot be read or the split has no rows.
    """
    columns, label_column = task_columns(task)
    numbers = WORD_COLUMNS.get(task["kind"], [])
    split = _read_split(paths, [*columns, *numbers, *([label_column] if labelled else [])])
    ids = _unique_ids(split)
    if limit is not None and limit < len(split.rows):
        rows = _subset(split, task, limit)
        split = replace(split, table=split.table.take(pa.array(rows)), rows=rows)
        ids = [ids[row] for row in rows]
    options = "options" if task["kind"] == "choice" else None
    texts = [
        _options(split, column) if column == options else _texts(split, column)
        for column in columns
    ]
    words = np.stack([_whole_numbers(split, name) for name in numbers], 1) if numbers else None
    if not labelled:
        return Examples(ids, texts, words=words)
    if task["kind"] == "span":
        return Examples(ids, texts, answers=_answers(split, label_column, texts[1], ids, task))
    if task["kind"] == "regression":
        return Examples(ids, texts, labels=_reals(split, label_column))
    if task["kind"] == "choice":
        return Examples(ids, texts, labels=_letters(split, label_column))
    labels = _classes(split, label_column, task.get("labels", 2))
    return Examples(ids, texts, labels=labels, words=words)


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


@dataclass(frozen=True)
class _Split:
    """Columns of a split. `rows` is the row of the whole split behind each row of the table,
    `starts` the first row of each file.
    """

    table: pa.Table
    id_column: str | None
    paths: list[Path]
    starts: np.ndarray
    rows: np.ndarray

    def place(self, row: int) -> tuple[Path, int]:
        """File, and row of that file, of a row of the table."""
        file = int(np.searchsorted(self.starts, self.rows[row], side="right")) - 1
        return self.paths[file], int(self.rows[row] - self.starts[file])

    def where(self, column: str, row: int) -> str:
        """A cell's place in words."""
        path, number = self.place(row)
        return f"{path}: column {column}: row {number}"

    def values(self, column: str, expected: str, fits: Callable[[pa.DataType], bool]) -> list:
        """The cells of a column whose type fits; StudyError where it does not, or one is empty."""
        cells = self.table.column(column)
        if not fits(cells.type):
            raise StudyError(
                f"{self.paths[0]}: column {column}: expected {expected}, found {cells.type}"
            )
        if cells.null_count:
            path, number = self.place(cells.is_null().to_pylist().index(True))
            raise StudyError(
                f"{path}: column {column}: {cells.null_count} empty cells, "
                f"the first in row {number}; expected {expected}"
            )
        try:
            return cells.to_pylist()
        except UnicodeDecodeError:
            row = next(row for row, cell in enumerate(cells) if not _is_utf8(cell))
            raise StudyError(f"{self.where(column, row)}: text that is not UTF-8") from None


def _is_utf8(cell: pa.Scalar) -> bool:
    """Whether all text in a cell can be decoded."""
    try:
        cell.as_py()
    except UnicodeDecodeError:
        return False
    return True


def _read_split(paths: list[Path], columns: list[str]) -> _Split:
    """The named columns of all files, and the column of ids if there is one."""
    tables, id_column = [], None
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                found = file.schema_arrow.names
                for column in columns:
                    if found.count(column) != 1:
                        many = f"{found.count(column)} columns" if column in found else "no column"
                        raise StudyError(f"{path}: {many} {column}; it has {', '.join(found)}")
                id_column = next((name for name in ID_COLUMNS if found.count(name) == 1), None)
                wanted = dict.fromkeys([*columns, *([id_column] if id_column else [])])
                tables.append(_plain(file.read(columns=list(wanted))))
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise StudyError(f"{path}: not a parquet file that can be read ({reason})") from None
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())
        raise StudyError(
            f"{paths[-1]}: columns of other types than {paths[0]} ({reason})"
        ) from None
    if table.num_rows == 0:
        raise StudyError(f"{paths[0]}: no rows" + f", nor in {paths[-1]}" * (len(paths) > 1))
    starts = np.cumsum([0, *(table.num_rows for table in tables)])[:-1]
    return _Split(table, id_column, paths, starts, np.arange(table.num_rows))


def _plain(table: pa.Table) -> pa.Table:
    """The table without metadata, its text as the type that every function of Arrow takes."""
    schema = pa.schema(
        [
            field.with_type(pa.large_string()) if pa.types.is_string_view(field.type) else field
            for field in table.schema
        ]
    )
    return table.cast(schema)


def _subset(split: _Split, task: dict, limit: int) -> np.ndarray:
    """Rows of a subset, rising: the first `limit` in a keyed order; of ranking, all rows of the
    first `limit` questions, for a question's rows are one unit.
    """
    units = np.arange(len(split.rows))
    if task["kind"] == "ranking":
        places: dict[str, int] = {}
        questions = _texts(split, task["texts"][0])
        units = np.array([places.setdefault(question, len(places)) for question in questions])
    chosen = permutation(SUBSET_SEED, "task-subset", 0, int(units.max()) + 1)[:limit]
    return np.flatnonzero(np.isin(units, chosen))


def _unique_ids(split: _Split) -> list[str]:
    """Ids as strings; row numbers without a column; an id's repeats get `#1`, `#2`, ... (RACE)."""
    if split.id_column is None:
        return [str(row) for row in split.rows]
    names = [str(value) for value in split.values(split.id_column, "an id", lambda kind: True)]
    taken, repeats = set(names), Counter()
    seen: set[str] = set()
    ids = []
    for name in names:
        unique = name
        while unique in seen or (unique != name and unique in taken):
            repeats[name] += 1
            unique = f"{name}#{repeats[name]}"
        seen.add(unique)
        ids.append(unique)
    return ids


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):  # a category of pandas
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _is_list(kind: pa.DataType, fits: Callable[[pa.DataType], bool]) -> bool:
    """Whether a type is that of lists of values that fit, or of nulls only."""
    types = pa.types
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return types.is_null(kind) or (
        lists and (types.is_null(kind.value_type) or fits(kind.value_type))
    )


def _is_answers(kind: pa.DataType) -> bool:
    fields = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}
    return (
        {"text", "answer_start"} <= fields.keys()
        and _is_list(fields["text"], _is_text)
        and _is_list(fields["answer_start"], _is_number)
    )


def _texts(split: _Split, column: str) -> list[str]:
    return split.values(column, "text", _is_text)


def _options(split: _Split, column: str) -> list[list[str]]:
    options = split.values(column, "lists of text", lambda kind: _is_list(kind, _is_text))
    for row, texts in enumerate(options):
        if len(texts) != CHOICES or None in texts:
            raise StudyError(
                f"{split.where(column, row)}: expected a list of {CHOICES} options, "
                f"found {len(texts)}, {texts.count(None)} of them empty"
            )
    return options


def _whole(value: float | None) -> int | None:
    """The whole number that an int or a float says, else None."""
    return int(value) if value is not None and float(value).is_integer() else None


def _whole_numbers(split: _Split, column: str) -> np.ndarray:
    """A column of whole numbers as int64 (N,)."""
    numbers = []
    for row, value in enumerate(split.values(column, "whole numbers", _is_number)):
        number = _whole(value)
        if number is None or not -(2**63) <= number < 2**63:
            raise StudyError(f"{split.where(column, row)}: {value}, expected a whole number")
        numbers.append(number)
    return np.array(numbers, dtype=np.int64)


def _classes(split: _Split, column: str, classes: int) -> np.ndarray:
    labels = _whole_numbers(split, column)
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        row = int(wrong[0])
        raise StudyError(f"{split.where(column, row)}: {labels[row]} is not 0 to {classes - 1}")
    return labels


def _reals(split: _Split, column: str) -> np.ndarray:
    """A column of numbers as float32 (N,)."""
    values = np.array(split.values(column, "numbers", _is_number), dtype=np.float64)
    wrong = np.flatnonzero(~(np.abs(values) <= np.finfo(np.float32).max))
    if len(wrong):
        raise StudyError(f"{split.where(column, int(wrong[0]))}: {values[wrong[0]]}: not finite")
    return values.astype(np.float32)


def _letters(split: _Split, column: str) -> np.ndarray:
    """A column of options' letters as int64 (N,)."""
    values = split.values(column, f"a letter of {LETTERS}", _is_text)
    for row, value in enumerate(values):
        if len(value) != 1 or value not in LETTERS:
            raise StudyError(
                f"{split.where(column, row)}: {value!r} is not one of {', '.join(LETTERS)}"
            )
    return np.array([LETTERS.index(value) for value in values], dtype=np.int64)


def _answers(
    split: _Split, column: str, contexts: list[str], ids: list[str], task: dict
) -> list[list[tuple[str, int]]]:
    """Answers stripped of surrounding blanks, each checked to stand where its offset says."""
    expected = "a struct of text and answer_start, lists of texts and of whole numbers"
    answers = []
    for row, value in enumerate(split.values(column, expected, _is_answers)):
        where = f"{split.where(column, row)}: question {ids[row]}"
        if not contexts[row].strip():
            raise StudyError(f"{where}: its context is empty")
        texts, starts = value["text"] or [], value["answer_start"] or []
        if len(texts) != len(starts):
            raise StudyError(f"{where}: {len(texts)} texts, but {len(starts)} starts")
        found = []
        for text, start in zip(texts, starts, strict=True):
            first = _whole(start)
            if text is None or first is None:
                raise StudyError(f"{where}: {text!r} at {start}, expected a text at a whole number")
            if not text.strip() or first < 0 or contexts[row][first : first + len(text)] != text:
                raise StudyError(f"{where}: no {text!r} at character {start}")
            found.append((text.strip(), first + len(text) - len(text.lstrip())))
        if not found and not task["answerability"]:
            raise StudyError(f"{where}: no answer, though answerability is false")
        answers.append(found)
    return answers
