"""The shape of `config/`: every key of the study, its type and its range.

`study.config` merges the files and validates the result against these models; a key that no model
declares is an error, so no key can be written that no code reads.
"""

from functools import cached_property
from itertools import product
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from study.layout import Family, HyperparameterTable, Row, Section, Table

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0)]
Dropout = Annotated[float, Field(ge=0, lt=1)]


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("the same seed twice")
    return seeds


Seeds = Annotated[list[Count], Field(min_length=1), AfterValidator(_distinct)]

FORMATS = ("segment-pair", "sentence-pair", "full-sentences", "doc-sentences")
PAIR_FORMATS = ("segment-pair", "sentence-pair")
SPAN_PARTS = ("has_answer_f1", "has_answer_em", "no_answer_f1", "no_answer_em")


class Source(Section):
    """Where files come from: a hub data set at a pinned revision, a folder, or the generator.

    Without a revision the data set is not on the hub and only a mirror can hold it. A generated
    source has the world's seed and a size per split: characters of a corpus, rows of a task.
    """

    repo: str | None = None
    config: str | None = None
    revision: str | None = None
    folder: str | None = None
    generated: str | None = None
    seed: Count | None = None
    sizes: dict[str, Positive] | None = None

    @model_validator(mode="after")
    def one_place(self):
        """Exactly one of the three, with its own fields."""
        given = set(self.model_dump(exclude_none=True)) - {"revision"}
        ways = ({"repo", "config"}, {"folder"}, {"generated", "seed", "sizes"})
        if given not in ways or (self.revision and not self.repo):
            raise ValueError(
                "expected either repo, config and revision, or folder, or generated, seed and sizes"
            )
        return self


class Corpus(Section):
    """A pre-training corpus (section 3.2)."""

    source: Source
    split: str = "train"
    column: str = "text"
    language: str = "en"
    documents: Positive | None = None
    shards: Positive = 1


class Vocabulary(Section):
    """A subword vocabulary (section 4.4), trained on the study's corpora or read from a file."""

    kind: Literal["wordpiece", "byte-bpe", "file"]
    size: Positive | None = None
    lowercase: bool | None = None
    corpora: list[str] | None = None
    characters: Positive | None = None
    path: str | None = None

    @model_validator(mode="after")
    def complete(self):
        """A trained vocabulary needs size and corpora, a named one its path."""
        if self.kind == "file":
            if self.path is None:
                raise ValueError("kind file needs path, the tokenizer.json to use")
        elif self.size is None or not self.corpora:
            raise ValueError(f"kind {self.kind} needs size and corpora")
        return self


class Format(Section):
    """An input format (section 4.2)."""

    name: Literal["segment-pair", "sentence-pair", "full-sentences", "doc-sentences"]
    nsp: bool
    segments: bool
    separators: Literal["document", "sentence"]

    @model_validator(mode="after")
    def pairs(self):
        """Next-sentence prediction and segment embeddings need a pair."""
        if self.name not in PAIR_FORMATS and (self.nsp or self.segments):
            raise ValueError(f"nsp and segments need a pair format, not {self.name}")
        return self


class Model(Section):
    """The encoder (section 2.2)."""

    layers: Positive
    hidden: Positive
    heads: Positive
    ffn: Positive
    positions: Positive
    dropout: Dropout
    attention_dropout: Dropout
    layer_norm_eps: Rate
    init_std: Rate
    vocabulary_multiple: Positive

    @model_validator(mode="after")
    def heads_divide(self):
        """The hidden size splits evenly over the heads."""
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}")
        return self


class Masking(Section):
    """Masked language modelling (sections 2.3 and 4.1)."""

    policy: Literal["dynamic", "static"]
    copies: Positive
    rate: Annotated[float, Field(gt=0, lt=1)]
    mask: Share
    random: Share
    special_tokens: bool

    @model_validator(mode="after")
    def shares(self):
        """The rest of mask and random stays unchanged."""
        if self.mask + self.random > 1:
            raise ValueError(f"mask + random is {self.mask + self.random:g}, expected at most 1")
        return self


class Batch(Section):
    """What one update sees (section 4.3): `sequences` x length real tokens, or rows."""

    sequences: Positive
    unit: Literal["tokens", "sequences"]


class Optimiser(Section):
    """AdamW and its schedule (sections 2.4 and 3.1); `warmup` is a fraction of the steps."""

    learning_rate: Rate
    beta1: Dropout
    beta2: Dropout
    eps: Rate
    weight_decay: Annotated[float, Field(ge=0)]
    decay_all: bool
    clip_norm: Annotated[float, Field(ge=0)]
    warmup: Share
    schedule: Literal["linear"]


class Evaluation(Section):
    """Held-out evaluations along training, evenly spaced, the last one at the end."""

    points: Positive
    samples: Positive


class Cell(Section):
    """One pre-training configuration, a row of a table."""

    data: Annotated[list[str], Field(min_length=1)]
    vocabulary: str
    format: Format
    length: Positive
    model: Model
    masking: Masking
    batch: Batch
    steps: Positive
    optimiser: Optimiser
    evaluation: Evaluation
    finetuning: str

    @model_validator(mode="after")
    def fits(self):
        """The input fits the position table."""
        if self.length > self.model.positions:
            raise ValueError(f"length {self.length} exceeds model.positions {self.model.positions}")
        return self


class Task(Section):
    """An end task: where its data lie and how it is cast (sections 3.3 and 5)."""

    source: Source
    kind: Literal["classification", "regression", "span", "choice", "ranking", "wsc"]
    texts: Annotated[list[str], Field(min_length=1, max_length=2)] | None = None
    label: str | None = None
    labels: Positive | None = None
    scale: Rate | None = None  # a regression is trained on label / scale
    train: str
    dev: str
    more_dev: dict[str, str] | None = None  # further labelled splits: their metrics are <name>_<m>
    test: dict[str, str] | None = None  # splits without labels, for submissions
    init: str | None = None  # start from the model that was tuned on this task
    train_examples: Positive | None = None
    dev_examples: Positive | None = None
    metrics: Annotated[list[str], Field(min_length=1)]
    stride: Positive | None = None
    question_length: Positive | None = None
    answer_length: Positive | None = None
    answerability: bool | None = None
    mined: Count | None = None  # a ranking's negatives for a question that has none of its own
    candidates: Literal["spacy", "rules"] | None = None  # where a pronoun's candidates come from
    loss: Literal["margin", "cross-entropy"] | None = None
    alpha: Annotated[float, Field(ge=0)] | None = None  # of the margin loss
    beta: Annotated[float, Field(ge=0)] | None = None

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
        if self.kind == "choice":
            return ("accuracy", "middle", "high")
        if self.kind != "span":
            further = [f"{name}_{m}" for name in self.more_dev or {} for m in self.metrics]
            return (*self.metrics, *further)
        more = ("best_f1", "best_em", "best_threshold", *SPAN_PARTS) if self.answerability else ()
        return ("f1", "em", *more)

    @property
    def splits(self) -> list[str]:
        """All splits that it reads, each once."""
        further = [*(self.more_dev or {}).values(), *(self.test or {}).values()]
        return list(dict.fromkeys([self.train, self.dev, *further]))


class Grid(Section):
    """Settings to choose from, by the median over seeds (section 5.1, table 10)."""

    batch: Annotated[list[Positive], Field(min_length=1)] | None = None
    learning_rate: Annotated[list[Rate], Field(min_length=1)] | None = None

    def points(self) -> list[dict[str, float]]:
        """Every combination, as the keys that it sets."""
        given = self.model_dump(exclude_none=True)
        return [dict(zip(given, values, strict=True)) for values in product(*given.values())]


class Finetuning(Section):
    """Settings of one fine-tuning (protocol of the BERT paper, or Table 10)."""

    batch: Positive
    learning_rate: Rate
    epochs: Positive
    warmup: Share
    weight_decay: Annotated[float, Field(ge=0)]
    beta2: Dropout
    eps: Rate
    dropout: Dropout
    length: Positive
    separators: Literal[1, 2]
    early_stopping: bool = False  # score the epoch that is best on the development split
    grid: Grid | None = None

    def settings(self) -> dict[str, "Finetuning"]:
        """The settings to train, by name: the points of the grid, or "" for these alone."""
        if self.grid is None:
            return {"": self}
        return {
            "-".join(f"{key.replace('_', '-')}-{value:g}" for key, value in point.items()): (
                self.model_copy(update={**point, "grid": None})
            )
            for point in self.grid.points()
        }


class SeedPlan(Section):
    """Pre-training seeds (replicates) and the fine-tuning seeds of each.

    With `finetuning: own` every replicate is a full one: a pre-training and a fine-tuning seed.
    """

    pretraining: Seeds
    finetuning: Seeds | Literal["own"]

    def finetuning_of(self, pretraining: int) -> list[int]:
        """Fine-tuning seeds of a replicate; `own`: one, the replicate's own number."""
        return [pretraining] if self.finetuning == "own" else list(self.finetuning)


class Resources(Section):
    """What a job asks of a cluster: memory in MB, wall-clock in minutes, GPUs, partition."""

    mem_mb: Positive
    runtime: Positive
    gpu: Count = 0
    slurm_partition: str | None = None


class TextExecution(Section):
    """Execution of the stages before training: processor threads and what a cluster is asked."""

    threads: Positive
    resources: Resources

    @property
    def cores(self) -> int:
        """Processor cores of a job."""
        return self.threads


class Execution(Section):
    """How fast, never what: changing anything here re-runs nothing."""

    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16", "fp16"]
    mode: Literal["exact", "fast"]
    compile: bool
    micro_batch_tokens: Positive
    threads: Positive
    processes: Positive
    workers: Count
    checkpoint_minutes: Rate
    tensorboard: bool
    resources: Resources

    @property
    def cores(self) -> int:
        """Processor cores of a job: the threads of all its processes."""
        return self.threads * self.processes


class ExecutionPlan(Section):
    """The execution of each stage."""

    text: TextExecution
    pretrain: Execution
    finetune: Execution


class StudyFile(Section):
    """The whole study at one scale: `study.yaml` merged with `scales/<scale>.yaml`."""

    about: str
    heldout_fraction: Annotated[float, Field(gt=0, lt=0.5)]
    splitter: Literal["sentencex"]
    corpora: dict[str, Corpus]
    vocabularies: dict[str, Vocabulary]
    tasks: dict[str, Task]
    finetuning: dict[str, dict[str, Finetuning]]
    cells: dict[str, Cell]
    families: dict[str, Family] = Field(default_factory=dict)
    tables: dict[str, Table]
    hyperparameter_tables: dict[str, HyperparameterTable] = Field(default_factory=dict)
    seeds: SeedPlan
    execution: ExecutionPlan

    def row_cells(self, row: Row) -> list[str]:
        """The cells that a row shows or chooses from."""
        if row.family:
            return list(self.families[row.family].members.values())
        return [row.cell] if row.cell else []

    @cached_property
    def shown(self) -> dict[str, list[str]]:
        """The tasks that tables show of each cell, in the tables' order."""
        found: dict[str, list[str]] = {}
        for table in self.tables.values():
            for row in table.rows:
                for cell in self.row_cells(row):
                    tasks = [row.task_of(column) for column in table.score_columns]
                    found[cell] = list(dict.fromkeys(found.get(cell, []) + tasks))
        return found

    def cell_tasks(self, cell: str) -> list[str]:
        """The tasks that a cell is fine-tuned on: those that tables show of it, or all if none
        does; before each the task that it starts from.
        """
        tasks = self.shown.get(cell) or list(self.tasks)
        chain = [name for task in tasks for name in (self.tasks[task].init, task) if name]
        return list(dict.fromkeys(chain))
