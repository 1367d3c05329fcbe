"""What pre-training reads: corpora and the vocabularies trained on them (sections 3.2 and 4.4)."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from study.fields import HeldoutFraction, Path, Place, Positive, Section, Source, doc

Boundary = Literal["file", "blank-line", "line", "none"]  # of documents in .txt files
Splitter = Literal["sentencex", "lines"]
Language = Annotated[str, Field(pattern="^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]  # a code, as zh-classical
FEWEST_BYTE_LEVEL = 261  # all bytes and five special tokens


class PlannedCorpus(Section):
    """The size of a whole corpus, for plans until its sentences are there; part of no recipe."""

    documents: Positive = doc("how many it has")
    characters: Annotated[int, Field(gt=0, le=10**15)] = doc("of all its documents")


class Corpus(Section):
    """A pre-training corpus (section 3.2)."""

    source: Source = doc("where its files come from")
    split: Place = doc("the split that is read", "train")
    column: str = doc("the column that holds the text", "text")
    language: Language = doc("code of the text's language, for the sentence splitter", "en")
    boundary: Boundary = doc(
        "what ends a document in .txt files: file (each is one), blank-line, line, or none (pieces "
        "of about 10,000 characters that end with a paragraph)",
        "file",
    )
    splitter: Splitter | None = doc("how its sentences are found, where not as the study's", None)
    documents: Positive | None = doc("the first ones only", None)
    bytes: Positive | None = doc("the first documents of so much text (UTF-8) only", None)
    heldout_fraction: HeldoutFraction | None = doc(
        "share of its documents held out, where not the study's: few long ones need a larger", None
    )
    shards: Annotated[int, Field(gt=0, le=1000)] = doc("parts, each with jobs of its own", 1)
    planned: PlannedCorpus | None = doc("its size for plans, until its sentences are there", None)

    @model_validator(mode="after")
    def has_text_files(self):
        """Only .txt files of one's own can be divided."""
        if self.boundary != "file" and not self.source.own:
            raise ValueError("boundary is of .txt files, of a source with folder or file")
        return self

    @property
    def splits(self) -> list[str]:
        """All splits that it reads, as of a task: one."""
        return [self.split]


class Vocabulary(Section):
    """A subword vocabulary (section 4.4), trained on the study's corpora or read from a file."""

    kind: Literal["wordpiece", "byte-bpe", "file"] = doc("how it is trained; file: already there")
    size: Annotated[int, Field(gt=0, le=10**7)] | None = doc("entries, special tokens too", None)
    lowercase: bool | None = doc("whether letters become lower case and lose accents", None)
    corpora: list[str] | None = doc("those that it is trained on; else those of `base`", None)
    characters: Positive | None = doc("how much of them is read", None)
    path: Path | None = doc("of kind file: the tokenizer.json", None)
    weights: str | None = doc("of kind file: one of `weights`, whose tokenizer.json it is", None)

    @model_validator(mode="after")
    def complete(self):
        """A trained vocabulary needs size and corpora, one that is there its place."""
        if self.kind == "file" and (self.path is None) == (self.weights is None):
            raise ValueError(
                "kind file needs path, the tokenizer.json to use, or weights, beside which it lies"
            )
        if self.kind != "file" and (self.size is None or not self.corpora):
            raise ValueError(f"kind {self.kind} needs size and corpora")
        if self.kind == "byte-bpe" and self.size is not None and self.size < FEWEST_BYTE_LEVEL:
            raise ValueError(f"kind byte-bpe needs a size of at least {FEWEST_BYTE_LEVEL}")
        return self


def store_name(data: Sequence[str], vocabulary: str) -> str:
    """Folder name of a token store: `books+wiki.character-30k`."""
    return f"{'+'.join(data)}.{vocabulary}"
