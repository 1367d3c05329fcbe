"""What pre-training reads: corpora and the vocabularies trained on them (sections 3.2 and 4.4)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from study.fields import Place, Positive, Section, Source

FEWEST_BYTE_LEVEL = 261  # all bytes and five special tokens


class PlannedCorpus(Section):
    """The size of a whole corpus, for plans until its sentences are there; part of no recipe."""

    documents: Positive
    characters: Annotated[int, Field(gt=0, le=10**15)]


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
