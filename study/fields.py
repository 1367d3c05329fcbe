"""What every part of the study file is made of: strict mappings, ranges of numbers, sources.

A field that is new would give every recipe another key, and train everything again. So it is
declared `Omitted`, with the value that stands for how things were without it:

    unit: Omitted[Literal["token", "word"]] = doc("what is masked at once", "token")

While it has this default, recipes do not hold it (`Section.in_recipe`, `without_defaults`). Its
line of documentation is what editors show, once `study.schema` has written their schema anew.
"""

import pathlib
import re
from collections.abc import Collection
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from study.names import RULE, is_name

LARGEST = 10**12  # what a number of anything may be
# The hub's names: no glob and no step up out of a folder.
HUB_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=-]{0,95}")


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"no name: {RULE}")
    return text


def _place(text: str) -> str:
    parts = text.split("/")
    if len(parts) > 2 or not all(map(HUB_NAME.fullmatch, parts)):
        raise ValueError("expected a name of the hub, or two with / between them")
    return text


def _path(text: str) -> str:
    if not text:
        raise ValueError("expected a path")
    try:
        return str(pathlib.Path(text).expanduser())
    except RuntimeError:
        raise ValueError("no such home folder") from None


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("the same seed twice")
    return seeds


Name = Annotated[str, AfterValidator(_name)]
Place = Annotated[str, AfterValidator(_place)]  # `<org>/<name>`, `<config>/<split>`, or one of them
Path = Annotated[str, AfterValidator(_path)]  # `~` is the home folder
# A commit, a tag, or the hub's own `refs/convert/parquet`.
Revision = Annotated[str, Field(pattern=f"^{HUB_NAME.pattern}(/{HUB_NAME.pattern}){{0,3}}$")]
Positive = Annotated[int, Field(gt=0, le=LARGEST)]
Size = Annotated[int, Field(gt=0, le=10**6)]  # of a part of a network
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Share = Annotated[float, Field(ge=0, le=1)]
AboveZero = Annotated[float, Field(gt=0)]
AtLeastZero = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
HeldoutFraction = Annotated[float, Field(gt=0, lt=0.5)]  # of a corpus's documents
MOST_SEEDS = 100
BEYOND_SEEDS = 2**32
Seed = Annotated[int, Field(ge=0, lt=BEYOND_SEEDS)]
Seeds = Annotated[list[Seed], Field(min_length=1, max_length=MOST_SEEDS), AfterValidator(_distinct)]
OMITTED = object()  # marks a field that recipes leave out while it has its default
T = TypeVar("T")
Omitted = Annotated[T, OMITTED]
Maybe = Annotated[T | None, OMITTED]  # for a field whose default is None
NonEmpty = Annotated[list[T], Field(min_length=1)]


def given(value: T | None) -> T:
    """A field that may be absent, where the checks of the study file have seen that it is not."""
    assert value is not None
    return value


def doc(text: str, default: Any = ...) -> Any:
    """A field's line of documentation, which the schema shows, and its default if it has one."""
    return Field(default, description=text)


class Section(BaseModel):
    """A mapping in which an undeclared key is an error, 1 is not true and numbers are finite."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    def in_recipe(self, without: Collection[str] = ()) -> dict[str, Any]:
        """Its fields as a recipe holds them, but for those named in `without`."""
        fields = {name: value for name, value in self if name not in without}
        plain = {n: v.in_recipe() if isinstance(v, Section) else v for n, v in fields.items()}
        return without_defaults(type(self), plain)


def without_defaults(section: type[Section], fields: dict[str, Any]) -> dict[str, Any]:
    """These fields of a section, but for those that are declared `Omitted` and at their default."""
    declared = section.model_fields
    return {
        name: value
        for name, value in fields.items()
        if name not in declared
        or OMITTED not in declared[name].metadata
        or value != declared[name].default
    }


# The fields of a source that say one thing: a hub data set, files of one's own, or what language/
# writes.
WAYS = ({"repo", "config", "revision"}, {"folder"}, {"file"}, {"generated", "seed", "sizes"})


class Source(Section):
    """Where files come from: a hub data set at a pinned revision, a folder, a file, the generator.

    Without a revision the newest of the hub is taken, and its run records which that was. A folder
    is what its files are, wherever it lies (`study.places`), and so is a file. A generated source
    has the world's seed and a size per split: characters of a corpus, rows of a task.
    """

    repo: Maybe[Place] = doc("repository of the hub, `<org>/<name>`", None)
    config: Maybe[Place] = doc(
        "its configuration, a folder of it; needless where splits name theirs", None
    )
    revision: Maybe[Revision] = doc(
        "commit, tag or branch; without it the newest, whose commit is recorded", None
    )
    folder: Maybe[Path] = doc(
        "a folder of .txt, .jsonl, .parquet, .csv or .tsv files of your own", None
    )
    file: Maybe[Path] = doc("one such file, the only split", None)
    generated: Maybe[Name] = doc("text of language/, by the name of its corpus or task", None)
    seed: Maybe[Count] = doc("the generated world", None)
    sizes: Maybe[dict[Place, Positive]] = doc(
        "by split: characters of a corpus, rows of a task", None
    )

    @model_validator(mode="after")
    def one_place(self):
        """Exactly one of them, with its own fields; config and revision may be left open."""
        given = set(self.in_recipe())
        if given not in WAYS and not {"repo"} <= given <= WAYS[0]:
            raise ValueError(
                "expected either repo, config and revision, or folder, or file, or generated, seed "
                "and sizes"
            )
        return self

    @property
    def own(self) -> str | None:
        """The folder or the file of one's own, if it is one."""
        return self.folder or self.file
