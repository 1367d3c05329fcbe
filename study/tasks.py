"""End tasks and how they are fine-tuned: parts of the study file (`study.study_file`)."""

from itertools import product
from typing import Annotated, Literal

from pydantic import Field, model_validator

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

SPAN_PARTS = ("has_answer_f1", "has_answer_em", "no_answer_f1", "no_answer_em")


class PlannedTask(Section):
    """A task's examples and mean tokens per row, for plans until its features are there."""

    train: Positive
    dev: Positive
    row_tokens: AboveZero


class Task(Section):
    """An end task: where its data lie and how it is cast (sections 3.3 and 5)."""

    source: Source
    kind: Literal["classification", "regression", "span", "choice", "ranking", "wsc"]
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
        needed = {
            "classification": {"texts", "label", "labels"},
            "regression": {"texts", "label", "scale"},
            "span": {"stride", "question_length", "answer_length", "answerability"},
            "choice": {"question_length"},
            "ranking": {"texts", "label", "mined"},
            "wsc": {"candidates", "loss"},
        }
        mine, kind = needed[self.kind], f"kind {self.kind}"
        if self.loss is not None:
            kind += f" with loss {self.loss}"
            mine = mine | ({"alpha", "beta"} if self.loss == "margin" else set())
        for name in sorted(set().union({"alpha", "beta"}, *needed.values())):
            if (getattr(self, name) is None) == (name in mine):
                word = "needs" if name in mine else "has no"
                raise ValueError(f"{kind} {word} {name}")
        # The official test sets of these kinds are hidden altogether, or have public labels.
        unsupported = {"span": ("more_dev", "test"), "choice": ("test",)}.get(self.kind, ())
        for name in unsupported:
            if getattr(self, name) is not None:
                raise ValueError(f"{kind} has no {name}")
        for metric in self.metrics:
            if metric not in self.known_metrics:
                known = ", ".join(self.known_metrics)
                raise ValueError(f"kind {self.kind} has no metric {metric}; known: {known}")
        return self

    @property
    def known_metrics(self) -> tuple[str, ...]:
        """All metrics that a task of this kind can report."""
        return {
            "classification": ("accuracy", "f1", "matthews"),
            "regression": ("pearson", "spearman"),
            "span": ("f1", "em"),
            "choice": ("accuracy",),
            "ranking": ("accuracy",),
            "wsc": ("accuracy",),
        }[self.kind]

    @property
    def reported_metrics(self) -> tuple[str, ...]:
        """The metrics that its scores hold: those asked for, and the parts that come with them."""
        if self.kind != "span":
            own = ("accuracy", "middle", "high") if self.kind == "choice" else tuple(self.metrics)
            return (*own, *(f"{name}_{metric}" for name in self.more_dev or {} for metric in own))
        more = ("best_f1", "best_em", "best_threshold", *SPAN_PARTS) if self.answerability else ()
        return ("f1", "em", *more)

    @property
    def averaged_metrics(self) -> tuple[str, ...]:
        """The metrics that an ensemble of its models has, all kinds but span."""
        further = [f"{name}_{m}" for name in self.more_dev or {} for m in self.metrics]
        return (*self.metrics, *further)

    @property
    def splits(self) -> list[str]:
        """All splits that it reads, each once."""
        further = [*(self.more_dev or {}).values(), *(self.test or {}).values()]
        return list(dict.fromkeys([self.train, self.dev, *further]))


def shortest_row(kind: str, question_length: int | None, separators: int) -> int:
    """Fewest tokens of a row that leave room for what a task of this kind puts into it."""
    specials = 2 + separators
    room = question_length + 1 if kind in ("span", "choice") else 2
    return specials + room


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

    def settings(self) -> dict[str, "Finetuning"]:
        """The settings to train, by name: the points of the grid, or "" for these alone."""
        if self.grid is None:
            return {"": self}
        return {
            setting_name(point): self.model_copy(update={**point, "grid": None})
            for point in self.grid.points()
        }
