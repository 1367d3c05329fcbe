"""What results show: the rows and columns of the tables.

These are parts of the study file. Nothing here changes what is trained, only which runs there are.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from study.cells import Cell
from study.errors import StudyError
from study.fields import Name, NonEmpty, Section, doc, given
from study.messages import hint
from study.minimal_pairs import Level, measure
from study.tasks import Finetuning

# What a column can show besides scores. `analysis.values` says how each comes about.
Value = Literal[
    "batch",
    "steps",
    "learning_rate",
    "epochs",
    "gigabytes",
    "parameters",
    "vocabulary_size",
    "vocabulary_parameters",
    "fertility",
    "unknown_rate",
    "transition",
    "perplexity",
    "bits_per_byte",
    "nsp_accuracy",
]
# What is measured on held-out text, so that replicates differ in it; and what of this a corpus has.
HELDOUT_VALUES = ("perplexity", "bits_per_byte", "nsp_accuracy")
CORPUS_VALUES = ("perplexity", "bits_per_byte")
WAYS_OF_COLUMNS = ("task", "metric", "value", "corpus", "pairs", "by", "group")


class Column(Section):
    """A column of a table: a metric of a task, a value that a recipe or a pre-training has, or the
    accuracy on minimal pairs.
    """

    label: str = doc("what a reader sees")
    task: str | None = doc("whose score it shows", None)
    metric: str | None = doc("of the task, with a split's name in front of a further one's", None)
    value: Value | None = doc("what it shows instead of a score", None)
    corpus: str | None = doc("on whose held-out text: perplexity, bits_per_byte; else on all", None)
    pairs: str | None = doc("the set of minimal pairs whose accuracy it shows instead", None)
    by: Level | None = doc("not of all pairs: a column for each group of this level", None)
    group: str | None = doc("only for this one of the groups", None)
    averaged: bool = doc("whether the table's average counts it", True)
    ensemble_task: str | None = doc("what ensembles of this column are fine-tuned on instead", None)

    @model_validator(mode="after")
    def one_kind(self):
        """Task and metric, or value (of a corpus), or pairs with by and group or without."""
        given = {name for name in WAYS_OF_COLUMNS if getattr(self, name) is not None}
        if self.ensemble_task and not self.task:
            raise ValueError("ensemble_task needs a task")
        of_pairs = {"pairs"} <= given <= {"pairs", "by", "group"} and given != {"pairs", "group"}
        of_value = {"value"} <= given <= {"value", "corpus"}
        if given != {"task", "metric"} and not of_value and not of_pairs:
            raise ValueError(
                "expected either task and metric, or value (corpus), or pairs (by, group)"
            )
        if self.corpus and self.value not in CORPUS_VALUES:
            raise ValueError(f"corpus: {self.value} is no value of one corpus")
        return self

    @property
    def name(self) -> str:
        """Its name in a CSV and in files of published values: `squad11.f1`, `perplexity`,
        `perplexity.books`, `grammar`, `grammar.binding`.
        """
        if self.pairs:
            part = self.group or self.by
            return f"{self.pairs}.{part}" if part else self.pairs
        if self.value:
            return f"{self.value}.{self.corpus}" if self.corpus else self.value
        return f"{self.task}.{self.metric}"

    @property
    def scored(self) -> bool:
        """Whether it shows scores, of a task or of minimal pairs."""
        return self.value is None

    @property
    def compared(self) -> bool:
        """Whether replicates differ in it: scores, and what is measured on held-out text."""
        return self.scored or self.value in HELDOUT_VALUES

    @property
    def measure(self) -> str:
        """Which of the scores on its minimal pairs it shows."""
        return measure(self.by, self.group)


class Row(Section):
    """A row of a table: one of our cells, the best of a family, or a published reference."""

    id: Name = doc("its name in the CSV and in published values")
    label: str = doc("what a reader sees")
    cell: str | None = doc("the cell that it shows", None)
    family: str | None = doc("the family whose best member it shows", None)
    ensemble: bool = doc("averaged predictions of its models instead of the median model", False)

    @model_validator(mode="after")
    def one_thing(self):
        """A row shows one thing; only a cell's models can be an ensemble."""
        if self.cell and self.family:
            raise ValueError("expected cell or family, not both")
        if self.ensemble and not self.cell:
            raise ValueError("ensemble needs a cell")
        return self

    def task_of(self, column: Column) -> str:
        """The task whose models fill this row's field of a column of scores."""
        return (column.ensemble_task if self.ensemble else None) or given(column.task)

    @property
    def ours(self) -> bool:
        """Whether the study trains it."""
        return bool(self.cell or self.family)


class Table(Section):
    """A table of the paper; `published` names the file of its printed values, if there are any."""

    caption: str = doc("above the table")
    published: str | None = doc("file of the printed values", None)
    notes: list[str] = doc("below the table", [])
    baseline: str | None = doc(
        "row from which differences are shown, with intervals, beside means over replicates", None
    )
    average: str | None = doc("what a last column, the mean of the score columns, is called", None)
    columns: NonEmpty[Column] = doc("what it shows")
    rows: NonEmpty[Row] = doc("of what, from top to bottom")

    @model_validator(mode="after")
    def baseline_is_ours(self):
        """Differences need a row that the study trains, and single models on both sides."""
        single = {row.id for row in self.rows if row.ours and not row.ensemble}
        if self.baseline and self.baseline not in single:
            raise ValueError(
                f"baseline: {self.baseline} is no row with a cell or family of single models"
                f"{hint(self.baseline, sorted(single))}"
            )
        return self

    def without(self, left_out: Mapping[str, str]) -> "Table":
        """This table without the columns of some tasks or sets of minimal pairs, as a note says.

        `left_out` has the reason for each. A table that shows none but these keeps them.
        """
        gone = [column for column in self.columns if (column.task or column.pairs) in left_out]
        kept = [column for column in self.columns if column not in gone]
        if not gone or not any(column.scored for column in kept):
            return self
        labels: dict[str, list[str]] = {}
        for column in gone:
            label = column.label.replace("{}", str(column.pairs))
            labels.setdefault(left_out[column.task or given(column.pairs)], []).append(label)
        notes = [f"Left out: {', '.join(names)}; {reason}." for reason, names in labels.items()]
        averaged = any(column.task and column.averaged for column in kept)
        average = self.average if averaged else None
        changed = {"columns": kept, "notes": [*self.notes, *notes], "average": average}
        return self.model_copy(update=changed)

    @property
    def score_columns(self) -> list[Column]:
        """The columns that show a metric of a task."""
        return [column for column in self.columns if column.task]

    @property
    def value_columns(self) -> list[Column]:
        """The columns that show what is no score."""
        return [column for column in self.columns if column.value]

    @property
    def pairs_columns(self) -> list[Column]:
        """The columns that show an accuracy on minimal pairs."""
        return [column for column in self.columns if column.pairs]

    @property
    def scored_columns(self) -> list[Column]:
        """The columns of scores, of tasks and of minimal pairs, in their order."""
        return [column for column in self.columns if column.scored]

    @property
    def compared_columns(self) -> list[Column]:
        """The columns of which replicates differ, in their order."""
        return [column for column in self.columns if column.compared]


class HyperparameterRow(Section):
    """A line of a table of hyperparameters: a key of the recipe, or a figure made of several."""

    id: Name = doc("its name in the CSV and in published values")
    label: str = doc("what a reader sees")
    key: str = doc("dotted key of the recipe, or one derived: head_size, warmup_steps, schedule")


class HyperparameterColumn(Section):
    """A column of a table of hyperparameters: a cell, or a task's settings in a recipe."""

    id: Name = doc("its name in the CSV and in published values")
    label: str = doc("what a reader sees")
    cell: Name | None = doc("the cell whose recipe it shows", None)
    finetuning: str | None = doc("the fine-tuning recipe that it shows instead", None)
    task: str | None = doc("of which task", None)

    @model_validator(mode="after")
    def one_recipe(self):
        """Either cell, or finetuning and task."""
        if (self.cell is None) != (self.finetuning is not None and self.task is not None):
            raise ValueError("expected either cell, or finetuning and task")
        return self


class HyperparameterTable(Section):
    """A table of what runs, rendered from the recipes of its columns (tables 9 and 10)."""

    caption: str = doc("above the table")
    published: str | None = doc("file of the printed values", None)
    columns: NonEmpty[HyperparameterColumn] = doc("recipes")
    rows: NonEmpty[HyperparameterRow] = doc("their keys")


def hyperparameter(recipe: Cell | Finetuning, key: str) -> float | str:
    """A figure of a recipe: a dotted key, or a derived one; a grid's values as `16, 32`.

    Raises StudyError for a key that the recipe does not have.
    """
    figure: Any = {**recipe.model_dump(), "schedule": "linear"}  # the only one that there is
    if isinstance(recipe, Cell):
        figure["head_size"] = recipe.model.hidden // recipe.model.heads
        figure["warmup_steps"] = round(recipe.optimiser.warmup * recipe.steps)
    elif values := (figure["grid"] or {}).get(key):
        return ", ".join(f"{value:g}" for value in values)
    for part in key.split("."):
        if not isinstance(figure, dict) or part not in figure:
            raise StudyError(f"{key}: no key of the recipe")
        figure = figure[part]
    if isinstance(figure, (dict, list)) or figure is None:
        raise StudyError(f"{key}: no single figure of the recipe")
    return figure
