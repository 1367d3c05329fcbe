"""Accuracies on minimal pairs, read from manifests that the study still stands for.

A pre-training is one replicate and has one accuracy on each group of pairs; there is no
fine-tuning. `spread_groups` gives a table a column for every group that the data have.
"""

from collections.abc import Iterator

import pandas as pd

from analysis.medians import KEYS
from study.errors import StudyError
from study.graph import Study
from study.jobs import Job
from study.manifest import MAYBE_NUMBER, Manifest, load_manifest
from study.minimal_pairs import measure
from study.tables import Column

GROUPS = "groups"


def _summaries(run: Manifest) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Level, group and place in the figures of every accuracy, that on all pairs first."""
    yield "", "", ()
    for level in run.figure(GROUPS):
        for group in run.figure(GROUPS, level):
            yield level, group, (GROUPS, level, group)


def read_minimal_pairs(study: Study, jobs: list[Job]) -> pd.DataFrame:
    """A line per pre-training and group: percent right, pairs and ties.

    `accuracy` is missing where the model diverged. Raises StudyError for a manifest that is missing
    or of another recipe.
    """
    lines = []
    for job in jobs:
        run = load_manifest(job.path, key=job.key, stage="minimal_pairs")
        names = {"cell": job.names["cell"], "pretraining_seed": job.names["seed"]}
        keys = {"key": job.key, "pretraining_key": job.recipe["pretrain"]}
        for level, group, place in _summaries(run):
            numbers = {
                name: run.figure(*place, name, kind=kind)
                for name, kind in (("accuracy", MAYBE_NUMBER), ("pairs", int), ("ties", int))
            }
            of = {"minimal_pairs": job.names["pairs"], "level": level, "group": group}
            lines.append({"scale": study.scale, **names, **of, **numbers, **keys})
    columns = ["scale", "cell", "pretraining_seed", "minimal_pairs", "level", "group"]
    columns += ["accuracy", "pairs", "ties", "key", "pretraining_key"]
    return pd.DataFrame(lines, columns=columns)


def pairs_scores(study: Study, name: str) -> dict[tuple[str, str, str], pd.DataFrame]:
    """A table's accuracies by cell, set and `study.minimal_pairs.measure`, each as scores are:
    lines of pretraining_seed, value (percent) and diverged.
    """
    read = read_minimal_pairs(study, study.minimal_pairs_jobs(name))
    measures = [measure(*pair) for pair in zip(read["level"], read["group"], strict=True)]
    scores = pd.DataFrame(
        {
            "cell": read["cell"],
            "task": read["minimal_pairs"],
            "metric": measures,
            "pretraining_seed": read["pretraining_seed"],
            "setting": "",
            "value": read["accuracy"].astype(float),
            "diverged": read["accuracy"].isna(),
            "run_key": read["key"],
        }
    )
    return dict(list(scores.groupby(list(KEYS), sort=False)))


def spread_groups(study: Study, name: str) -> Study:
    """The study with a column for every group in place of a table's column `by` a level.

    Where the data lack the level there is none. Raises StudyError for a group that they lack, and
    for two columns of one name.
    """
    table, columns = study.config.tables[name], []
    for column in table.columns:
        if not column.by:
            columns.append(column)
            continue
        groups = _groups(study, name, column)
        if column.group is None:
            columns += [_of_group(column, group) for group in groups]
        elif column.group in groups:
            columns.append(column)
        else:
            known = ", ".join(groups) or "none"
            raise StudyError(
                f"tables.{name}.columns.{column.name}: the pairs have no {column.by} "
                f"{column.group}; known: {known}"
            )
    names = [column.name for column in columns]
    for number, twice in enumerate(names):
        if twice in names[:number]:
            raise StudyError(f"tables.{name}.columns: two are called {twice}")
    return study.with_table(name, table.model_copy(update={"columns": columns}))


def _of_group(column: Column, group: str) -> Column:
    label = column.label.replace("{}", group.replace("_", " "))
    return column.model_copy(update={"group": group, "label": label})


def _groups(study: Study, name: str, column: Column) -> list[str]:
    """The groups of a column's level, in alphabetical order."""
    jobs = [j for j in study.minimal_pairs_jobs(name) if j.names["pairs"] == column.pairs]
    for job in jobs[:1]:
        run = load_manifest(job.path, key=job.key, stage="minimal_pairs")
        found = run.figure(GROUPS)
        return sorted(run.figure(GROUPS, column.by)) if column.by and column.by in found else []
    return []
