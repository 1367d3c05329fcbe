"""The shape of `config/`: every key of the study, its type and its range.

`study.config` merges the files and validates the result against these models; a key that no model
declares is an error, so no key can be written that no code reads.
"""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from study.layout import Family, HyperparameterColumn, HyperparameterTable, Row, Table
from study.planned import Hardware, PlannedCorpus
from study.section import (
    LARGEST,
    Count,
    Dropout,
    Place,
    Positive,
    Rate,
    Section,
    Share,
    Size,
    Source,
)
from study.tasks import Finetuning, Task


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("the same seed twice")
    return seeds


SHORTEST = 8  # tokens of an input: a frame and a few
MOST_CORES = 1024
Cores = Annotated[int, Field(gt=0, le=MOST_CORES)]
MOST_SEEDS = 100
FEWEST_BYTE_LEVEL = 261  # all bytes and five special tokens
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds = Annotated[list[Seed], Field(min_length=1, max_length=MOST_SEEDS), AfterValidator(_distinct)]
PAIR_FORMATS = ("segment-pair", "sentence-pair")


class Corpus(Section):
    """A pre-training corpus (section 3.2)."""

    source: Source
    split: Place = "train"
    column: str = "text"
    language: str = "en"
    documents: Positive | None = None  # the first ones only
    bytes: Positive | None = None  # the first documents of so much text (UTF-8)
    shards: Annotated[int, Field(gt=0, le=10_000)] = 1
    planned: PlannedCorpus | None = None


class Vocabulary(Section):
    """A subword vocabulary (section 4.4), trained on the study's corpora or read from a file."""

    kind: Literal["wordpiece", "byte-bpe", "file"]
    size: Annotated[int, Field(gt=0, le=10**7)] | None = None
    lowercase: bool | None = None
    corpora: list[str] | None = None
    characters: Positive | None = None
    path: str | None = None

    @model_validator(mode="after")
    def complete(self):
        """A trained vocabulary needs size and corpora, a named one its path."""
        if self.kind == "file" and self.path is None:
            raise ValueError("kind file needs path, the tokenizer.json to use")
        if self.kind != "file" and (self.size is None or not self.corpora):
            raise ValueError(f"kind {self.kind} needs size and corpora")
        if self.kind == "byte-bpe" and self.size < FEWEST_BYTE_LEVEL:
            raise ValueError(f"kind byte-bpe needs a size of at least {FEWEST_BYTE_LEVEL}")
        return self


class Format(Section):
    """An input format (section 4.2)."""

    name: Literal["segment-pair", "sentence-pair", "full-sentences", "doc-sentences"]
    nsp: bool
    segments: bool
    separators: Literal["document", "sentence"]
    negatives: Literal["any", "corpus"] = "any"  # where a random second part may come from

    @model_validator(mode="after")
    def pairs(self):
        """Next-sentence prediction and segment embeddings need a pair."""
        if self.name not in PAIR_FORMATS and (self.nsp or self.segments):
            raise ValueError(f"nsp and segments need a pair format, not {self.name}")
        if self.name not in PAIR_FORMATS and self.negatives != "any":
            raise ValueError(f"negatives needs a pair format, not {self.name}")
        return self


class Model(Section):
    """The encoder (section 2.2)."""

    layers: Annotated[int, Field(gt=0, le=10_000)]
    hidden: Size
    heads: Size
    ffn: Size
    positions: Size
    dropout: Dropout
    attention_dropout: Dropout
    layer_norm_eps: Rate
    init_std: Rate
    vocabulary_multiple: Size

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
    length: Annotated[int, Field(ge=SHORTEST, le=LARGEST)]
    model: Model
    masking: Masking
    batch: Batch
    steps: Count  # 0: random weights, for comparison
    optimiser: Optimiser
    evaluation: Evaluation
    finetuning: str

    @model_validator(mode="after")
    def fits(self):
        """The input fits the position table."""
        if self.length > self.model.positions:
            raise ValueError(f"length {self.length} exceeds model.positions {self.model.positions}")
        return self


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
    slurm_partition: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,-]*$")] | None = None


class TextExecution(Section):
    """Execution of the stages before training: processor threads and what a cluster is asked."""

    threads: Cores
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
    threads: Cores
    processes: Cores
    workers: Annotated[int, Field(ge=0, le=MOST_CORES)]
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
    hardware: Hardware | None = None

    def recipe_of(self, column: HyperparameterColumn) -> Cell | Finetuning:
        """The recipe that a column of a table of hyperparameters shows."""
        if column.cell:
            return self.cells[column.cell]
        return self.finetuning[column.finetuning][column.task]

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
