"""What stands in every field of a table, worked out once.

`analysis.table` writes it as CSV, Markdown and LaTeX, `analysis.figures.table` draws it and
`analysis.provenance` leads from it to the runs. Scores are in percent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from analysis.choices import choose_settings, read_selection
from analysis.ensembles import ensemble_scores, ensembles
from analysis.medians import KEYS, replicate_values, summarise
from analysis.minimal_pairs import pairs_scores
from analysis.scores import COLUMNS, read_scores
from analysis.statistics.intervals import Difference, Mean, replicate_mean, welch_difference
from analysis.statistics.looks import ALPHA, look_level
from analysis.statistics.verdicts import CONTRADICTED, evidence, verdicts
from analysis.statistics.verdicts import REPLICATED as REPLICATED_CLAIM
from analysis.values import (
    REPLICATED,
    Values,
    cell_values,
    compared_numbers,
    oriented,
    shown_mean,
    unit_of,
    value_fields,
)
from study.fields import given
from study.graph import Study
from study.tables import Column, Row, Table

COUNTS = ("seeds", "replicates", "diverged")
STATISTICS = ("median", "min", "max", *COUNTS)
COMPARISON = (*Mean._fields, *Difference._fields, "p", "verdict")
# What a verdict on a difference from a baseline is called.
WORDS = {REPLICATED_CLAIM: "better", CONTRADICTED: "worse"}
NO_SCORES = pd.DataFrame(columns=COLUMNS)


@dataclass(frozen=True)
class Entry:
    """One field of a table: our number, the published one, and the scores behind them.

    `scores` has a line per fine-tuning seed or per ensemble: pretraining_seed, value, diverged.
    `models` are the single models of these, with the columns of `analysis.scores`; `left_out` those
    that diverged, so that no ensemble averages them. All are empty where nothing was fine-tuned.
    `statistics` are empty where the cell does not have what the column shows. `replicates` hold a
    number for each: a score in percent, a value, of perplexities the loss; NaN where it failed.
    """

    column: Column
    published: float | None
    statistics: dict[str, Any] = field(default_factory=dict)  # not rounded
    replicates: list[float] = field(default_factory=list)  # as means and differences take them
    mean: Mean | None = None  # in units of the column; only where the table has a baseline
    difference: Difference | None = None  # from that baseline, in units of `replicates`
    p: float | None = None  # of that difference, adjusted over the rows of the column
    verdict: str = ""  # on it: better, worse, equivalent, undecided
    setting: str = ""  # of the fine-tuning grid, "" where there is none
    scores: pd.DataFrame = field(default_factory=NO_SCORES.copy)
    models: pd.DataFrame = field(default_factory=NO_SCORES.copy)
    left_out: pd.DataFrame = field(default_factory=NO_SCORES.copy)

    @property
    def fields(self) -> dict[str, Any]:
        """The field as the CSV has it, by name: scores with four decimals, counts as integers."""
        numbers = {**self.statistics, "published": self.published}
        for interval in (self.mean, self.difference):
            numbers |= interval._asdict() if interval else {}
        written = {name: self._written(name, number) for name, number in numbers.items()}
        return written | ({"p": self.p, "verdict": self.verdict} if self.verdict else {})

    def _written(self, name: str, number: float | None) -> float | int | None:
        if number is None:
            return None
        if name in COUNTS:
            return int(number)
        return rounded(number) if self.column.scored else float(number)


@dataclass(frozen=True)
class ShownRow:
    """A row of a table: the cell that it shows (None for a reference), an entry per column.

    `average` and `published_average` are None where the table has none or a score is missing.
    """

    row: Row
    cell: str | None
    entries: list[Entry]
    average: float | None
    published_average: float | None


def rounded(score: float) -> float:
    """A score with the four decimals that files show."""
    return float(np.round(score, 4))


def field_names(column: Column) -> tuple[str, ...]:
    """The fields of a column in the CSV, without intervals."""
    if column.scored:
        return (*STATISTICS, "published")
    if column.value in REPLICATED:
        return ("median", "min", "max", "published")
    return ("value", "published")


def read_rows(study: Study, name: str, target: str) -> list[ShownRow]:
    """The rows of a table from the study's runs.

    Raises StudyError for results of another recipe, with the command that makes `target`.
    """
    return shown_rows(study, name, read_scores(study, study.table_jobs(name), target))


def shown_rows(study: Study, name: str, scores: pd.DataFrame) -> list[ShownRow]:
    """The rows of a table from `scores` with the columns of `analysis.scores`.

    Scores of settings that were not selected, and of cells that no row shows, are left out.
    """
    table, published = study.config.tables[name], study.published(name)
    by_score = dict(list(choose_settings(study, scores).groupby(list(KEYS))))
    by_score |= pairs_scores(study, name) if table.pairs_columns else {}
    cells = {
        row.id: read_selection(study, row.family) if row.family else row.cell for row in table.rows
    }
    rows = []
    for row in table.rows:
        cell, printed, entries = cells[row.id], published.get(row.id, {}), []
        values = cell_values(study, cell) if cell and table.value_columns else {}
        for column in table.columns:
            entry = Entry(column, printed.get(column.name))
            if cell and column.value:
                entry = value_entry(entry, values)
            elif cell:
                entry = score_entry(study, row, entry, by_score[cell, *score_of(row, column)])
            entries.append(entry)
        average = average_of(entries) if cell and table.average else None
        published_average = rounded(printed["average"]) if "average" in printed else None
        rows.append(ShownRow(row, cell, entries, average, published_average))
    return with_intervals(study, table, rows)


def with_intervals(study: Study, table: Table, rows: list[ShownRow]) -> list[ShownRow]:
    """The rows of a table that has a baseline, with means over replicates and differences from it;
    those of any other as they are. A row of the baseline's own cell has no difference.
    """
    baselines = [row for row in rows if row.row.id == table.baseline]
    if not baselines:
        return rows
    (baseline,) = baselines
    columns = [
        compared(study, entries, rows.index(baseline))
        for entries in zip(*(row.entries for row in rows), strict=True)
    ]
    shown = []
    for row, entries in zip(rows, zip(*columns, strict=True), strict=True):
        itself: dict[str, Any] = {"difference": None, "p": None, "verdict": ""}
        alike = row.cell == baseline.cell
        own = [replace(entry, **itself) if alike else entry for entry in entries]
        shown.append(replace(row, entries=own))
    return shown


def compared(study: Study, entries: Sequence[Entry], baseline: int) -> list[Entry]:
    """The entries of a column with means, differences from one of them, and verdicts on these.

    Of the rows of a column together one verdict in twenty is false (`analysis.statistics`).
    """
    column, rule = entries[0].column, study.config.verdicts
    level = look_level(tuple(rule.looks)) if rule else ALPHA
    margin = rule.margins.of(unit_of(column)) if rule else 0.0
    ours = [oriented(column, entry.replicates) for entry in entries]
    differences = [
        welch_difference(entry.replicates, entries[baseline].replicates) for entry in entries
    ]
    told = [place for place, one in enumerate(differences) if one and place != baseline]
    found = [evidence("direction", [ours[place], ours[baseline]], margin) for place in told]
    judged = dict(zip(told, verdicts(found, level), strict=True))
    shown = []
    for place, (entry, difference) in enumerate(zip(entries, differences, strict=True)):
        verdict, p = judged.get(place, ("", None))
        shown.append(
            replace(
                entry,
                mean=shown_mean(column.value, replicate_mean(entry.replicates)),
                difference=difference,
                p=None if p is None else float(np.round(p, 5)),
                verdict=WORDS.get(verdict, verdict),
            )
        )
    return shown


def score_of(row: Row, column: Column) -> tuple[str, str]:
    """What a column shows of a row's cell: task and metric, or minimal pairs and measure."""
    if column.pairs:
        return column.pairs, column.measure
    return row.task_of(column), given(column.metric)


def value_entry(entry: Entry, values: Values) -> Entry:
    """The entry of a value of ours, of the `values` of its row's cell."""
    column = entry.column
    statistics = value_fields(values, given(column.value), column.corpus)
    numbers = (
        compared_numbers(values, given(column.value), column.corpus) if column.compared else []
    )
    return replace(entry, statistics=statistics, replicates=numbers)


def score_entry(study: Study, row: Row, entry: Entry, models: pd.DataFrame) -> Entry:
    """The entry of a score of ours; `models` are all single models of the row's cell.

    Of an ensemble, `seeds` are the models averaged and `replicates` the ensembles. `diverged`
    counts the models that were left out, and the ensembles of others without a score. One ensemble
    has no range, nor has one accuracy on minimal pairs. Ensembles are compared with nothing.
    """
    setting = models["setting"].iloc[0]
    if not row.ensemble:
        statistics = statistics_of(models)
        if entry.column.pairs and len(models) == 1:
            statistics |= {"min": None, "max": None}
        numbers = replicate_values(models, ()).sort_index().tolist()
        entry = replace(entry, statistics=statistics, replicates=numbers)
        return replace(entry, setting=setting, scores=models, models=models)
    task, metric = row.task_of(entry.column), given(entry.column.metric)
    members = ensembles(study, given(row.cell), task, setting)
    scores = ensemble_scores(study, task, metric, members)
    without_score = (scores["models"] > 0) & scores["value"].isna()
    statistics = {
        **statistics_of(scores),
        "seeds": scores["models"].sum(),
        "diverged": without_score.sum() + scores["left_out"].sum(),
    }
    if len(scores) == 1:
        statistics |= {"min": None, "max": None}
    averaged = {
        (model.pretraining_seed, model.finetuning_seed)
        for ensemble in members
        for model in ensemble.models
    }
    seeds = zip(models["pretraining_seed"], models["finetuning_seed"], strict=True)
    return replace(
        entry,
        statistics=statistics,
        setting=setting,
        scores=scores,
        models=models[[pair in averaged for pair in seeds]],
        left_out=models[models["diverged"].astype(bool)],
    )


def statistics_of(scores: pd.DataFrame) -> dict[str, Any]:
    """Median, range and counts of the scores of one field."""
    (summary,) = summarise(scores.assign(field=0), ["field"]).to_dict("records")
    return {name: summary[name] for name in STATISTICS}


def average_of(entries: list[Entry]) -> float | None:
    """Mean over tasks of the mean of each task's columns; None where a score is missing."""
    tasks: dict[str, list[float]] = {}
    for entry in entries:
        if entry.column.task and entry.column.averaged:
            tasks.setdefault(entry.column.task, []).append(entry.statistics["median"])
    if any(map(pd.isna, chain.from_iterable(tasks.values()))):
        return None
    return rounded(sum(sum(values) / len(values) for values in tasks.values()) / len(tasks))
