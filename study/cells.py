"""A cell, one pre-training configuration: its sections, and families of cells (sections 2 to 4).

In: the cells of `config/`, written out in full (`study.deltas`). A key that no class declares is an
error, so no key can be written that no code reads.
"""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from study.fields import (
    LARGEST,
    AboveZero,
    Count,
    Fraction,
    Omitted,
    Positive,
    Section,
    Share,
    Size,
)
from study.formats import FORMATS

SHORTEST = 8  # tokens of an input: a frame and a few
FormatName = Literal[tuple(FORMATS)]


class Format(Section):
    """An input format (section 4.2)."""

    name: FormatName
    nsp: bool
    segments: bool
    separators: Literal["document", "sentence"]
    negatives: Omitted[Literal["any", "corpus"]] = "any"  # where a random second part may come from

    @property
    def pairs(self) -> bool:
        """Whether an input has two parts."""
        return FORMATS[self.name].pairs

    @model_validator(mode="after")
    def needs_pairs(self):
        """Next-sentence prediction and segment embeddings need a pair."""
        if not self.pairs and (self.nsp or self.segments):
            raise ValueError(f"nsp and segments need a pair format, not {self.name}")
        if not self.pairs and self.negatives != "any":
            raise ValueError(f"negatives needs a pair format, not {self.name}")
        return self


class Model(Section):
    """The encoder (section 2.2)."""

    layers: Annotated[int, Field(gt=0, le=10_000)]
    hidden: Size
    heads: Size
    ffn: Size
    positions: Size
    dropout: Fraction
    attention_dropout: Fraction
    layer_norm_eps: AboveZero
    init_std: AboveZero
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
    copies: Omitted[Positive | None] = None  # of a static mask
    rate: Annotated[float, Field(gt=0, lt=1)]
    mask: Share
    random: Share
    special_tokens: bool

    @field_validator("copies")
    @classmethod
    def only_static(cls, copies: int | None, info: ValidationInfo) -> int | None:
        """A dynamic mask has no copies: a number that nothing reads must not split equal runs."""
        return None if info.data.get("policy") == "dynamic" else copies

    @model_validator(mode="after")
    def shares(self):
        """A static mask has copies; the rest of mask and random stays unchanged."""
        if self.policy == "static" and self.copies is None:
            raise ValueError("policy static needs copies")
        if self.mask + self.random > 1:
            raise ValueError(f"mask + random is {self.mask + self.random:g}, expected at most 1")
        return self


class Batch(Section):
    """What one update sees (section 4.3): `sequences` x length real tokens, or rows."""

    sequences: Positive
    unit: Literal["tokens", "sequences"]


class Optimiser(Section):
    """The optimiser and its schedule (sections 2.4 and 3.1); `warmup` is a fraction of the steps.

    Its names are the modules of model/training/optimisers/.
    """

    name: Omitted[Literal["adamw", "lamb"]] = "adamw"
    learning_rate: AboveZero
    beta1: Fraction
    beta2: Fraction
    eps: AboveZero
    weight_decay: Annotated[float, Field(ge=0)]
    decay_all: bool
    clip_norm: Annotated[float, Field(ge=0)]
    warmup: Share
    schedule: Literal["linear"] = "linear"

    @classmethod
    def usual(cls, **chosen) -> "Optimiser":
        """That of section 2.4 in all that is not `chosen`; learning rate and warm-up must be."""
        usual = {
            "beta1": 0.9,
            "beta2": 0.999,
            "eps": 1e-6,
            "weight_decay": 0.01,
            "decay_all": False,
            "clip_norm": 0.0,
            "schedule": "linear",
        }
        return cls(**{**usual, **chosen})


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


class Family(Section):
    """Cells that differ in the peak learning rate alone (table 3).

    `cell` is one of them and says everything else; the loader declares the others, one per rate.
    Where a family stands in a table, its member of the lowest held-out perplexity is shown.
    """

    cell: str
    learning_rates: Annotated[list[AboveZero], Field(min_length=1)]
    members: dict[float, str]  # learning rate -> cell, filled by the loader
