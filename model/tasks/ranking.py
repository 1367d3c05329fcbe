"""Pairwise ranking (QNLI for a submission): a question's sentences compared with each other.

In: examples whose texts are question and sentence, label 0 where the sentence answers. Out:
features with the rows `<s> question </s> sentence </s>` of a question in turn (`groups`), `order`
the example of each row.

RoBERTa (arXiv 1907.11692) section 5.1: of the sentences that are compared exactly one answers. So
training takes the questions with exactly one answer, which comes first; where no other row asks the
question, `mined` negatives are taken from the training sentences (`model.tasks.mining`). All
other questions are left out and counted. Development and test splits keep every row.
"""

import numpy as np

from model.tasks.data import Examples
from model.tasks.decisions import ANSWERS
from model.tasks.features import (
    CHUNK,
    Features,
    Rows,
    label_figures,
    pair_lengths,
    unique_indices,
)
from model.tasks.mining import mine_sentences
from model.text.tokenizer import Vocabulary
from study.errors import StudyError

Pair = tuple[int, int]  # the examples that a row takes its question and its sentence from


def question_groups(questions: list[str]) -> list[list[int]]:
    """Rows of each question, in order of its first row."""
    _, places = unique_indices(questions)
    groups: list[list[int]] = [[] for _ in range(max(places) + 1)]
    for row, place in enumerate(places):
        groups[place].append(row)
    return groups


def training_groups(
    groups: list[list[int]], labels: np.ndarray
) -> tuple[list[list[int]], dict[str, int]]:
    """Groups with exactly one answer, which comes first; and how many were left out, by why."""
    kept, left_out = [], {"no_answer": 0, "several_answers": 0}
    for rows in groups:
        answers = [row for row in rows if labels[row] == ANSWERS]
        if len(answers) == 1:
            kept.append(answers + [row for row in rows if row != answers[0]])
        else:
            left_out["several_answers" if answers else "no_answer"] += 1
    return kept, left_out


def training_pairs(examples: Examples, mined: int) -> tuple[list[list[Pair]], dict]:
    """Each question's pairs, the answer first, and figures: questions, left out, mined."""
    questions, sentences = examples.texts
    groups = question_groups(questions)
    kept, left_out = training_groups(groups, examples.labels)
    lonely = [rows[0] for rows in kept if len(rows) == 1]
    found = dict(zip(lonely, mine_sentences(questions, sentences, lonely, mined), strict=True))
    pairs = [
        [(rows[0], row) for row in (*rows, *found.get(rows[0], ()))]
        for rows in kept
        if len(rows) > 1 or found[rows[0]]
    ]
    left_out["no_other_sentence"] = len(kept) - len(pairs)
    figures = {"questions": len(groups), "questions_kept": len(pairs), "left_out": left_out}
    return pairs, figures | {"mined": sum(map(len, found.values()))}


def build_ranking(
    examples: Examples, vocabulary: Vocabulary, task: dict, length: int, *, train: bool
):
    """Features and figures of a ranking split.

    Figures besides the usual: questions; of the train split those kept and left out, and the
    negatives mined; of others those of one row (`alone`). Raises StudyError when training has
    no question left.
    """
    if train:
        pairs, figures = training_pairs(examples, task["mined"])
        if not pairs:
            raise StudyError(
                f"task {task['name']}: no question has one answer and another sentence"
            )
    else:
        groups = question_groups(examples.texts[0])
        pairs = [[(row, row) for row in rows] for rows in groups]
        figures = {"questions": len(groups), "alone": sum(len(rows) == 1 for rows in groups)}
    rows = Rows(vocabulary, task.get("separators", 1), length)
    flat = [pair for group in pairs for pair in group]
    add_pairs(rows, vocabulary, examples, flat)
    arrays = rows.arrays() | {
        "groups": np.cumsum([0, *map(len, pairs)], dtype=np.int64),
        "order": np.array([sentence for _, sentence in flat], dtype=np.int64),
    }
    if examples.labels is not None:
        figures |= label_figures(examples.labels)
        arrays["labels"] = examples.labels
    return Features(arrays, examples.ids), rows.figures(len(examples)) | figures


def add_pairs(rows: Rows, vocabulary: Vocabulary, examples: Examples, pairs: list[Pair]) -> None:
    """Append a row for each pair, the longer text cut first."""
    questions, sentences = examples.texts
    room = rows.room(2)
    for begin in range(0, len(pairs), CHUNK):
        chunk = pairs[begin : begin + CHUNK]
        asked = vocabulary.encode_batch([questions[question] for question, _ in chunk])
        told = vocabulary.encode_batch([sentences[sentence] for _, sentence in chunk])
        for first, second in zip(asked, told, strict=True):
            rows.truncated += len(first) + len(second) > room
            kept = pair_lengths(len(first), len(second), room)
            rows.add(first[: kept[0]], second[: kept[1]])
        rows.flush()
