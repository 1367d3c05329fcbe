"""The recipe of each stage as a class: what a stage is told, and what `--recipe` must hold.

The study's own recipes are made in `study.jobs` from a checked configuration, of whose classes
these consist. One that a person wrote or changed by hand is held to the same types and ranges, and
a field that no stage reads is refused: it would give an equal result another key.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from study.cells import (
    Batch,
    Evaluation,
    Format,
    FormatName,
    Length,
    Masking,
    Model,
    Optimiser,
    Part,
)
from study.errors import StudyError
from study.execution import MeasuredExecution
from study.fields import (
    AboveZero,
    Count,
    Maybe,
    Name,
    Omitted,
    Place,
    Positive,
    Revision,
    Section,
    Seed,
    Seeds,
)
from study.formats import FORMATS
from study.messages import parse_option
from study.minimal_pairs import PairColumn, WithinWords
from study.starts import FILES
from study.tasks import Finetuning, Task, shortest_row
from study.texts import Boundary, Splitter

Key = Annotated[str, Field(min_length=1)]


def _out_of_place(name: str, wanted: bool, what: str) -> str:
    """The line for a field that only some recipes of a stage have."""
    return f"field {name}: {'missing, needed' if wanted else 'unknown'} for {what}"


class Recipe(Section):
    """What every recipe has."""

    stage: str
    version: Positive


class SourceRecipe(Recipe):
    """Files: those of a repository, of a folder by their digests, or generated ones."""

    repo: Place | None = None
    config: Place | None = None
    revision: Revision | None = None
    files: dict[Place, list[Annotated[list[str], Field(min_length=2, max_length=2)]]] | None = None
    generated: Name | None = None
    generator: Omitted[Count | None] = None
    seed: Count | None = None
    sizes: dict[Place, Positive] | None = None
    splits: Annotated[list[Place], Field(min_length=1)]
    boundary: Omitted[Boundary] = "file"

    @model_validator(mode="after")
    def one_place(self):
        """Exactly one of the three, with its own fields."""
        given = self.model_fields_set - {"stage", "version", "splits", "revision", "boundary"}
        ways = ({"repo"}, {"repo", "config"}, {"files"})
        generated = {"generated", "generator", "seed", "sizes"}
        if given not in (*ways, generated) or (self.revision and not self.repo):
            raise ValueError(
                "expected either repo, config and revision, or files, or generated, generator, "
                "seed and sizes"
            )
        for split in self.splits:
            for name in ("files", "sizes"):
                if getattr(self, name) is not None and split not in getattr(self, name):
                    raise ValueError(f"{name} lacks the split {split}")
        return self


class WeightsRecipe(Recipe):
    """A model of transformers' layout: that of a repository, or files by their digests."""

    repo: Place | None = None
    revision: Revision | None = None
    files: dict[Place, Key] | None = None

    @model_validator(mode="after")
    def one_place(self):
        """Exactly one of the two."""
        given = self.model_fields_set - {"stage", "version"}
        if given not in ({"repo", "revision"}, {"files"}):
            raise ValueError("expected either repo and revision, or files")
        for name in FILES if self.files is not None else ():
            if name not in (self.files or ()):
                raise ValueError(f"files lacks {name}")
        return self


class SentencesRecipe(Recipe):
    """Sentences of a shard."""

    source: Key
    corpus: Name
    column: str
    split: Place
    language: str
    documents: Positive | None
    bytes: Omitted[Positive | None] = None
    shard: Count
    shards: Positive
    splitter: Splitter
    heldout_fraction: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def is_one_of_its_shards(self):
        """The corpus has such a shard."""
        if self.shard >= self.shards:
            raise ValueError(f"field shard: {self.shard}, expected 0 to {self.shards - 1}")
        return self


class VocabularyRecipe(Recipe):
    """A vocabulary to train, or what a tokenizer.json is."""

    kind: Literal["wordpiece", "byte-bpe", "file"]
    size: Positive | None = None
    lowercase: bool | None = None
    characters: Positive | None = None
    sentences: list[Key] | None = None
    sha256: Key | None = None
    weights: Key | None = None

    @model_validator(mode="after")
    def of_kind(self):
        """Each kind has its own fields; lower case is of words, and a file tells its own size."""
        trained = {"size", "characters", "sentences"}
        file = {"sha256"} if self.weights is None else {"weights", "size"}
        needed = {"file": file, "wordpiece": {*trained, "lowercase"}}.get(self.kind, trained)
        may = needed | {"file": {"size"}, "byte-bpe": {"lowercase"}}.get(self.kind, set())
        for name in ("size", "lowercase", "characters", "sentences", "sha256", "weights"):
            given = name in self.model_fields_set
            if given != (name in needed) and name not in may - needed:
                raise ValueError(_out_of_place(name, not given, f"kind {self.kind}"))
        return self


class TokensRecipe(Recipe):
    """Token ids of a shard."""

    sentences: Key
    vocabulary: Key


class StoreRecipe(Recipe):
    """A mixture of corpora."""

    tokens: Annotated[list[Key], Field(min_length=1)]
    corpora: Annotated[list[Name], Field(min_length=1)]
    vocabulary: Key

    @model_validator(mode="after")
    def one_corpus_each(self):
        """Each shard is of a corpus."""
        if len(self.corpora) != len(self.tokens):
            raise ValueError(
                f"field corpora: {len(self.corpora)} entries, but field tokens has "
                f"{len(self.tokens)}"
            )
        return self


class SamplesRecipe(Recipe):
    """Index arrays of a format."""

    store: Key
    format: FormatName
    length: Length
    seed: Omitted[Seed | None] = None
    negatives: Omitted[Literal["any", "corpus"]] = "any"
    separators: Omitted[Literal["document", "sentence"] | None] = None

    @model_validator(mode="after")
    def of_format(self):
        """Pairs are drawn with a seed; the other formats have separators."""
        pairs = FORMATS[self.format].pairs
        needed, own = ("seed", {"seed", "negatives"}) if pairs else ("separators", {"separators"})
        if getattr(self, needed) is None:
            raise ValueError(_out_of_place(needed, True, f"format {self.format}"))
        for name in sorted({"seed", "negatives", "separators"} & self.model_fields_set - own):
            raise ValueError(_out_of_place(name, False, f"format {self.format}"))
        return self


class RecipeFormat(Format):
    """The format of a pre-training, whose samples have the rest."""

    # What is None here is the samples' own: a narrower type, which mypy refuses in a subclass.
    separators: None = None  # type: ignore[assignment]
    negatives: Literal["any"] = "any"
    length: Length


class RecipeMasking(Masking):
    """Masking; only static masking has copies."""

    @model_validator(mode="after")
    def of_policy(self):
        """Copies that are not drawn would give equal runs two keys."""
        if self.policy == "dynamic" and "copies" in self.model_fields_set:
            raise ValueError("policy dynamic has no copies")
        return self


class PretrainRecipe(Recipe):
    """One pre-training."""

    store: Key
    samples: Key
    vocabulary: Key
    format: RecipeFormat
    model: Model
    masking: RecipeMasking
    batch: Batch
    steps: Count
    optimiser: Optimiser
    evaluation: Evaluation
    seed: Seed
    weights: Omitted[Key | None] = None
    start: Omitted[Key | None] = None
    fresh: Omitted[list[Part]] = Field(default=[])

    @model_validator(mode="after")
    def one_start(self):
        """Of one place; what starts from random weights is all fresh."""
        if self.weights is not None and self.start is not None:
            raise ValueError("expected weights or start, not both")
        if self.fresh and self.weights is None and self.start is None:
            raise ValueError(_out_of_place("fresh", False, "random weights"))
        return self


class RecipeTask(Task):
    """A task without the places of its data."""

    source: None = None  # type: ignore[assignment]
    planned: None = None
    name: Name
    separators: Literal[1, 2]


class FeaturesRecipe(Recipe):
    """A task's rows."""

    source: Key
    vocabulary: Key
    task: RecipeTask
    length: Positive

    @model_validator(mode="after")
    def with_room(self):
        """Rows have room for what the task puts into them."""
        needed = shortest_row(self.task.question_length, self.task.separators)
        if self.length < needed:
            raise ValueError(f"length: {self.length} tokens are too few, it needs {needed} or more")
        return self


class RecipeSettings(Finetuning):
    """Settings of a fine-tuning, whose features have the rest."""

    length: None = None  # type: ignore[assignment]
    separators: None = None  # type: ignore[assignment]
    keep_weights: Literal[False] = False
    grid: None = None


class FinetuneRecipe(Recipe):
    """All fine-tuning seeds of a pre-training."""

    pretrain: Key
    features: Key
    vocabulary: Key
    task: RecipeTask
    settings: RecipeSettings
    seeds: Seeds
    init: Omitted[list[Key] | None] = None
    keep_weights: Omitted[bool] = False


class MinimalPairsRecipe(Recipe):
    """The scores of minimal pairs by a pre-trained model."""

    pretrain: Key
    source: Key
    vocabulary: Key
    within_words: WithinWords
    columns: Maybe[dict[PairColumn, str]] = None


class Member(Section):
    """A member of a family."""

    learning_rate: AboveZero
    pretrain: Annotated[list[Key], Field(min_length=1)]


class SelectionRecipe(Recipe):
    """The choice of a family's member."""

    by: Literal["heldout_perplexity"]
    members: Annotated[dict[str, Member], Field(min_length=1)]


class Measured(Section):
    """The part of a format that decides how fast a network trains."""

    nsp: bool
    segments: bool
    length: Length


class ThroughputRecipe(Recipe):
    """A measurement of training speed, with the execution that it holds for."""

    vocabulary_size: Positive
    format: Measured
    model: Model
    rate: Annotated[float, Field(gt=0, lt=1)]
    sequences: Positive
    optimiser: Optimiser
    execution: MeasuredExecution


# A recipe leaves out what it has not, but for these.
MAY_BE_NULL = ("documents", "characters")

RECIPES: dict[str, type[Recipe]] = {
    "source": SourceRecipe,
    "weights": WeightsRecipe,
    "sentences": SentencesRecipe,
    "vocabulary": VocabularyRecipe,
    "tokens": TokensRecipe,
    "store": StoreRecipe,
    "samples": SamplesRecipe,
    "pretrain": PretrainRecipe,
    "selection": SelectionRecipe,
    "features": FeaturesRecipe,
    "finetune": FinetuneRecipe,
    "minimal_pairs": MinimalPairsRecipe,
    "throughput": ThroughputRecipe,
}


def parse_recipe(recipe: dict, stage: str) -> Recipe:
    """A `stage`'s recipe as its class; StudyError names the first field that is wrong."""
    if recipe.get("stage") != stage:
        raise StudyError(f"--recipe: field stage: expected {stage}, found {recipe.get('stage')}")
    for name in _nulls(recipe):
        if name not in MAY_BE_NULL:
            raise StudyError(f"--recipe: field {name}: expected a value, found null")
    return parse_option(recipe, RECIPES[stage], "--recipe")


def _nulls(value: dict, where: str = "") -> Iterator[str]:
    """The dotted names of the nulls in a recipe."""
    for name, inner in value.items():
        if inner is None:
            yield f"{where}{name}"
        elif isinstance(inner, dict):
            yield from _nulls(inner, f"{where}{name}.")
