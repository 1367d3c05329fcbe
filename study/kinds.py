"""What the study must know of each task kind; how one works is in `model.tasks.kinds`."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class KindFacts:
    """What holds of all tasks of a kind."""

    fields: tuple[str, ...] = ()  # that its tasks need; those of other kinds they must not have
    metrics: tuple[str, ...] = ()  # that its tasks may ask for
    parts: tuple[str, ...] = ()  # metrics that are reported too, whatever a task asks for
    # By a field and its value: the further fields and parts of such tasks.
    added: dict[tuple[str, Any], "KindFacts"] = field(default_factory=dict)
    refused: tuple[str, ...] = ()  # fields of all other kinds that its tasks must not have
    texts: tuple[int, ...] = (1, 2)  # how many text columns its tasks may name
    columns: tuple[str, ...] = ()  # that it reads besides; a task may say what they are called
    without: tuple[str, ...] = ()  # of these, those that a task which names columns need not have
    # Fields that a task may have; one that has any is no official one, and lacks the `parts`.
    optional: tuple[str, ...] = ()
    rows: int = 1  # inputs of the network per example, before any are cut into windows
    reads_all: bool = False  # whether its head reads every token of an input, not just the first
    by_question: bool = False  # examples with the same first text belong together
    together: tuple[str, ...] = ()  # as do those with the same text in the first of these columns
    averaged: bool = True  # whether an ensemble can average what its models predict
    note: str = ""  # under a table of such tasks, behind the names of their columns
    changed_features: int = 0  # how often equal recipes came to mean other rows of this kind only


SQUAD20_PARTS = (
    *("best_f1", "best_em", "best_threshold"),
    *("has_answer_f1", "has_answer_em", "no_answer_f1", "no_answer_em"),
)
KIND_FACTS = {
    "classification": KindFacts(("texts", "label", "labels"), ("accuracy", "f1", "matthews")),
    "regression": KindFacts(("texts", "label", "scale"), ("pearson", "spearman")),
    "span": KindFacts(
        ("stride", "question_length", "answer_length", "answerability"),
        ("f1", "em"),
        parts=("f1", "em"),
        added={("answerability", True): KindFacts(parts=SQUAD20_PARTS)},
        columns=("question", "context", "answers"),
        together=("context",),
        refused=("more_dev", "test"),  # the official test sets are hidden altogether
        reads_all=True,
        averaged=False,
        changed_features=1,
    ),
    # The public test set has labels.
    "choice": KindFacts(
        ("question_length",),
        ("accuracy",),
        parts=("middle", "high"),
        columns=("question", "options", "article", "answer"),
        without=("article",),
        optional=("labels", "columns"),
        together=("article", "question"),
        refused=("test",),
        rows=4,
    ),
    "ranking": KindFacts(
        ("texts", "label", "mined"),
        ("accuracy",),
        texts=(2,),
        by_question=True,
        note="as a ranking: a question with one sentence is decided by a threshold from this "
        "set's other scores, without labels.",
    ),
    "wsc": KindFacts(
        ("candidates", "loss"),
        ("accuracy",),
        columns=("text", "span1_text", "span2_text", "span1_index", "span2_index", "label"),
        together=("text",),
        added={("loss", "margin"): KindFacts(fields=("alpha", "beta"))},
    ),
}
# All fields that only some kinds have.
FIELDS_OF_KINDS = {
    name
    for facts in KIND_FACTS.values()
    for one in (facts, *facts.added.values())
    for name in one.fields
}
