"""A cell, one pre-training configuration: its sections, and families of cells (sections 2 to 4).

In: the cells of `config/`, written out in full (`study.deltas`). A key that no class declares is an
error, so no key can be written that no code reads.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from study.fields import (
    LARGEST,
    AboveZero,
    AtLeastZero,
    Count,
    Fraction,
    Maybe,
    NonEmpty,
    Omitted,
    Positive,
    Section,
    Seed,
    Share,
    Size,
    doc,
)
from study.formats import FORMATS

SHORTEST = 8  # tokens of an input: a frame and a few
Length = Annotated[int, Field(ge=SHORTEST, le=LARGEST)]
if TYPE_CHECKING:  # what is listed at run time
    FormatName = str
else:
    FormatName = Literal[tuple(FORMATS)]
Part = Literal["mlm", "nsp", "segments"]  # of a network, that another may lack


class Format(Section):
    """An input format (section 4.2)."""

    name: FormatName = doc("how text is cut into inputs")
    nsp: bool = doc("train next-sentence prediction too")
    segments: bool = doc("add segment embeddings")
    separators: Literal["document", "sentence"] = doc("what they stand between inside an input")
    negatives: Omitted[Literal["any", "corpus"]] = doc("origin of a random second part", "any")

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

    layers: Annotated[int, Field(gt=0, le=10_000)] = doc("Transformer layers")
    hidden: Size = doc("width of the hidden states")
    heads: Size = doc("attention heads, among which the width is split")
    ffn: Size = doc("width inside the feed-forward networks")
    positions: Size = doc("rows of the table of positions, the longest input")
    dropout: Fraction = doc("of embeddings and hidden states")
    attention_dropout: Fraction = doc("of attention weights")
    layer_norm_eps: AboveZero = doc("epsilon of LayerNorm")
    init_std: AboveZero = doc("standard deviation of the first weights")
    position_init: Omitted[Literal["normal", "sinusoidal"]] = doc(
        "the first position table: normal, as all weights; sinusoidal, of twice their deviation",
        "normal",
    )
    vocabulary_multiple: Size = doc(
        "rows of the embedding are a multiple of it; filler rows are never drawn"
    )

    @model_validator(mode="after")
    def heads_divide(self):
        """The hidden size splits evenly over the heads."""
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}")
        return self

    def word_rows(self, vocabulary_size: int) -> int:
        """Rows of the word table: the vocabulary's size rounded up to `vocabulary_multiple`."""
        return -(-vocabulary_size // self.vocabulary_multiple) * self.vocabulary_multiple


class Masking(Section):
    """Masked language modelling (sections 2.3 and 4.1)."""

    policy: Literal["dynamic", "static"] = doc(
        "dynamic: masks anew at each pass; static: so many copies, in turn"
    )
    unit: Omitted[Literal["token", "word"]] = doc(
        "what is chosen: single tokens, or words with all their pieces", "token"
    )
    copies: Maybe[Positive] = doc("of a static mask", None)
    rate: Annotated[float, Field(gt=0, lt=1)] = doc("share of an input's tokens that are predicted")
    mask: Share = doc("share of these that become [MASK]")
    random: Share = doc("share of these that become a random token; the rest stays")
    special_tokens: bool = doc("whether [CLS] and [SEP] may be masked")

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

    sequences: Positive = doc("inputs of an update, or what makes its number of tokens")
    unit: Literal["tokens", "sequences"] = doc(
        "tokens: an update has sequences x length real tokens; sequences: so many inputs"
    )


class Optimiser(Section):
    """The optimiser and its schedule (sections 2.4 and 3.1); `warmup` is a fraction of the steps.

    Its names are the modules of model/training/optimisers/.
    """

    name: Omitted[Literal["adamw", "lamb"]] = doc("AdamW, or LAMB for large batches", "adamw")
    learning_rate: AboveZero = doc("at the peak, after the warm-up")
    beta1: Fraction = doc("decay of the first moment")
    beta2: Fraction = doc("decay of the second moment")
    eps: AboveZero = doc("epsilon below the second moment's root")
    weight_decay: AtLeastZero = doc("decoupled from the gradient")
    decay_all: bool = doc("whether biases and LayerNorm decay too")
    clip_norm: AtLeastZero = doc("longest norm of a gradient; 0: any")
    warmup: Share = doc("share of the steps in which the rate rises")
    schedule: Literal["linear"] = doc("how the rate falls after the warm-up, to 0", "linear")

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
        }
        return cls(**{**usual, **chosen})


class Evaluation(Section):
    """Held-out evaluations along training, evenly spaced, the last one at the end."""

    points: Positive = doc("how many, evenly spaced, the last one at the end")
    samples: Positive = doc("held-out inputs of each")


class Start(Section):
    """What a cell starts from instead of random weights: those of `weights`, or of another cell.

    Only weights are taken over; the optimiser, its schedule and the order of the data begin anew.
    """

    weights: Maybe[str] = doc("one of `weights`", None)
    cell: Maybe[str] = doc("another cell: replicate by replicate its last weights", None)
    fresh: Omitted[list[Part]] = doc("parts that start from random weights all the same", [])

    @model_validator(mode="after")
    def one_place(self):
        """Either of the two; parts in one order, for equal recipes have equal keys."""
        if (self.weights is None) == (self.cell is None):
            raise ValueError("expected either weights or cell")
        if self.fresh != sorted(set(self.fresh)):
            raise ValueError(f"fresh: expected {sorted(set(self.fresh))}, found {self.fresh}")
        return self


class Cell(Section):
    """One pre-training configuration, a row of a table."""

    data: NonEmpty[str] = doc("corpora, concatenated")
    vocabulary: str = doc("one of `vocabularies`")
    format: Format = doc("input format (section 4.2)")
    length: Length = doc("tokens of an input, special tokens and all")
    model: Model = doc("the encoder")
    masking: Masking = doc("which tokens are predicted")
    batch: Batch = doc("what an update sees")
    start: Maybe[Start] = doc("weights to start from, instead of random ones", None)
    steps: Count = doc("updates; 0: the weights that it starts from, as they are")
    optimiser: Optimiser = doc("how weights are updated")
    evaluation: Evaluation = doc("held-out evaluations along training")
    finetuning: str = doc("one of the recipes of `finetuning`")
    first_seed: Omitted[Seed] = doc("its pre-training seeds are the study's from this one on", 0)

    @model_validator(mode="after")
    def fits(self):
        """The input fits the position table."""
        if self.length > self.model.positions:
            raise ValueError(f"length {self.length} exceeds model.positions {self.model.positions}")
        return self

    def samples_name(self, seed: int) -> str:
        """Folder name of its samples, which cells may share: `<format>-512/all-seeds`."""
        separators = "" if self.format.separators == "document" else f"-{self.format.separators}"
        negatives = "" if self.format.negatives == "any" else f"-negatives-{self.format.negatives}"
        seeds = f"seed-{seed}" if self.format.pairs else "all-seeds"
        return f"{self.format.name}-{self.length}{separators}{negatives}/{seeds}"


class Family(Section):
    """Cells that differ in the peak learning rate alone (table 3).

    Where a family stands in a table, its member of the lowest held-out perplexity is shown.
    """

    cell: str = doc("the member that says everything but the rates")
    learning_rates: list[AboveZero] = doc("peak rates of its members, the cell's own among them")
    members: SkipJsonSchema[dict[float, str]] = doc("rate -> cell, filled by `study.deltas`", {})
