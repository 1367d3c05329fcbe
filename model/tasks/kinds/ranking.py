"""Pairwise ranking (QNLI for a submission): a question's sentences compared with each other.

Columns: the two `texts` that the task names, question and sentence, and its `label`, 0 where the
sentence answers. Rows `<s> question </s> sentence </s>` of a question in turn (`groups`); `order`
int64 (R,) is the example of each row. Targets: members int64 (U, C), the rows of each question, -1
where it has fewer than C, the right one first; loss term "ranking". predictions.parquet: id, label,
prediction 0 (answers) or 1, question (number of its group), score, probability (that it answers).

RoBERTa (arXiv 1907.11692) section 5.1: of the sentences that are compared exactly one answers. So
training takes the questions with exactly one answer, which comes first; where no other row asks the
question, `mined` negatives are taken from the training sentences (`model.tasks.mining`). All
other questions are left out and counted. Development and test splits keep every row.
"""

from collections.abc import Iterable

import numpy as np

from model.network.finetuning import HeadModel, Tensors
from model.tasks.columns import Examples, Split
from model.tasks.features import Features, Rows, add_texts, label_figures
from model.tasks.kind import Average, Kind
from model.tasks.mining import mine_sentences
from model.tasks.scoring import Outcome, Predicted, in_order, log_sigmoid, score_columns
from model.tasks.units import by_unit, first_of_unit_loss, members_of, shares
from model.text.tokenizer import Vocabulary
from study.errors import StudyError
from study.recipes import RecipeTask

ANSWERS, NO_ANSWER = 0, 1  # classes of QNLI: entailment, not_entailment
Pair = tuple[int, int]  # the examples that a row takes its question and its sentence from


def read(split: Split, task: RecipeTask, labelled: bool) -> Examples:
    """Questions and sentences."""
    texts = [split.texts(column) for column in task.texts]
    return Examples(split.ids, texts, split.classes(task.label, 2) if labelled else None)


def question_groups(questions: list[str]) -> list[list[int]]:
    """Rows of each question, in order of its first row."""
    groups: dict[str, list[int]] = {}
    for row, question in enumerate(questions):
        groups.setdefault(question, []).append(row)
    return list(groups.values())


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
    questions, sentences = examples.columns
    groups = question_groups(questions)
    kept, left_out = training_groups(groups, examples.labels)
    lonely = [rows[0] for rows in kept if len(rows) == 1]
    negatives = dict(zip(lonely, mine_sentences(questions, sentences, lonely, mined), strict=True))
    pairs = [
        [(rows[0], row) for row in (*rows, *negatives.get(rows[0], ()))]
        for rows in kept
        if len(rows) > 1 or negatives[rows[0]]
    ]
    left_out["no_other_sentence"] = len(kept) - len(pairs)
    figures = {"questions": len(groups), "questions_kept": len(pairs), "left_out": left_out}
    return pairs, figures | {"mined": sum(map(len, negatives.values()))}


def build(examples: Examples, vocabulary: Vocabulary, task: RecipeTask, length: int, train: bool):
    """A row per pair, a question's one after the other.

    Figures besides the usual: questions; of the train split those kept and left out, and the
    negatives mined; of others those of one row (`alone`). Raises StudyError when training has
    no question left.
    """
    if train:
        pairs, figures = training_pairs(examples, task.mined)
        if not pairs:
            raise StudyError(f"task {task.name}: no question has one answer and another sentence")
    else:
        groups = question_groups(examples.columns[0])
        pairs = [[(row, row) for row in rows] for rows in groups]
        figures = {"questions": len(groups), "alone": sum(len(rows) == 1 for rows in groups)}
    rows = Rows(vocabulary, task, length)
    order = [[pair[part] for group in pairs for pair in group] for part in (0, 1)]
    add_texts(rows, [[examples.columns[part][row] for row in order[part]] for part in (0, 1)])
    return rows.finish(
        examples,
        figures | label_figures(examples.labels),
        groups=np.cumsum([0, *map(len, pairs)], dtype=np.int64),
        order=np.array(order[1], dtype=np.int64),
    )


def targets(features: Features, task: RecipeTask, units: np.ndarray):
    """The rows of the questions."""
    return {"ranking": len(units)}, {"members": members_of(features, units)}


def loss(task: RecipeTask, predicted: Tensors, micro: Tensors) -> Tensors:
    """Cross-entropies of each question's right row among all of its rows."""
    scores_UC = by_unit(predicted["logits"][:, 0], micro["members"])
    return {"ranking": first_of_unit_loss(scores_UC, micro["weights"])}


def score(features: Features, task: RecipeTask, batches: Iterable[Predicted]) -> Outcome:
    """Every row decided within its question, in the order of the examples."""
    scores = in_order(batches, "logits")[:, 0].astype(np.float64)
    columns = ranking_columns(np.nan_to_num(scores), np.asarray(features.arrays["groups"]))
    order = np.argsort(features.arrays["order"])
    columns = {name: values[order] for name, values in columns.items()}
    return score_columns(features, task, columns, bool(np.isfinite(scores).all()))


def ranking_columns(scores: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """prediction, question, score and probability per row.

    A row's probability is its share within its question. A question's only row has nothing to be
    compared with, and the loss, which only sees differences, leaves the scores' origin open: its
    probability is the sigmoid of its score less `lone_threshold`.
    """
    sizes = np.diff(groups)
    question = np.repeat(np.arange(len(sizes)), sizes)
    alone = np.repeat(sizes == 1, sizes)
    level = lone_threshold(scores, groups)
    probability = np.where(alone, np.exp(log_sigmoid(scores - level)), shares(scores, groups))
    return {
        "prediction": decide_ranking(probability, question),
        "question": question,
        "score": scores,
        "probability": probability,
    }


def lone_threshold(scores: np.ndarray, groups: np.ndarray) -> float:
    """The score above which a question's only row is taken for an answer.

    Midway between the mean of the best rows and the mean of the others, over the questions of this
    split that have several rows: what the model itself takes for answers and for the rest, no label
    is used. Where no question has several rows, the median of all scores.
    """
    several = np.diff(groups) > 1
    if not several.any():
        return float(np.median(scores))
    compared = np.repeat(several, np.diff(groups))
    best = np.maximum.reduceat(scores, groups[:-1])[several]
    others = (scores[compared].sum() - best.sum()) / (compared.sum() - len(best))
    return float((best.mean() + others) / 2)


def decide_ranking(probability: np.ndarray, question: np.ndarray) -> np.ndarray:
    """0 (answers) for the likeliest row of every question, the first among equals, and for only
    rows of at least 0.5; 1 for the others. int64 (R,), in the order given.
    """
    order = np.lexsort((np.arange(len(question)), -probability, question))
    sorted_question = question[order]
    first = np.concatenate([[True], sorted_question[1:] != sorted_question[:-1]])
    predictions = np.full(len(question), NO_ANSWER, dtype=np.int64)
    predictions[order[first]] = ANSWERS
    alone = np.bincount(question)[question] == 1
    predictions[alone & (probability < 0.5)] = NO_ANSWER
    return predictions


AVERAGE = Average(
    "probability", lambda mean, columns: decide_ranking(mean, np.array(columns["question"]))
)
KIND = Kind(read, build, HeadModel, targets, loss, score, AVERAGE)
