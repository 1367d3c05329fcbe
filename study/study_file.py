"""The whole study at one scale, read and filled: every key of `config/` with its type and range."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from study.cells import Cell, Family
from study.claims import Claim, Verdicts
from study.execution import Budget, Hardware, StageExecutions
from study.fields import HeldoutFraction, Section, Seeds, doc, given
from study.minimal_pairs import MinimalPairs
from study.starts import Weights
from study.tables import HyperparameterColumn, HyperparameterTable, Row, Table
from study.tasks import Finetuning, Task
from study.texts import Corpus, Splitter, Vocabulary


class StudySeeds(Section):
    """Pre-training seeds (replicates) and the fine-tuning seeds of each.

    With `finetuning: own` every replicate is a full one: a pre-training and a fine-tuning seed.
    """

    pretraining: Seeds = doc("one pre-training each, the replicates")
    finetuning: Seeds | Literal["own"] = doc("of each pre-training; own: the replicate's number")

    def finetuning_of(self, pretraining: int) -> list[int]:
        """Fine-tuning seeds of a replicate, which is named by its pre-training seed."""
        return [pretraining] if self.finetuning == "own" else list(self.finetuning)


class StudyFile(Section):
    """The whole study at one scale, written out in full (`study.read`)."""

    about: str = doc("what this scale is, for captions")
    heldout_fraction: HeldoutFraction = doc(
        "share of a corpus's documents held out, by a hash of the document"
    )
    splitter: Splitter = doc(
        "how sentences are found: by sentencex, or as lines of the text give them", "sentencex"
    )
    corpora: dict[str, Corpus] = doc("what pre-training reads (section 3.2)")
    weights: dict[str, Weights] = doc("models that are there already, for cells to start from", {})
    vocabularies: dict[str, Vocabulary] = doc("subword vocabularies (section 4.4)")
    tasks: dict[str, Task] = doc("end tasks (sections 3.3 and 5)")
    finetuning: dict[str, dict[str, Finetuning]] = doc("recipes of fine-tuning: settings by task")
    minimal_pairs: dict[str, MinimalPairs] = doc("sets of minimal pairs, for zero-shot scores", {})
    cells: dict[str, Cell] = doc("what is pre-trained (section 4)")
    families: dict[str, Family] = doc("cells at several peak learning rates", {})
    tables: dict[str, Table] = doc("what results show")
    left_out: dict[str, Annotated[str, Field(min_length=1)]] = doc(
        "tasks and sets of minimal pairs that tables leave out at this scale, each with the reason",
        {},
    )
    hyperparameter_tables: dict[str, HyperparameterTable] = doc("recipes (tables 9 and 10)", {})
    claims: dict[str, Claim] = doc("what is claimed of the tables, and how it is tested", {})
    verdicts: Verdicts | None = doc("when verdicts on claims are given", None)
    seeds: StudySeeds = doc("replicates and their fine-tunings")
    execution: StageExecutions = doc("how jobs are computed: how fast, never what")
    executions: dict[str, StageExecutions] = doc("executions to be like", {})
    budget: Budget | None = doc("what the scale is made for; the plan says whether it fits", None)
    hardware: Hardware | None = doc("what the plan assumes of one device", None)

    def shown_here(self) -> "StudyFile":
        """This study, whose tables are without what is left out at its scale."""
        tables = {name: table.without(self.left_out) for name, table in self.tables.items()}
        return self.model_copy(update={"tables": tables})

    def recipe_of(self, column: HyperparameterColumn) -> Cell | Finetuning:
        """The recipe that a column of a table of hyperparameters shows."""
        if column.cell:
            return self.cells[column.cell]
        return self.finetuning[given(column.finetuning)][given(column.task)]

    def pretraining_seeds(self, cell: str) -> list[int]:
        """The pre-training seeds of a cell: the study's, from the cell's first one on."""
        return [self.cells[cell].first_seed + seed for seed in self.seeds.pretraining]

    def given(self, cell: str) -> bool:
        """Whether a cell, or the one that it starts from, starts from weights that were there."""
        start = self.cells[cell].start
        return start is not None and (start.cell is None or self.given(start.cell))

    def same_replicate(self, cell: str, seed: int, other: str) -> int:
        """The pre-training seed of another cell that is the same replicate as a cell's."""
        return self.cells[other].first_seed + seed - self.cells[cell].first_seed

    def settings(self, cell: str, task: str) -> dict[str, Finetuning]:
        """The fine-tuning settings of a cell on a task, by name."""
        return self.finetuning[self.cells[cell].finetuning][task].settings()

    def starts_others(self, cell: str, task: str) -> bool:
        """Whether other tasks of a cell start from the models that were tuned on this one."""
        return any(self.tasks[other].init == task for other in self.cell_tasks(cell))

    def claims_of(self, table: str) -> dict[str, Claim]:
        """The claims that compare rows of a table."""
        return {name: claim for name, claim in self.claims.items() if claim.table == table}

    def row_cells(self, row: Row) -> list[str]:
        """The cells that a row shows or chooses from."""
        if row.family:
            return list(self.families[row.family].members.values())
        return [row.cell] if row.cell else []

    @cached_property
    def shown(self) -> dict[str, list[str]]:
        """The tasks that tables show of each cell, in the tables' order."""
        tasks: dict[str, list[str]] = {}
        for table in self.tables.values():
            for row in table.rows:
                shown = [row.task_of(column) for column in table.score_columns]
                for cell in self.row_cells(row):
                    tasks[cell] = list(dict.fromkeys([*tasks.get(cell, []), *shown]))
        return tasks

    @cached_property
    def shown_pairs(self) -> dict[str, list[str]]:
        """The sets of minimal pairs that tables show of each cell, in the tables' order."""
        sets: dict[str, list[str]] = {}
        for table in self.tables.values():
            shown = [column.pairs for column in table.columns if column.pairs]
            for cell in (cell for row in table.rows for cell in self.row_cells(row)):
                sets[cell] = list(dict.fromkeys([*sets.get(cell, []), *shown]))
        return sets

    def cell_tasks(self, cell: str) -> list[str]:
        """The tasks that a cell is fine-tuned on: those that tables show of it, or all if none
        does; before each the task that it starts from.
        """
        tasks = self.shown.get(cell) or list(self.tasks)
        chain = [name for task in tasks for name in (self.tasks[task].init, task) if name]
        return list(dict.fromkeys(chain))
