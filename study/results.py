"""Every result of a study, once: its files, its command, what it reads, what else it shows.

The rules (`rules/results.smk`), the target `all`, the progress display, what a result is compared
by (`study.record`) and results/README.md read this table. A new one is an entry here and its
module.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

CSV, TABLE, FIGURE, JSON = ("csv",), ("csv", "md", "tex"), ("png", "pdf"), ("json",)
WILDCARD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Result:
    """A result, or one for each name that stands for the `{wildcard}` of its pattern.

    `jobs` and `shows` are called with the study (`study.graph.Study`) and that name.
    """

    rule: str
    pattern: str  # its files under results/, without their endings
    endings: tuple[str, ...]  # the command is told the file with the first one
    command: str  # module and first arguments
    about: str  # a line for results/README.md and --help
    jobs: Callable[[Any, str], list]  # whose manifests it reads
    shows: Callable[[Any, str], dict] = lambda study, name: {}  # what else it is made of
    names: Callable[[Any], Iterable[str]] = lambda config: [""]  # in the study file
    needs: Callable[[Any], list] | None = None  # jobs that come first, where not all of `jobs` do
    of_what_is_there: bool = False  # waits for those of `jobs` alone that others ask for as well
    takes: str | None = None  # options of the workflow's own: places, speed
    in_all: Callable[[Any, str], bool] = lambda config, name: True  # part of the target `all`
    last: bool = False  # made of all others that are there, after those that are asked for with it
    version: int = 1  # raised when the command writes other files from the same runs

    def named(self, name: str) -> str:
        """The result of this name as its files under results/ are called, without ending."""
        return WILDCARD.sub(name, self.pattern)

    @property
    def files(self) -> str:
        """Its files for a reader: results/figures/<table>.png, .pdf."""
        shown = WILDCARD.sub(r"<\1>", self.pattern)
        return f"results/{shown}." + ", .".join(self.endings)


def _of_table(study: Any, name: str) -> dict:
    """The layout of a table, its published values, and the recipes that its notes compare."""
    cells = study.table_cells(name)
    verdicts = study.config.verdicts
    return {
        "table": study.config.tables[name].model_dump(),
        "verdicts": verdicts.model_dump() if verdicts else None,
        "published": study.published(name),
        "cells": {cell: study.config.cells[cell].model_dump() for cell in cells},
    }


def _of_hyperparameters(study: Any, name: str) -> dict:
    """The layout of a table of hyperparameters, its recipes and published values."""
    table = study.config.hyperparameter_tables[name]
    return {
        "table": table.model_dump(),
        "recipes": [study.config.recipe_of(column).model_dump() for column in table.columns],
        "published": study.published(name),
    }


def _of_claims(study: Any, table: str) -> dict:
    """The claims of a table, or of all, when verdicts are given, and the tables themselves."""
    claims = study.config.claims_of(table) if table else study.config.claims
    return {
        "claims": {name: claim.model_dump() for name, claim in claims.items()},
        "verdicts": study.config.verdicts and study.config.verdicts.model_dump(),
        "tables": {name: _of_table(study, name) for name in study.tables_of_claims(table)},
    }


def _by_name_only(config: Any, name: str) -> bool:
    return False


def _measured(study: Any) -> list:
    """The measurement of speed where the scale names no hardware."""
    return [] if study.config.hardware else [study.jobs.throughput()]


def _listed(name: str, about: str, jobs: Callable[[Any, str], list], version: int = 1) -> Result:
    """A CSV of `analysis.listings`."""
    return Result(name, name, CSV, f"analysis.listings {name}", about, jobs, version=version)


RESULTS = (
    Result(
        "table",
        "{table}",
        TABLE,
        "analysis.table {table}",
        "a table: medians, ranges and counts beside the published values; md and tex are for "
        "reading",
        jobs=lambda study, table: study.shown_jobs(table),
        shows=_of_table,
        names=lambda config: config.tables,
        version=4,
    ),
    Result(
        "hyperparameters",
        "{table}",
        TABLE,
        "analysis.hyperparameters {table}",
        "a table of hyperparameters, rendered from the recipes that run",
        jobs=lambda study, table: [],
        shows=_of_hyperparameters,
        names=lambda config: config.hyperparameter_tables,
        version=2,
    ),
    Result(
        "scores",
        "scores",
        CSV,
        "analysis.scores",
        "one line per score, with the keys of its runs",
        jobs=lambda study, _: study.all_table_jobs(),
    ),
    Result(
        "cell_scores",
        "cells/{cell}",
        CSV,
        "analysis.scores --cell={cell}",
        "the scores of one cell, for which nothing else is trained",
        jobs=lambda study, cell: study.cell_jobs(cell),
        names=lambda config: config.cells,
        in_all=_by_name_only,
    ),
    Result(
        "variance",
        "variance/{table}",
        ("csv", "md"),
        "analysis.variance {table}",
        "where a table's spread comes from: pre-training, fine-tuning, dev set; standard "
        "deviations with intervals",
        jobs=lambda study, table: study.shown_jobs(table),
        shows=_of_table,
        names=lambda config: [name for name, one in config.tables.items() if one.score_columns],
        in_all=_by_name_only,
    ),
    Result(
        "claims",
        "claims",
        ("csv", "md"),
        "analysis.claims",
        "verdicts on all claims: differences with intervals, p-values, what would decide them",
        jobs=lambda study, _: study.claims_jobs(),
        shows=_of_claims,
        in_all=lambda config, _: bool(config.claims),
        version=2,
    ),
    Result(
        "table_claims",
        "claims/{table}",
        ("csv", "md"),
        "analysis.claims {table}",
        "the same of one table, for which nothing else is trained",
        jobs=lambda study, table: study.claims_jobs(table),
        shows=_of_claims,
        names=lambda config: [name for name in config.tables if config.claims_of(name)],
        in_all=_by_name_only,
        version=2,
    ),
    Result(
        "calibration",
        "calibration",
        ("csv", "md"),
        "analysis.calibration",
        "how often the verdicts are false, by simulation, beside recipes that are in common use",
        jobs=lambda study, _: [],
        shows=lambda study, _: {
            "verdicts": study.config.verdicts and study.config.verdicts.model_dump()
        },
        in_all=lambda config, _: bool(config.claims),
    ),
    _listed(
        "settings",
        "every point of the fine-tuning grids, which counts, and the expected best of n points",
        jobs=lambda study, _: study.all_table_jobs(),
        version=2,
    ),
    _listed(
        "pretraining",
        "one line per pre-training, with its held-out perplexities",
        jobs=lambda study, _: study.pretrain_jobs() + study.store_jobs(),
    ),
    _listed(
        "learning_rates",
        "the learning-rate grids of the families, and the expected best of n rates",
        jobs=lambda study, _: study.pretrain_jobs() + study.selection_jobs(),
        version=2,
    ),
    _listed(
        "corpora",
        "documents, words, tokens, unknown tokens of every corpus",
        jobs=lambda study, _: study.store_jobs(),
    ),
    Result(
        "minimal_pairs_listing",
        "minimal_pairs",
        CSV,
        "analysis.listings minimal_pairs",
        "the accuracy of every pre-training on every group of minimal pairs",
        jobs=lambda study, _: study.all_minimal_pairs_jobs(),
        in_all=lambda config, _: bool(config.shown_pairs),
    ),
    Result(
        "table_figure",
        "figures/{table}",
        FIGURE,
        "analysis.figures.table {table}",
        "a table's scores: every seed, the medians, the published values",
        jobs=lambda study, table: study.shown_jobs(table),
        shows=_of_table,
        names=lambda config: config.tables,
        in_all=lambda config, table: bool(config.tables[table].scored_columns),
    ),
    Result(
        "curves",
        "figures/curves",
        FIGURE,
        "analysis.figures.curves",
        "held-out loss over tokens seen, for all pre-trainings that are finished",
        jobs=lambda study, _: study.curves_jobs(),
        shows=lambda study, _: {"panels": study.cells_of_tables()},
        of_what_is_there=True,
        version=2,
    ),
    Result(
        "table_curves",
        "figures/curves/{table}",
        FIGURE,
        "analysis.figures.curves {table}",
        "the same of the cells of one table, as a figure for a paper",
        jobs=lambda study, table: study.curves_jobs(table),
        shows=lambda study, table: {"panels": study.cells_of_tables(table)},
        names=lambda config: [
            name for name, one in config.tables.items() if any(map(config.row_cells, one.rows))
        ],
        in_all=_by_name_only,
        of_what_is_there=True,
    ),
    Result(
        "learning_rate_figure",
        "figures/learning_rate",
        FIGURE,
        "analysis.figures.learning_rate",
        "held-out perplexity over the peak learning rate, and which one was chosen, of the "
        "families that are finished",
        jobs=lambda study, _: study.family_jobs(),
        in_all=lambda config, _: bool(config.families),
        of_what_is_there=True,
        version=2,
    ),
    Result(
        "claims_figure",
        "figures/claims",
        FIGURE,
        "analysis.figures.claims",
        "the claims of the tables that are finished: differences with intervals, and verdicts",
        jobs=lambda study, _: study.claims_jobs(),
        shows=lambda study, _: _of_claims(study, ""),
        in_all=lambda config, _: bool(config.claims),
        of_what_is_there=True,
        version=2,
    ),
    Result(
        "table_provenance",
        "provenance/{table}",
        JSON,
        "analysis.provenance {table}",
        "from every number of one table to its runs and data files",
        jobs=lambda study, table: study.shown_jobs(table),
        shows=_of_table,
        names=lambda config: config.tables,
        in_all=_by_name_only,
        version=4,
    ),
    Result(
        "provenance",
        "provenance",
        JSON,
        "analysis.provenance",
        "the same of all tables",
        jobs=lambda study, _: study.all_jobs(),
        shows=lambda study, _: {table: _of_table(study, table) for table in study.config.tables},
        version=4,
    ),
    Result(
        "plan",
        "plan",
        ("csv", "md"),
        "analysis.plan",
        "what all of it will cost; nothing is trained for it",
        jobs=lambda study, _: [*study.plan_jobs(), study.jobs.throughput()],
        shows=lambda study, _: {"config": study.config.model_dump(mode="json")},
        needs=_measured,
        takes="speed",
        in_all=_by_name_only,
    ),
    Result(
        "glue_submission",
        "submission/glue",
        ("zip",),
        "analysis.submission glue",
        "what GLUE's leaderboard takes; needs the test sets of all tasks, and the scales laptop "
        "and h200 leave out those of MNLI and QQP",
        jobs=lambda study, _: study.glue_submission_jobs(),
        takes="places",
        in_all=_by_name_only,
    ),
    Result(
        "squad_submission",
        "submission/squad20",
        JSON,
        "analysis.submission squad20",
        "what the leaderboard of SQuAD 2.0 takes",
        jobs=lambda study, _: study.squad_submission_jobs(),
        in_all=_by_name_only,
    ),
    Result(
        "report",
        "report",
        ("html",),
        "analysis.report",
        "one page to send around of all that is finished: tables, verdicts, figures, data, cost, "
        "provenance; nothing is trained for it",
        jobs=lambda study, _: [],
        shows=lambda study, _: {"config": study.config.model_dump(mode="json")},
        last=True,
        version=2,
    ),
)

# A table's files lie beside those of other results, also in `figures/`; `all` is the target of all,
# `page` what `analysis.page` writes, README.md what tells of all results.
_FIXED = [one.pattern for one in RESULTS if not WILDCARD.search(one.pattern)]
TAKEN = ("all", "page", "readme", *(pattern.removeprefix("figures/") for pattern in _FIXED))


def results_of(config: Any) -> dict[str, tuple[Result, str]]:
    """All results of a study file by what their files are called, with the name of each."""
    return {one.named(name): (one, name) for one in RESULTS for name in one.names(config)}


def listing() -> str:
    """The files of every result and what they hold, a line each."""
    return "\n".join(f"  {one.files}\n      {one.about}" for one in RESULTS)
