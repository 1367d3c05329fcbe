"""In what a scale differs from the published sizes, read off the configuration.

In: a study at its scale and the tables that are shown. Out: a line for every key of what these
tables show that is another one at scale `paper`: the key, our values, the paper's.
"""

from collections.abc import Iterable
from typing import Any

from analysis.notes import flat
from analysis.render import DASH, value_text
from study.cells import Cell
from study.errors import StudyError
from study.graph import Study
from study.read import load_study_file, study_paths
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
    paper = paper_of(study)
    if not paper:
        return []
    names = shown_names(study.config, tables)
    ours, theirs = (sections(config, names) for config in (study.config, paper))
    lines = []
    for section, here in ours.items():
        there = theirs[section]
        for key in dict.fromkeys(key for values in (*here, *there) for key in values):
            both = [[values.get(key) for values in side] for side in (here, there)]
            if both[0] != both[1]:
                lines.append((f"{section}: {key}", values_text(both[0]), values_text(both[1])))
    return lines


def paper_of(study: Study) -> StudyFile | None:
    """The study at scale `paper`; None at that scale and where there is none.

    One that is like another may hold only at the sizes it is made for; then it is that other one.
    """
    *_, origin = study_paths(study.study_path)
    if study.scale == PAPER or not (origin.parent / "scales" / f"{PAPER}.yaml").is_file():
        return None
    try:
        return load_study_file(PAPER, study.study_path)
    except StudyError:
        return load_study_file(PAPER, origin)


def token_share(study: Study, tables: Iterable[str]) -> float | None:
    """Tokens that the pre-trainings of these tables see, by those of the paper; None as above."""
    paper = paper_of(study)
    cells = shown_names(study.config, tables)["cells"]
    if not paper or not cells:
        return None
    cells = [name for name in cells if name in paper.cells]
    ours, theirs = (
        sum(tokens_of(config.cells[name]) for name in cells) for config in (study.config, paper)
    )
    return ours / theirs if theirs else None


def tokens_of(cell: Cell) -> int:
    """Tokens that one pre-training sees: of an update as many as its sequences of full length."""
    return cell.steps * cell.batch.sequences * cell.length


def shown_names(config: StudyFile, names: Iterable[str]) -> dict[str, Iterable]:
    """What those of these tables show that have cells, by section; of `finetuning` pairs of a
    recipe and a task.
    """
    tables = [config.tables[name] for name in names if name in config.tables]
    rows = [(table, row) for table in tables for row in table.rows]
    shown = [config.families[row.family].cell if row.family else row.cell for _, row in rows]
    cells = [name for name in dict.fromkeys(shown) if name]
    tasks = dict.fromkeys(
        row.task_of(column) for table, row in rows for column in table.score_columns
    )
    recipes = dict.fromkeys(config.cells[name].finetuning for name in cells)
    return {
        "cells": cells,
        "corpora": dict.fromkeys(name for cell in cells for name in config.cells[cell].data),
        "vocabularies": dict.fromkeys(config.cells[name].vocabulary for name in cells),
        "tasks": tasks,
        "finetuning": [(recipe, task) for recipe in recipes for task in tasks],
    }


def sections(config: StudyFile, names: dict[str, Iterable]) -> dict[str, list[dict[str, Any]]]:
    """What has these names in each section, flat and in their order; of those that it has."""
    cells = [config.cells[name] for name in names["cells"] if name in config.cells]
    settings = [
        config.finetuning[recipe][task]
        for recipe, task in names["finetuning"]
        if task in config.finetuning.get(recipe, ())
    ]
    return {
        "cells": [flat(cell.model_dump(exclude=NOT_OF_CELLS)) for cell in cells],
        **{section: sizes(config, section, names[section]) for section in SIZES},
        "finetuning": [flat(setting.model_dump(exclude={"grid"})) for setting in settings],
    }


def sizes(config: StudyFile, section: str, names: Iterable[str]) -> list[dict[str, Any]]:
    """Where these of a section come from, and how much is taken; of those that the study has."""
    found, known = [], getattr(config, section)
    for name in (name for name in names if name in known):
        spec = known[name]
        taken = {key: getattr(spec, key) for key in SIZES[section]}
        taken = {key: "all" if value is None else value for key, value in taken.items()}
        found.append({"source": source_text(spec), **taken})
    return found


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
