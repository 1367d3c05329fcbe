"""What every part of the study file is made of: strict mappings, ranges of numbers, sources."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0)]
Dropout = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A mapping in which an undeclared key is an error and 1 is not true."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
