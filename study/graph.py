"""A study at one scale: its configuration, its jobs, and which of them each result reads."""

from pathlib import Path

from study.config import STUDY_FILE, load_study_file, read_yaml
from study.errors import StudyError
from study.identity import canonical_json, key_of
from study.jobs import Job, Jobs
from study.layout import Column, Row
from study.schema import Cell

# A change of what the analysis writes bumps this number, and results are made again.
RESULTS_VERSION = 2


class Study(Jobs):
    """The study file at `scale`, read and checked; raises StudyError in one line.

    `replicates` takes that many pre-training seeds (0, 1, ...) instead of the scale's.
    """

    def __init__(
        self, scale: str, study_path: str | Path = STUDY_FILE, replicates: int | None = None
    ):
        self.scale = scale
        self.study_path = str(study_path)
        super().__init__(scale, load_study_file(scale, study_path, replicates))
        for table in (*self.config.tables, *self.config.hyperparameter_tables):
            self.published(table)

    def score_jobs(self, cells: list[str], tasks: list[str]) -> list[Job]:
        """All fine-tuning jobs of these cells on these tasks, over the pre-training seeds."""
        return [
            self.finetune_job(cell, seed, task)
            for cell in cells
            for seed in self.config.seeds.pretraining
            for task in tasks
        ]

    def table_cells(self, table: str) -> list[str]:
        """Cells that a table shows or chooses from, in the order of its rows."""
        cells: list[str] = []
        for row in self.config.tables[table].rows:
            cells += [row.cell] if row.cell else []
            cells += self.config.families[row.family].members.values() if row.family else []
        return list(dict.fromkeys(cells))

    def cells_by_first_table(self) -> dict[str, list[str]]:
        """Every cell that a table shows, under the first table that shows it."""
        first: dict[str, str] = {}
        for table in self.config.tables:
            for cell in self.table_cells(table):
                first.setdefault(cell, table)
        return {
            table: [cell for cell in first if first[cell] == table] for table in self.config.tables
        }

    def table_tasks(self, table: str) -> list[str]:
        """Tasks that are columns of a table, in its order."""
        columns = self.config.tables[table].score_columns
        return list(dict.fromkeys(column.task for column in columns))

    def table_jobs(self, table: str) -> list[Job]:
        """The fine-tuning jobs whose scores a table shows or chooses from."""
        return self.score_jobs(self.table_cells(table), self.table_tasks(table))

    def table_value_jobs(self, table: str) -> list[Job]:
        """The pre-trainings, stores and selections that a table reads besides scores."""
        spec = self.config.tables[table]
        jobs = [self.selection_job(row.family) for row in spec.rows if row.family]
        cells = self.table_cells(table)
        if not spec.value_columns:
            # The table's notes tell how often static masks came round.
            cells = [c for c in cells if self.config.cells[c].masking.policy == "static"]
        if cells:
            jobs += [*self.pretrain_jobs(cells), *map(self.store_job, cells)]
        return list({job.path: job for job in jobs}.values())

    def all_table_jobs(self) -> list[Job]:
        """The fine-tuning jobs of all tables, each once."""
        jobs = [job for table in self.config.tables for job in self.table_jobs(table)]
        return list({job.path: job for job in jobs}.values())

    def cell_jobs(self, cell: str) -> list[Job]:
        """The fine-tuning jobs of one cell on the tasks of its tables; on all if it is in none."""
        tasks = [
            task
            for table in self.config.tables
            if cell in self.table_cells(table)
            for task in self.table_tasks(table)
        ]
        return self.score_jobs([cell], list(dict.fromkeys(tasks or self.config.tasks)))

    def source_recipes(self) -> dict[str, dict]:
        """Recipes of all sources, by manifest path."""
        return {p: j.recipe for p, j in self.jobs.items() if j.recipe["stage"] == "source"}

    def shown_cells(self) -> list[str]:
        """The cells of all tables, each once."""
        cells = [cell for table in self.config.tables for cell in self.table_cells(table)]
        return list(dict.fromkeys(cells))

    def pretrain_jobs(self, cells: list[str] | None = None) -> list[Job]:
        """The pre-training jobs of these cells, or of all that a table shows."""
        return [
            self.pretrain_job(cell, seed)
            for cell in (self.shown_cells() if cells is None else cells)
            for seed in self.config.seeds.pretraining
        ]

    def store_jobs(self) -> list[Job]:
        """The token stores of all cells that a table shows, each once."""
        jobs = [self.store_job(cell) for cell in self.shown_cells()]
        return list({job.path: job for job in jobs}.values())

    def all_jobs(self) -> list[Job]:
        """The last jobs of everything: what no other job reads."""
        return self.all_table_jobs() + self.pretrain_jobs() + self.selection_jobs()

    def selection_jobs(self) -> list[Job]:
        """The selections of all families."""
        return [self.selection_job(family) for family in self.config.families]

    def published(self, table: str) -> dict[str, dict[str, float]]:
        """A table's published values by row and column name; none where it names no file.

        Raises StudyError for a row or column that no table with the same file has.
        """
        tables = {**self.config.tables, **self.config.hyperparameter_tables}
        file = tables[table].published
        if file is None:
            return {}
        users = [user for user in tables.values() if user.published == file]
        rows = {row.id for user in users for row in user.rows}
        columns = {_name(column) for user in users for column in user.columns}
        values = read_yaml(Path(file))
        for row, line in values.items():
            if row not in rows:
                raise StudyError(f"{file}: {row}: no table has this row")
            for column in line:
                if column not in columns:
                    raise StudyError(f"{file}: {row}.{column}: no table has this column")
        return values

    def result_jobs(self, result: str) -> list[Job]:
        """The jobs whose manifests a result reads; it is named as its file under `results/`.

        Raises StudyError for what is no result of this study.
        """
        whole = {
            "scores": self.all_table_jobs,
            "pretraining": self.pretrain_jobs,
            "corpora": self.store_jobs,
            "learning_rates": lambda: self.pretrain_jobs() + self.selection_jobs(),
            "figures/curves": self.pretrain_jobs,
            "figures/learning_rate": lambda: self.pretrain_jobs() + self.selection_jobs(),
            "provenance": self.all_jobs,
        }
        table = self._table_of(result)
        if table:
            return self.table_jobs(table) + self.table_value_jobs(table)
        if result in self.config.hyperparameter_tables:
            return []
        if result in whole:
            return whole[result]()
        if result.startswith("cells/") and result.removeprefix("cells/") in self.config.cells:
            return self.cell_jobs(result.removeprefix("cells/"))
        known = [*self.config.tables, *self.config.hyperparameter_tables, *whole, "cells/<cell>"]
        raise StudyError(f"{result}: no such result; known: {', '.join(known)}")

    def identity(self, result: str) -> str:
        """Key of a result: its layout, the published values, the recipes of all that is shown."""
        shown: dict = {}
        table = self._table_of(result)
        if table:
            shown["table"] = self.config.tables[table].model_dump()
            shown["published"] = self.published(table)
        if table or result.startswith("figures/"):
            shown["about"] = self.config.about
        if result == "figures/curves":
            shown["panels"] = self.cells_by_first_table()
        if result == "provenance":
            shown["tables"] = {name: self.identity(name) for name in self.config.tables}
        if result in self.config.hyperparameter_tables:
            shown["table"] = self.config.hyperparameter_tables[result].model_dump()
            shown["cells"] = [cell.model_dump() for cell in self.hyperparameter_cells(result)]
            shown["published"] = self.published(result)
        keys = {job.path: job.key for job in self.result_jobs(result)}
        identity = {"version": RESULTS_VERSION, "scale": self.scale, "jobs": keys, **shown}
        return key_of(identity)

    def _table_of(self, result: str) -> str | None:
        """The table that a result shows: `table2`, `figures/table2`, `provenance/table2`."""
        name = result.removeprefix("figures/").removeprefix("provenance/")
        return name if name in self.config.tables else None

    def hyperparameter_cells(self, table: str) -> list[Cell]:
        """The cells whose recipes are the columns of a table of hyperparameters."""
        columns = self.config.hyperparameter_tables[table].columns
        return [self.config.cells[column.cell] for column in columns if column.cell]

    def execution_json(self, stage: str) -> str:
        """How a stage is executed, as JSON for its `--execution`."""
        execution = getattr(self.config.execution, stage)
        return canonical_json(execution.model_dump(exclude={"resources", "processes"}))


def _name(column: Column | Row) -> str:
    """What files of published values call a column."""
    return column.name if isinstance(column, Column) else column.id
