"""Multiple choice (RACE): one row per option, the question side first (protocol section 10).

Columns: question, options (a list of texts, or a column for each), article, which a task of one's
own need not have, and answer (a letter, a number from 0, or what the task names them). Rows: the
options' of a question in turn, `<s> question and option </s> passage </s>`, or the question side
alone. A gap (a run of `_`) in the question is filled with the option; a question without one is
followed by it. White space is squeezed.
The question side keeps its first `question_length` tokens, the passage the rest of the row.
Targets: labels int64 per question, loss term "choice". predictions.parquet: id, label, prediction,
probabilities of the options.

RoBERTa (arXiv 1907.11692) section 5.3: a scalar per option, of the head on `<s>`.
"""

import re
from collections.abc import Iterable

import numpy as np

from model.network.cross_entropy import weighted_cross_entropy
from model.network.finetuning import HeadModel, Tensors
from model.tasks.columns import Examples, Split, is_label, is_list, is_text, spelt, unique_indices
from model.tasks.features import CHUNK, Features, Rows, label_figures
from model.tasks.kind import CLASSES, Kind
from model.tasks.metrics import accuracy
from model.tasks.scoring import Outcome, Predicted, class_columns, in_order, score_columns
from model.text.tokenizer import Vocabulary
from study.errors import StudyError
from study.kinds import KIND_FACTS
from study.recipes import RecipeTask

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LEVELS = KIND_FACTS["choice"].parts  # what a question's id starts with
_GAP = re.compile(r"_+")


def read(split: Split, task: RecipeTask, labelled: bool) -> Examples:
    """Questions, options and passages; these are empty where the task has none."""
    questions, article = split.texts(task.column("question")), task.column("article")
    passages = split.texts(article) if article else []
    options = _options(split, task.column("options"), task.classes)
    labels = _answers(split, task) if labelled else None
    return Examples(split.ids, [questions, options, passages], labels)


def _options(split: Split, column: str | list[str], number: int) -> list[list[str]]:
    """Texts of the options of each question, of a column of lists or of a column for each."""
    if isinstance(column, list):
        if len(column) != number:
            raise StudyError(
                f"{split.files[0].path}: {len(column)} columns of options, expected {number}; "
                "labels says how many there are"
            )
        return [list(row) for row in zip(*map(split.texts, column), strict=True)]
    options = split.values(column, "lists of text", lambda kind: is_list(kind, is_text))
    for row, texts in enumerate(options):
        if len(texts) != number or None in texts:
            raise StudyError(
                f"{split.where(column, row)}: expected a list of {number} options, "
                f"found {len(texts)}, {texts.count(None)} of them empty"
            )
    return options


def _answers(split: Split, task: RecipeTask) -> np.ndarray:
    """Numbers of the right options, int64 (N,)."""
    column, letters = task.column("answer"), LETTERS[: task.classes]
    if isinstance(task.labels, list):
        return split.classes(column, task.labels)
    own = bool(task.labels or task.columns)
    expected = f"a letter of {letters}" + ", or a number from 0" * own
    values = split.values(column, expected, is_label if own else is_text)
    places = {letter: place for place, letter in enumerate(letters)}
    places |= {str(place): place for place in range(task.classes) if own}
    for row, value in enumerate(values):
        if spelt(value) not in places:
            known = ", ".join(places)
            raise StudyError(f"{split.where(column, row)}: {value!r} is not one of {known}")
    return np.array([places[spelt(value)] for value in values], dtype=np.int64)


def question_with_option(question: str, option: str) -> str:
    """The question side of a row, as text."""
    filled, gaps = _GAP.subn(lambda _: option, question)
    return " ".join((filled if gaps else f"{question} {option}").split())


def build(examples: Examples, vocabulary: Vocabulary, task: RecipeTask, length: int, train: bool):
    """A row per option; `questions_truncated` counts cut question sides."""
    rows = Rows(vocabulary, task, length)
    questions, options, passages = examples.columns
    cut = 0
    for begin in range(0, len(examples), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        # Several questions ask about one passage: each is encoded once.
        texts, places = unique_indices([" ".join(text.split()) for text in passages[chunk]])
        contexts = vocabulary.encode_batch(texts)
        sides = vocabulary.encode_batch(
            [
                question_with_option(question, option)
                for question, row in zip(questions[chunk], options[chunk], strict=True)
                for option in row
            ]
        )
        for row, side in enumerate(sides):
            cut += len(side) > task.question_length
            side = side[: task.question_length]
            if not passages:
                rows.truncated += len(side) > rows.room(1)
                rows.add(side[: rows.room(1)])
                continue
            context = contexts[places[row // task.rows]]
            room = rows.room(2) - len(side)
            rows.truncated += len(context) > room
            rows.add(side, context[:room])
        rows.flush()
    return rows.finish(examples, {"questions_truncated": cut} | label_figures(examples.labels))


def targets(features: Features, task: RecipeTask, units: np.ndarray):
    """The right options of the questions."""
    return {"choice": len(units)}, {"labels": features.arrays["labels"][units]}


def loss(task: RecipeTask, predicted: Tensors, micro: Tensors) -> Tensors:
    """Cross-entropies over the options of each question."""
    logits_UC = predicted["logits"].view(-1, task.rows)
    return {"choice": weighted_cross_entropy(logits_UC, micro["labels"], micro["weights"])}


def score(features: Features, task: RecipeTask, batches: Iterable[Predicted]) -> Outcome:
    """The likeliest option; of RACE the accuracy of each school level too."""
    columns, finite = class_columns(in_order(batches, "logits").reshape(-1, task.rows))
    outcome = score_columns(features, task, columns, finite)
    levels = [level for level in LEVELS if level in task.reported_metrics]
    for level in levels if outcome.metrics else ():
        rows = np.array([name.startswith(level) for name in features.ids])
        predictions, labels = columns["prediction"][rows], features.arrays["labels"][rows]
        outcome.metrics[level] = accuracy(predictions, labels)
    return outcome


KIND = Kind(read, build, HeadModel, targets, loss, score, CLASSES)
