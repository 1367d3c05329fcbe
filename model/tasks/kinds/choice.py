"""Multiple choice (RACE): one row per option, the question side first (protocol section 10).

Columns: question, options (four texts), article and answer (a letter). Rows: the options' of a
question in turn, `<s> question and option </s> passage </s>`. A gap (a run of `_`) in the question
is filled with the option; a question without one is followed by it. White space is squeezed.
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
from model.tasks.columns import Examples, Split, is_list, is_text, unique_indices
from model.tasks.features import CHUNK, Features, Rows, label_figures
from model.tasks.kind import CLASSES, Kind
from model.tasks.metrics import accuracy
from model.tasks.scoring import Outcome, Predicted, class_columns, in_order, score_columns
from model.text.tokenizer import Vocabulary
from study.errors import StudyError
from study.kinds import KIND_FACTS
from study.recipes import RecipeTask

CHOICES = KIND_FACTS["choice"].rows
LETTERS = "ABCD"
LEVELS = KIND_FACTS["choice"].parts  # what a question's id starts with
_GAP = re.compile(r"_+")


def read(split: Split, task: RecipeTask, labelled: bool) -> Examples:
    """Questions, options and passages."""
    texts = [split.texts("question"), _options(split, "options"), split.texts("article")]
    return Examples(split.ids, texts, _letters(split, "answer") if labelled else None)


def _options(split: Split, column: str) -> list[list[str]]:
    options = split.values(column, "lists of text", lambda kind: is_list(kind, is_text))
    for row, texts in enumerate(options):
        if len(texts) != CHOICES or None in texts:
            raise StudyError(
                f"{split.where(column, row)}: expected a list of {CHOICES} options, "
                f"found {len(texts)}, {texts.count(None)} of them empty"
            )
    return options


def _letters(split: Split, column: str) -> np.ndarray:
    """A column of options' letters as int64 (N,)."""
    values = split.values(column, f"a letter of {LETTERS}", is_text)
    for row, value in enumerate(values):
        if len(value) != 1 or value not in LETTERS:
            raise StudyError(
                f"{split.where(column, row)}: {value!r} is not one of {', '.join(LETTERS)}"
            )
    return np.array([LETTERS.index(value) for value in values], dtype=np.int64)


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
            context = contexts[places[row // CHOICES]]
            cut += len(side) > task.question_length
            side = side[: task.question_length]
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
    logits_UC = predicted["logits"].view(-1, CHOICES)
    return {"choice": weighted_cross_entropy(logits_UC, micro["labels"], micro["weights"])}


def score(features: Features, task: RecipeTask, batches: Iterable[Predicted]) -> Outcome:
    """The likeliest option; the accuracy of each school level too."""
    columns, finite = class_columns(in_order(batches, "logits").reshape(-1, CHOICES))
    outcome = score_columns(features, task, columns, finite)
    for level in LEVELS if outcome.metrics else ():
        rows = np.array([name.startswith(level) for name in features.ids])
        predictions, labels = columns["prediction"][rows], features.arrays["labels"][rows]
        outcome.metrics[level] = accuracy(predictions, labels)
    return outcome


KIND = Kind(read, build, HeadModel, targets, loss, score, CLASSES)
