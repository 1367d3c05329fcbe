"""What a study has found so far, as pandas data frames, from any folder:

    from roberta_ablations import Study

    demo = Study("demo")
    demo.table("table2")

Nothing is trained or written. The project is found as its commands find it (`study.console`): the
one that the current folder lies in, else the checkout that `pip install -e .` has installed.
"""

import json
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

import pandas as pd

from analysis.claims import claims_frame
from analysis.command import check_known, snakemake_command
from analysis.gathering import problem_of, result_path
from analysis.minimal_pairs import spread_groups
from analysis.provenance import build_provenance
from analysis.scores import read_scores
from analysis.shown import read_rows
from analysis.table import wide_table
from analysis.trace import trace_text
from study import graph
from study.console import project_folder
from study.errors import StudyError
from study.options import DEFAULT_SCALE
from study.read import STUDY_FILE
from study.tables import HyperparameterTable, Table

__all__ = ["Study", "StudyError"]

# What the log of a pre-training calls them, and what we do.
LOGGED = {"lr": "learning_rate", "evaluation/mlm": "heldout_loss"}


class Study:
    """A study at one scale, with what its runs have found.

    `study` is a study file, `replicates` and `finetuning_seeds` are numbers of seeds instead of the
    scale's, `overrides` are what `--set` takes: all as the commands were told that made the runs.
    `project` is the folder with `config/` and `runs/`. Every method raises StudyError in one line,
    for a name that the study does not have and for what is not finished.
    """

    def __init__(
        self,
        scale: str = DEFAULT_SCALE,
        study: str | Path = STUDY_FILE,
        *,
        replicates: int | None = None,
        finetuning_seeds: int | None = None,
        overrides: Sequence[str] = (),
        project: str | Path | None = None,
    ):
        self.project = Path(project or project_folder()).resolve()
        if (path := Path(study).resolve()).is_file():
            inside = path.is_relative_to(self.project)
            study = path.relative_to(self.project) if inside else path
        with chdir(self.project):
            self._study = graph.Study(scale, study, replicates, finetuning_seeds, overrides)

    def __repr__(self) -> str:
        return f"<Study {self._study.scale}: {self._study.config.about}>"

    def tables(self) -> pd.DataFrame:
        """All tables by name: caption, whether it is current in `results/`, what makes it."""
        study = self._study
        known: dict[str, Table | HyperparameterTable] = {
            **study.config.tables,
            **study.config.hyperparameter_tables,
        }
        with chdir(self.project):
            lines = {
                name: (
                    table.caption,
                    problem_of(study, name) or "finished",
                    snakemake_command(study, result_path(name)),
                )
                for name, table in known.items()
            }
        return pd.DataFrame.from_dict(
            lines, orient="index", columns=["caption", "state", "command"]
        ).rename_axis("table")

    def table(self, name: str) -> pd.DataFrame:
        """A table as `results/<name>.csv` has it: a line per row, by its id; per column
        `<column>.median`, `.min`, `.max`, `.published`, …, scores in percent.

        It is made from the runs, whatever `results/` shows now. StudyError names the command that
        makes runs which are missing.
        """
        self._check_table(name)
        with chdir(self.project):
            study = spread_groups(self._study, name)
            rows = read_rows(study, name, f"results/{name}.csv")
            return wide_table(study, name, rows).set_index("row")

    def scores(self, cell: str | None = None) -> pd.DataFrame:
        """A line per score of the fine-tunings that are finished, of one cell or of all tables.

        Columns are those of `results/scores.csv`, `value` in percent.
        """
        study = self._study
        if cell is not None:
            self._check_cell(cell)
        with chdir(self.project):
            jobs = study.all_table_jobs() if cell is None else study.cell_jobs(cell)
            return read_scores(study, study.finished(jobs), "results/scores.csv")

    def claims(self, table: str | None = None) -> pd.DataFrame:
        """The claims of one table or of all, as `results/claims.csv` has them: a line per claim and
        per column of it, with difference, interval, p-values and verdict.

        Of a table that is not finished they are not testable, and `reason` says what makes it.
        """
        if table is not None:
            self._check_table(table)
        with chdir(self.project):
            return claims_frame(self._study, table or "")

    def losses(self, cell: str | None = None) -> pd.DataFrame:
        """The logs of pre-trainings, finished or under way, of one cell or of all tables.

        A line per cell, pretraining_seed and step (updates done), with `tokens` seen, `loss` of
        training since the line before, `heldout_loss` where it was evaluated, both in nats (per
        masked token; with next-sentence prediction `loss` has its loss too), `learning_rate`, and
        what else the log has. Empty where nothing has begun.
        """
        study, lines = self._study, []
        if cell is not None:
            self._check_cell(cell)
        with chdir(self.project):
            for job in study.pretrain_jobs(None if cell is None else [cell]):
                log = Path(job.path).parent / job.key / "log.jsonl"
                names = {"cell": job.names["cell"], "pretraining_seed": job.names["seed"]}
                if log.is_file():
                    lines += [names | json.loads(line) for line in log.read_text().splitlines()]
        first = ["cell", "pretraining_seed", "step"]
        frame = pd.DataFrame(lines, columns=None if lines else [*first, "tokens", "loss", *LOGGED])
        # An evaluation has a line of its own.
        frame = frame.groupby(first, sort=False, as_index=False).first()
        return frame.rename(columns=LOGGED)

    def trace(self, table: str, row: str, column: str) -> str:
        """Where a number of a table comes from, as `analysis.provenance --trace` prints it."""
        self._check_table(table)
        with chdir(self.project):
            return trace_text(build_provenance(self._study, [table]), table, row, column)

    def _check_table(self, name: str) -> None:
        check_known(name, "table", name, self._study.config.tables)

    def _check_cell(self, name: str) -> None:
        check_known(name, "cell", name, self._study.config.cells)
