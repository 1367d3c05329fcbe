"""End tasks and how they are fine-tuned: parts of the study file (`study.study_file`)."""

from collections.abc import Iterable
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from study.cells import Optimiser
from study.fields import (
    AboveZero,
    Count,
    Fraction,
    Name,
    Omitted,
    Place,
    Positive,
    Section,
    Share,
    Source,
)
from study.kinds import KIND_FACTS, KindFacts


def known_kind(kind: str) -> str:
    """`kind` if it is one; ValueError otherwise."""
    if kind not in KIND_FACTS:
        raise ValueError(f"expected one of {', '.join(KIND_FACTS)}")
    return kind


class PlannedTask(Section):
    """A task's examples and mean tokens per row, for plans until its features are there."""

    train: Positive
    dev: Positive
    row_tokens: AboveZero


class Task(Section):
    """An end task: where its data lie and how it is cast (sections 3.3 and 5)."""

    source: Source
    kind: Annotated[
        str, AfterValidator(known_kind), Field(json_schema_extra={"enum": [*KIND_FACTS]})
    ]
    texts: Omitted[Annotated[list[str], Field(min_length=1, max_length=2)] | None] = None
    label: Omitted[str | None] = None
    labels: Omitted[Positive | None] = None
    scale: Omitted[AboveZero | None] = None  # a regression is trained on label / scale
    train: Place
    dev: Place
    # Further labelled splits: their metrics are <name>_<m>.
    more_dev: Omitted[dict[Name, Place] | None] = None
    test: Omitted[dict[Name, Place] | None] = None  # splits without labels, for submissions
    init: Omitted[str | None] = None  # start from the model that was tuned on this task
    train_examples: Omitted[Positive | None] = None
    dev_examples: Omitted[Positive | None] = None
    metrics: Annotated[list[str], Field(min_length=1)]
    stride: Omitted[Positive | None] = None
    question_length: Omitted[Positive | None] = None
    answer_length: Omitted[Positive | None] = None
    answerability: Omitted[bool | None] = None
    planned: PlannedTask | None = None
    # A ranking's negatives for a question that has none of its own.
    mined: Omitted[Count | None] = None
    # Where a pronoun's candidates come from.
    candidates: Omitted[Literal["spacy", "rules"] | None] = None
    loss: Omitted[Literal["margin", "cross-entropy"] | None] = None
    alpha: Omitted[Annotated[float, Field(ge=0)] | None] = None  # of the margin loss
    beta: Omitted[Annotated[float, Field(ge=0)] | None] = None

    @model_validator(mode="after")
    def fields_of_kind(self):
        """Each kind has its own fields, all of them needed, and its own metrics."""
        facts, kind = self.facts, f"kind {self.kind}"
        needed = {*facts.fields, *self._added(facts.more_fields)}
        own = {
            name
            for other in KIND_FACTS.values()
            for names in (other.fields, *other.more_fields.values())
            for name in names
        }
        deciding = dict.fromkeys(name for name, _ in facts.more_fields)
        kind += "".join(
            f" with {name} {value}" for name in deciding if (value := getattr(self, name))
        )
        for name in sorted(own):
            if (getattr(self, name) is None) == (name in needed):
                raise ValueError(f"{kind} {'needs' if name in needed else 'has no'} {name}")
        for name in facts.refused:
            if getattr(self, name) is not None:
                raise ValueError(f"{kind} has no {name}")
        if self.texts and len(self.texts) not in facts.texts:
            raise ValueError(f"{kind} needs {facts.texts[0]} texts, found {len(self.texts)}")
        for metric in self.metrics:
            if metric not in facts.metrics:
                known = ", ".join(facts.metrics)
                raise ValueError(f"kind {self.kind} has no metric {metric}; known: {known}")
        return self

    @property
    def facts(self) -> KindFacts:
        """What is known of its kind."""
        return KIND_FACTS[self.kind]

    def _added(self, more: dict[tuple[str, Any], tuple[str, ...]]) -> Iterable[str]:
        """The names that the values of its fields add."""
        return (
            name
            for (field, value), names in more.items()
            if getattr(self, field) == value
            for name in names
        )

    def _on_all_splits(self, metrics: Iterable[str]) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(metrics))
        return (*names, *(f"{split}_{name}" for split in self.more_dev or {} for name in names))

    @property
    def reported_metrics(self) -> tuple[str, ...]:
        """The metrics that its scores hold: those asked for, and the parts that come with them."""
        parts = (*self.facts.parts, *self._added(self.facts.more_parts))
        return self._on_all_splits((*self.metrics, *parts))

    @property
    def averaged_metrics(self) -> tuple[str, ...]:
        """The metrics that an ensemble of its models has, where there can be one."""
        return self._on_all_splits(self.metrics)

    @property
    def splits(self) -> list[str]:
        """All splits that it reads, each once."""
        further = [*(self.more_dev or {}).values(), *(self.test or {}).values()]
        return list(dict.fromkeys([self.train, self.dev, *further]))


def shortest_row(question_length: int | None, separators: int) -> int:
    """Fewest tokens of a row that leave room for what a task puts into it."""
    return 2 + separators + (question_length + 1 if question_length else 2)


class Grid(Section):
    """Settings to choose from, by the median over seeds (section 5.1, table 10)."""

    batch: Annotated[list[Positive], Field(min_length=1)] | None = None
    learning_rate: Annotated[list[AboveZero], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def distinct(self):
        """Settings are known by their names, in which six digits of a number count."""
        names = [setting_name(point) for point in self.points()]
        twice = [name for number, name in enumerate(names) if name in names[:number]]
        if twice:
            raise ValueError(f"a setting twice: {twice[0]}")
        return self

    def points(self) -> list[dict[str, float]]:
        """Every combination, as the keys that it sets."""
        given = self.model_dump(exclude_none=True)
        return [dict(zip(given, values, strict=True)) for values in product(*given.values())]


def setting_name(point: dict[str, float]) -> str:
    """What a point of a grid is called: `batch-16-learning-rate-1e-05`."""
    return "-".join(f"{key.replace('_', '-')}-{value:g}" for key, value in point.items())


class Finetuning(Section):
    """Settings of one fine-tuning (protocol of the BERT paper, or Table 10)."""

    batch: Positive
    learning_rate: AboveZero
    epochs: Annotated[int, Field(gt=0, le=10_000)]
    warmup: Share
    weight_decay: Annotated[float, Field(ge=0)]
    beta2: Fraction
    eps: AboveZero
    dropout: Fraction
    length: Positive
    separators: Literal[1, 2]
    early_stopping: Omitted[bool] = False  # score the epoch that is best on the development split
    decay_all: Omitted[bool] = False  # true: biases and LayerNorm too
    clip_norm: Omitted[Annotated[float, Field(ge=0)]] = 0  # 0: off
    head_dropout: Omitted[Fraction | None] = None  # before the head and inside it; null: `dropout`
    group_by_length: Omitted[bool] = True  # an update's units are about equally long
    grid: Grid | None = None

    def optimiser(self) -> Optimiser:
        """The optimiser with these numbers."""
        own = Optimiser.model_fields.keys() & Finetuning.model_fields.keys()
        return Optimiser.usual(**{name: getattr(self, name) for name in own})

    def settings(self) -> dict[str, "Finetuning"]:
        """The settings to train, by name: the points of the grid, or "" for these alone."""
        if self.grid is None:
            return {"": self}
        return {
            setting_name(point): self.model_copy(update={**point, "grid": None})
            for point in self.grid.points()
        }
