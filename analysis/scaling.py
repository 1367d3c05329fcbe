"""In what a scale differs from the published sizes, read off the configuration.

In: a study at its scale and the tables that are shown. Out: a line for every key of what these
tables show that is another one at scale `paper`: the key, our values, the paper's.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from analysis.notes import flat
from analysis.render import DASH, value_text
from study.graph import Study
from study.read import load_study_file
from study.study_file import StudyFile

PAPER = "paper"
MOST = 4  # values that are listed; of more numbers the smallest and the largest
# What is compared: of cells all but what names other sections or follows from another key.
NOT_OF_CELLS = {"data", "vocabulary", "finetuning", "evaluation"}
SIZES = {
    "corpora": ("documents", "bytes"),
    "vocabularies": ("size", "characters"),
    "tasks": ("train_examples", "dev_examples"),
}


def scaling_lines(study: Study, tables: Iterable[str]) -> list[tuple[str, str, str]]:
    """`("cells: length", "32", "512")` for every key; none at scale `paper` or where there is none.

    Of a family the cell counts that its members are made of.
    """
    scales = Path(study.study_path).with_name("scales")
    if study.scale == PAPER or not (scales / f"{PAPER}.yaml").is_file():
        return []
    paper = load_study_file(PAPER, study.study_path)
    ours, theirs = (sections(config, tables) for config in (study.config, paper))
    lines = []
    for section, here in ours.items():
        there = theirs[section]
        for key in dict.fromkeys(key for values in (*here, *there) for key in values):
            both = [[values.get(key) for values in side] for side in (here, there)]
            if both[0] != both[1]:
                lines.append((f"{section}: {key}", *map(values_text, both)))
    return lines


def sections(config: StudyFile, tables: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """What the tables show of each section, flat, in an order that is the same at every scale."""
    shown = [config.tables[name] for name in tables if name in config.tables]
    rows = [row for table in shown for row in table.rows]
    names = [config.families[row.family].cell if row.family else row.cell for row in rows]
    cells = [config.cells[name] for name in dict.fromkeys(names) if name]
    tasks = dict.fromkeys(
        row.task_of(column)
        for table in shown
        for row in table.rows
        for column in table.score_columns
    )
    recipes = dict.fromkeys(cell.finetuning for cell in cells)
    settings = [config.finetuning[recipe][task] for recipe in recipes for task in tasks]
    return {
        "cells": [flat(cell.model_dump(exclude=NOT_OF_CELLS)) for cell in cells],
        "corpora": sizes(config, "corpora", (name for cell in cells for name in cell.data)),
        "vocabularies": sizes(config, "vocabularies", (cell.vocabulary for cell in cells)),
        "tasks": sizes(config, "tasks", tasks),
        "finetuning": [flat(setting.model_dump(exclude={"grid"})) for setting in settings],
    }


def sizes(config: StudyFile, section: str, names: Iterable[str]) -> list[dict[str, Any]]:
    """Where these of a section come from, and how much of them is taken."""
    specs = [getattr(config, section)[name] for name in dict.fromkeys(names)]
    return [
        {"source": source_text(spec)} | {key: getattr(spec, key) for key in SIZES[section]}
        for spec in specs
    ]


def source_text(spec: Any) -> str | None:
    """A repository of the hub, `generated` or `folder`; None of what has no source."""
    source = getattr(spec, "source", None)
    return source and (source.repo or ("generated" if source.generated else "folder"))


def values_text(values: list) -> str:
    """`32`, `2; 3`, `400 to 2,000`: the distinct values in their order; a dash where none is."""
    given = [value for value in values if value is not None]
    distinct = list(dict.fromkeys(map(value_text, given)))
    if len(distinct) > MOST and all(isinstance(value, (int, float)) for value in given):
        return f"{value_text(min(given))} to {value_text(max(given))}"
    return "; ".join(distinct) or DASH
