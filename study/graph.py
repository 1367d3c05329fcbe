"""A study at one scale: its configuration, its jobs, and which of them each result reads."""

import copy
import math
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from study.errors import StudyError, value_text
from study.fields import given
from study.glue import GLUE, GlueFile
from study.identity import canonical_json, key_of
from study.jobs import Job, Jobs, needed
from study.messages import hint
from study.read import STUDY_FILE, load_study_file
from study.results import Result, results_of
from study.tables import Column, HyperparameterTable, Row, Table
from study.yaml_file import read_yaml


class Study:
    """The study file at `scale`, read and checked; raises StudyError in one line.

    `replicates` takes that many pre-training seeds (0, 1, ...) instead of the scale's,
    `finetuning_seeds` that many fine-tuning seeds of each. `overrides` are `KEY=VALUE` of `--set`.
    """

    def __init__(
        self,
        scale: str,
        study_path: str | Path = STUDY_FILE,
        replicates: int | None = None,
        finetuning_seeds: int | None = None,
        overrides: Sequence[str] = (),
    ):
        self.scale = scale
        self.study_path = str(study_path)
        self.replicates = replicates
        self.finetuning_seeds = finetuning_seeds
        self.overrides = tuple(overrides)
        asked = (replicates, finetuning_seeds, self.overrides)
        self.config = load_study_file(scale, study_path, *asked)
        written = {**self.config.tables, **self.config.hyperparameter_tables}
        self._published = {table: self._read_published(table, written) for table in written}
        self.config = self.config.shown_here()
        self.root = f"runs/{scale}"
        self.jobs = Jobs(self.config, self.root)
        self.results = results_of(self.config)

    def with_table(self, name: str, table: Table) -> "Study":
        """The same study, of whose tables this one is another; its jobs stay."""
        changed = copy.copy(self)
        tables = {**self.config.tables, name: table}
        changed.config = self.config.model_copy(update={"tables": tables})
        return changed

    def score_jobs(self, cells: list[str], tasks: list[str]) -> list[Job]:
        """All fine-tuning jobs of these cells on these tasks: pre-training seeds and settings."""
        return [
            self.jobs.finetune(cell, seed, task, setting)
            for cell in cells
            for seed in self.config.pretraining_seeds(cell)
            for task in tasks
            for setting in self.config.settings(cell, task)
        ]

    def table_cells(self, table: str) -> list[str]:
        """Cells that a table shows or chooses from, in the order of its rows."""
        rows = self.config.tables[table].rows
        return list(dict.fromkeys(cell for row in rows for cell in self.config.row_cells(row)))

    def cells_of_tables(self, table: str = "") -> dict[str, list[str]]:
        """The cells of this table, or of every one that shows what no table before it shows."""
        if table:
            return {table: self.table_cells(table)}
        cells: dict[str, list[str]] = {}
        for table in self.config.tables:
            mine = self.table_cells(table)
            if not set(mine) <= {cell for others in cells.values() for cell in others}:
                cells[table] = mine
        return cells

    def table_jobs(self, table: str) -> list[Job]:
        """The fine-tuning jobs whose scores a table shows or chooses from.

        Raises StudyError for a table that this study does not have.
        """
        if table not in self.config.tables:
            raise StudyError(f"{self.study_path}: tables: no {table}")
        spec, jobs = self.config.tables[table], []
        for row in spec.rows:
            tasks = [row.task_of(column) for column in spec.score_columns]
            jobs += self.score_jobs(self.config.row_cells(row), tasks)
        return list(dict.fromkeys(jobs))

    @property
    def submitted_row(self) -> Row:
        """The row of Table 5 whose ensemble is submitted; StudyError where there is none."""
        if "table5" not in self.config.tables:
            raise StudyError(f"{self.study_path}: tables: no table5, whose ensemble is submitted")
        for row in self.config.tables["table5"].rows:
            if row.ensemble:
                return row
        raise StudyError(f"{self.study_path}: tables.table5: no row with ensemble: true to submit")

    def submitted_column(self, file: GlueFile) -> Column:
        """The column of Table 5 that a file of the submission is made of.

        Raises StudyError where there is none, or where its task has no such test split.
        """
        row, further = self.submitted_row, ["wnli"] if file.schemas else []
        columns = {column.task: column for column in self.config.tables["table5"].score_columns}
        for task in [file.task, *further]:
            if task not in columns:
                raise StudyError(f"tables.table5.columns: no task {task}, which GLUE asks for")
        for task in [row.task_of(columns[file.task]), *further]:
            if file.split not in (self.config.tasks[task].test or {}):
                raise StudyError(
                    f"tasks.{task}.test: no split {file.split} at scale {self.scale}, "
                    "so nothing can be submitted"
                )
        return columns[file.task]

    def glue_submission_jobs(self) -> list[Job]:
        """What GLUE's zip is made of: Table 5's fine-tunings, and the files of their test sets.

        Raises StudyError for a task or split that is missing, before anything is trained for them.
        """
        tasks = {"wnli"}
        for file in GLUE.values():
            if not file.optional:
                tasks.add(self.submitted_row.task_of(self.submitted_column(file)))
        return [*self.table_jobs("table5"), *map(self.jobs.source, sorted(tasks))]

    def squad_submission_jobs(self) -> list[Job]:
        """The fine-tunings on SQuAD 2.0 of the cell that is submitted."""
        return self.score_jobs([given(self.submitted_row.cell)], ["squad20"])

    def shown_jobs(self, table: str) -> list[Job]:
        """All jobs whose manifests a table reads, for its numbers and its notes."""
        jobs = self.table_jobs(table)
        rows, cells = self.config.tables[table].rows, self.table_cells(table)
        jobs += [self.jobs.selection(row.family) for row in rows if row.family]
        jobs += [*self.pretrain_jobs(cells), *map(self.jobs.store_of, cells)]
        jobs += self.minimal_pairs_jobs(table)
        return list(dict.fromkeys([*jobs, *self.pair_samples_jobs(table)]))

    def tables_of_claims(self, table: str = "") -> list[str]:
        """The tables whose rows claims compare; only `table` where one is named."""
        claimed = [claim.table for claim in self.config.claims.values() if claim.table]
        tables = [name for name in claimed if name in self.config.tables]
        return [name for name in dict.fromkeys(tables) if table in ("", name)]

    def claims_jobs(self, table: str = "") -> list[Job]:
        """All jobs whose manifests the claims of a table read, or those of all tables."""
        jobs = [job for name in self.tables_of_claims(table) for job in self.shown_jobs(name)]
        return list(dict.fromkeys(jobs))

    def minimal_pairs_jobs(self, table: str) -> list[Job]:
        """The scores of minimal pairs that a table shows or chooses from."""
        return [
            self.jobs.minimal_pairs(cell, seed, pairs)
            for pairs in dict.fromkeys(c.pairs for c in self.config.tables[table].pairs_columns)
            for cell in self.table_cells(table)
            for seed in self.config.pretraining_seeds(cell)
        ]

    def all_minimal_pairs_jobs(self) -> list[Job]:
        """The scores of minimal pairs of all tables, each once."""
        jobs = [job for table in self.config.tables for job in self.minimal_pairs_jobs(table)]
        return list(dict.fromkeys(jobs))

    def pair_samples_jobs(self, table: str) -> list[Job]:
        """The samples of a table's cells in pair formats: its notes tell what they show."""
        return [
            self.jobs.samples(cell, seed)
            for cell in self.table_cells(table)
            if self.config.cells[cell].format.pairs
            for seed in self.config.pretraining_seeds(cell)
        ]

    def all_table_jobs(self) -> list[Job]:
        """The fine-tuning jobs of all tables, each once."""
        jobs = [job for table in self.config.tables for job in self.table_jobs(table)]
        return list(dict.fromkeys(jobs))

    def cell_jobs(self, cell: str) -> list[Job]:
        """The fine-tuning jobs of one cell on the tasks of its tables; on all if it is in none."""
        return self.score_jobs([cell], self.config.cell_tasks(cell))

    def source_recipes(self) -> dict[str, dict]:
        """Recipes of all sources, by manifest path."""
        return {path: job.recipe for path, job in self.jobs.items() if job.stage == "source"}

    def pretrain_jobs(self, cells: list[str] | None = None) -> list[Job]:
        """The pre-training jobs of these cells, or of all that a table shows."""
        return [
            self.jobs.pretrain(cell, seed)
            for cell in (self.config.shown if cells is None else cells)
            for seed in self.config.pretraining_seeds(cell)
        ]

    def store_jobs(self, cells: list[str] | None = None) -> list[Job]:
        """The token stores of these cells, or of all that a table shows, each once."""
        shown = self.config.shown if cells is None else cells
        return list(dict.fromkeys(map(self.jobs.store_of, shown)))

    def curves_jobs(self, table: str = "") -> list[Job]:
        """What the curves of a table's cells, or of all cells, are read from."""
        cells = self.table_cells(table) if table else None
        return self.pretrain_jobs(cells) + self.store_jobs(cells)

    def all_jobs(self) -> list[Job]:
        """The last jobs of everything: what no other job reads."""
        jobs = self.all_table_jobs() + self.all_minimal_pairs_jobs()
        return jobs + self.pretrain_jobs() + self.selection_jobs()

    def selection_jobs(self) -> list[Job]:
        """The selections of all families."""
        return [self.jobs.selection(family) for family in self.config.families]

    def family_jobs(self, family: str | None = None) -> list[Job]:
        """The pre-trainings of a family's members and its selection, or those of all families."""
        jobs: list[Job] = []
        for name in self.config.families if family is None else [family]:
            members = list(self.config.families[name].members.values())
            jobs += [*self.pretrain_jobs(members), self.jobs.selection(name)]
        return list(dict.fromkeys(jobs))

    def plan_jobs(self) -> list[Job]:
        """All jobs behind all tables, each once, in the order in which they are registered."""
        ends = [job for table in self.config.tables for job in self.shown_jobs(table)]
        behind = set(needed(ends))
        return [job for job in self.jobs.values() if job in behind]

    def published(self, table: str) -> dict[str, dict[str, float]]:
        """A table's published values by row and column name; none where it names no file."""
        return self._published[table]

    def _read_published(self, table: str, tables: dict) -> dict[str, dict[str, float]]:
        """A table's published values, of `tables` as they are written.

        Raises StudyError for a row or column that no table with the same file has, and for what is
        no value.
        """
        file = tables[table].published
        if file is None:
            return {}
        users = [user for user in tables.values() if user.published == file]
        rows = dict.fromkeys(row.id for user in users for row in user.rows)
        columns = dict.fromkeys(name for user in users for name in published_names(user))
        groups = tuple(prefix for user in users for prefix in group_prefixes(user))
        # Tables of hyperparameters quote words and grids as well.
        kinds = (int, float, str) if table in self.config.hyperparameter_tables else (int, float)
        values = read_yaml(Path(file))
        for row, line in values.items():
            if row not in rows:
                raise StudyError(f"{file}: {row}: no table has this row{hint(row, rows)}")
            if not isinstance(line, dict):
                raise StudyError(
                    f"{file}: {row}: expected values by column, found {value_text(line)}"
                )
            for column, value in line.items():
                where = f"{file}: {row}.{column}"
                if column not in columns and not str(column).startswith(groups):
                    raise StudyError(f"{where}: no table has this column{hint(column, columns)}")
                number = isinstance(value, kinds) and not isinstance(value, bool)
                if not number or value in (math.inf, -math.inf) or value != value:
                    raise StudyError(f"{where}: expected a number, found {value_text(value)}")
        return values

    def result(self, result: str) -> tuple[Result, str]:
        """The entry of a result and the name in it; it is named as its file under `results/`.

        Raises StudyError for what is no result of this study.
        """
        if result not in self.results:
            raise StudyError(f"{result}: no such result{hint(result, self.results)}")
        return self.results[result]

    def result_jobs(self, result: str) -> list[Job]:
        """The jobs whose manifests a result reads."""
        entry, name = self.result(result)
        return entry.jobs(self, name)

    def needed_jobs(self, result: str, others: Collection[Job] = ()) -> list[Job]:
        """The jobs that a result waits for: all that it reads, of the plan only the measurement.

        One that shows what is there waits for those of `others` and those that are finished.
        """
        entry, name = self.result(result)
        jobs = entry.needs(self) if entry.needs else entry.jobs(self, name)
        if entry.of_what_is_there:
            awaited = {*others, *self.finished(jobs)}
            return [job for job in jobs if job in awaited]
        return jobs

    def asked_jobs(self, targets: Iterable[str]) -> set[Job]:
        """All jobs behind these targets: files of results, manifests, names of rules, `all`.

        Behind a result that shows what is there stands none.
        """
        asked, ends = set(map(os.path.normpath, targets)), []
        ends += [job for path, job in self.jobs.items() if path in asked]
        for result, (entry, name) in self.results.items():
            files = {f"results/{result}.{ending}" for ending in entry.endings}
            meant = "all" in asked and entry.in_all(self.config, name)
            if (meant or asked & {entry.rule, *files}) and not entry.of_what_is_there:
                ends += self.needed_jobs(result)
        return set(needed(ends))

    def finished(self, jobs: Iterable[Job]) -> list[Job]:
        """Those of these jobs whose manifests are there, as are all that they were made from."""
        known: dict[Job, bool] = {}
        for job in jobs:
            for one in needed([job]):
                if one not in known:
                    known[one] = Path(one.path).is_file()
        return [job for job in jobs if all(known[one] for one in needed([job]))]

    def identity(self, result: str) -> str:
        """Key of a result: the version of its command, what it shows, the keys of its jobs."""
        entry, name = self.result(result)
        identity = {
            "result": [entry.rule, entry.version],
            "scale": self.scale,
            "about": self.config.about,
            "jobs": {job.path: job.key for job in entry.jobs(self, name)},
            "shows": entry.shows(self, name),
        }
        return key_of(identity)

    def result_files(self) -> dict[str, str]:
        """Every file under `results/` that this study can make, and the result that it is of."""
        return {
            f"results/{result}.{ending}": result
            for result, (entry, _) in self.results.items()
            for ending in entry.endings
        }

    def execution_json(self, stage: str) -> str:
        """How a stage is executed, as JSON for its `--execution`."""
        execution = getattr(self.config.execution, stage)
        return canonical_json(execution.model_dump(exclude={"resources", "processes"}))


def published_names(table: Table | HyperparameterTable) -> list[str]:
    """What a file of published values may call the columns of a table."""
    if isinstance(table, HyperparameterTable):
        return [column.id for column in table.columns]
    return [column.name for column in table.columns] + (["average"] if table.average else [])


def group_prefixes(table: Table | HyperparameterTable) -> list[str]:
    """How the names of a table's columns begin whose groups only the data tell.

    A scale's own pairs may lack the groups of those that values are published of.
    """
    if isinstance(table, HyperparameterTable):
        return []
    return [f"{column.pairs}." for column in table.pairs_columns if column.by]
