"""What `analysis.plan` assumes where nothing is there yet; of no influence on any recipe."""

from typing import Annotated

from pydantic import Field

from study.section import Positive, Rate, Section


class PlannedCorpus(Section):
    """The size of a whole corpus, for plans until its sentences are there; part of no recipe."""

    documents: Positive
    characters: Annotated[int, Field(gt=0, le=10**15)]


class PlannedTask(Section):
    """A task's examples and mean tokens per row, for plans until its features are there."""

    train: Positive
    dev: Positive
    row_tokens: Rate


class Hardware(Section):
    """What plans assume of one device: the useful FLOP/s it reaches, and a job's start-up."""

    name: str
    flops_per_second: Annotated[float, Field(gt=0)]
    seconds_per_job: Annotated[float, Field(ge=0)] = 0
