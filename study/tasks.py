"""End tasks and how they are fine-tuned: parts of the study file (`study.study_file`)."""

from collections.abc import Iterable
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from study.cells import Optimiser
from study.fields import (
    LARGEST,
    AboveZero,
    AtLeastZero,
    Count,
    Fraction,
    Maybe,
    Name,
    NonEmpty,
    Omitted,
    Place,
    Positive,
    Section,
    Share,
    Source,
    doc,
)
from study.kinds import FIELDS_OF_KINDS, KIND_FACTS, KindFacts

if TYPE_CHECKING:  # what is listed at run time
    KindName = str
else:
    KindName = Literal[tuple(KIND_FACTS)]


def _distinct(names: list) -> list:
    if len({str(name).lower() for name in names}) < len(names):
        raise ValueError("the same class twice")
    return names


ClassName = Annotated[str, Field(min_length=1)] | int | bool
Classes = Annotated[int, Field(ge=2, le=LARGEST)]
Labels = Classes | Annotated[list[ClassName], Field(min_length=2), AfterValidator(_distinct)]
DevFraction = Annotated[float, Field(gt=0, lt=1)]


class PlannedTask(Section):
    """A task's examples and mean tokens per row, for plans until its features are there."""

    train: Positive = doc("training examples")
    dev: Positive = doc("examples of the development split")
    row_tokens: AboveZero = doc("mean tokens of a row: question with context, text with option")


class Task(Section):
    """An end task: where its data lie and how it is cast (sections 3.3 and 5)."""

    source: Source = doc("where its files come from")
    kind: KindName = doc("how it is cast, what its network predicts")
    texts: Maybe[Annotated[list[str], Field(min_length=1, max_length=2)]] = doc(
        "columns of its texts", None
    )
    label: Maybe[str] = doc("column of its labels", None)
    labels: Maybe[Labels] = doc(
        "number of classes, or their names in the order of their numbers; of a choice its options",
        None,
    )
    columns: Maybe[dict[str, str | NonEmpty[str]]] = doc(
        "what the columns that a kind reads are called in the files, where otherwise", None
    )
    scale: Maybe[AboveZero] = doc("a regression is trained on label / scale", None)
    train: Place = doc("split to train on", "train")
    dev: Place = doc("labelled split to score; with dev_fraction that to train on", "dev")
    dev_fraction: Maybe[DevFraction] = doc(
        "share of the only split that is scored and not trained on, by a hash of the texts", None
    )
    more_dev: Maybe[dict[Name, Place]] = doc(
        "further labelled splits, by the name in front of their metrics", None
    )
    test: Maybe[dict[Name, Place]] = doc("splits without labels, for submissions, by name", None)
    init: Maybe[str] = doc("task whose model it starts from", None)
    train_examples: Maybe[Positive] = doc("only the first ones", None)
    dev_examples: Maybe[Positive] = doc("only the first ones", None)
    metrics: NonEmpty[str] = doc("what is scored; the first chooses settings and epochs")
    stride: Maybe[Positive] = doc("tokens between two windows of a long context", None)
    question_length: Maybe[Positive] = doc("longest question in tokens", None)
    answer_length: Maybe[Positive] = doc("longest answer in tokens", None)
    answerability: Maybe[bool] = doc("whether a question may have no answer", None)
    planned: PlannedTask | None = doc("its size for plans, until its rows are there", None)
    mined: Maybe[Count] = doc("a ranking's negatives for a question with none of its own", None)
    candidates: Maybe[Literal["spacy", "rules"]] = doc("source of a pronoun's candidates", None)
    loss: Maybe[Literal["margin", "cross-entropy"]] = doc("of kind wsc", None)
    alpha: Maybe[AtLeastZero] = doc("factor of the margin loss", None)
    beta: Maybe[AtLeastZero] = doc("margin of the margin loss", None)

    @model_validator(mode="before")
    @classmethod
    def one_split(cls, data: Any) -> Any:
        """With dev_fraction the split to score is the one to train on."""
        if isinstance(data, dict) and data.get("dev_fraction") is not None and "dev" not in data:
            return {**data, "dev": data.get("train", "train")}
        return data

    @model_validator(mode="after")
    def splits_differ(self):
        """What is trained on is not scored."""
        if self.dev_fraction is None and self.train == self.dev:
            raise ValueError("train and dev are one split; dev_fraction takes a share of it")
        if self.dev_fraction is not None and self.train != self.dev:
            raise ValueError(f"dev_fraction takes from split {self.train}, dev is {self.dev}")
        return self

    @model_validator(mode="after")
    def columns_of_kind(self):
        """Only columns that the kind reads have other names."""
        for name, called in (self.columns or {}).items():
            if name not in self.facts.columns:
                known = ", ".join(self.facts.columns) or "none: texts and label say them"
                raise ValueError(f"columns: kind {self.kind} reads no {name}; known: {known}")
            if isinstance(called, list) and name != "options":
                raise ValueError(f"columns: {name} is one column, found {len(called)}")
        return self

    @model_validator(mode="after")
    def fields_of_kind(self):
        """Each kind has its own fields, all of them needed, and its own metrics."""
        facts, kind = self.facts, f"kind {self.kind}"
        needed = {name for one in self._own_facts() for name in one.fields}
        if self.loss:
            kind += f" with loss {self.loss}"
        for name in sorted({*FIELDS_OF_KINDS, *facts.refused} - {*facts.optional}):
            if (getattr(self, name) is None) == (name in needed):
                word = "needs" if name in needed else "has no"
                raise ValueError(f"{kind} {word} {name}")
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

    @property
    def classes(self) -> int:
        """Number of its classes, of a choice that of its options; 0 of what has none."""
        if self.labels is None:
            return self.facts.rows if self.facts.rows > 1 else 0
        return len(self.labels) if isinstance(self.labels, list) else self.labels

    @property
    def rows(self) -> int:
        """Inputs of the network per example, before any are cut into windows."""
        return self.classes if self.facts.rows > 1 else 1

    @property
    def outputs(self) -> int:
        """Numbers that its head gives an input."""
        return self.classes if "labels" in self.facts.fields else 1

    def column(self, name: str) -> str | list[str] | None:
        """What a column that the kind reads is called in the files; None where there is none."""
        if not self.columns or name in self.columns:
            return (self.columns or {}).get(name, name)
        return None if name in self.facts.without else name

    @property
    def together(self) -> list[str]:
        """The columns of text by which dev_fraction splits: rows with the same stay together."""
        if self.texts:
            return self.texts[:1] if self.facts.by_question else self.texts
        called = [self.column(name) for name in self.facts.together]
        return [name for name in called if isinstance(name, str)][:1]

    def _own_facts(self) -> list[KindFacts]:
        """What is known of its kind, and what the values of its fields add."""
        added = self.facts.added.items()
        return [
            self.facts,
            *(more for (name, value), more in added if getattr(self, name) == value),
        ]

    def _on_all_splits(self, metrics: Iterable[str]) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(metrics))
        return (*names, *(f"{split}_{name}" for split in self.more_dev or {} for name in names))

    @property
    def reported_metrics(self) -> tuple[str, ...]:
        """The metrics that its scores hold: those asked for, and the parts that come with them."""
        official = all(getattr(self, name) is None for name in self.facts.optional)
        parts = [part for one in self._own_facts() for part in one.parts if official]
        return self._on_all_splits([*self.metrics, *parts])

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

    batch: NonEmpty[Positive] | None = doc("sizes to choose from", None)
    learning_rate: NonEmpty[AboveZero] | None = doc("peak learning rates to choose from", None)

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

    batch: Positive = doc("examples of an update")
    learning_rate: AboveZero = doc("at the peak, after the warm-up")
    epochs: Annotated[int, Field(gt=0, le=10_000)] = doc("passes over the training split")
    warmup: Share = doc("share of the updates in which the rate rises")
    weight_decay: AtLeastZero = doc("decoupled from the gradient")
    beta2: Fraction = doc("decay of the second moment")
    eps: AboveZero = doc("epsilon below the second moment's root")
    dropout: Fraction = doc("of embeddings, hidden states and attention")
    length: Positive = doc("most tokens of a row")
    separators: Literal[1, 2] = doc("tokens between two texts")
    early_stopping: Omitted[bool] = doc("score the best epoch on the development split", False)
    decay_all: Omitted[bool] = doc("whether biases and LayerNorm decay too", False)
    clip_norm: Omitted[AtLeastZero] = doc("longest norm of a gradient; 0: any", 0)
    head_dropout: Maybe[Fraction] = doc("before the head and inside it; null: `dropout`", None)
    group_by_length: Omitted[bool] = doc("whether an update's units are about equally long", True)
    keep_weights: Omitted[bool] = doc(
        "whether the models are kept, for python -m model.export; part of the recipe", False
    )
    grid: Grid | None = doc("settings to choose from, instead of these", None)

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
