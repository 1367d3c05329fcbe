"""Which point counts: the member of a family that its selection names, the setting of a grid.

A family's member stands in for it (section 4.3). Of a fine-tuning grid the best median over the
seeds counts (section 5.1, table 10), by the task's first metric on the development set that is
reported, as in the paper; `results/settings.csv` keeps every setting, so the price of another
choice shows.
"""

import pandas as pd

from analysis.medians import summarise
from study.errors import StudyError
from study.graph import Study
from study.manifest import load_manifest

GROUP = ["cell", "task"]


def read_selection(study: Study, family: str) -> str:
    """The cell that stands for `family`.

    StudyError when the choice is of another recipe, or of a cell that is no member.
    """
    job = study.jobs.selection(family)
    manifest = load_manifest(job.path, key=job.key, stage="selection")
    winner, members = manifest.figure("winner", kind=str), study.config.families[family].members
    if winner not in members.values():
        raise StudyError(
            f"{job.path}: field figures.winner: {winner} is no member of {family}; "
            f"{manifest.rebuild_hint}"
        )
    return winner


def compare_settings(study: Study, scores: pd.DataFrame) -> pd.DataFrame:
    """A line per (cell, task, setting): median, range and counts, and whether it was `selected`.

    `scores` has the columns of `analysis.scores`. The first of equal medians is selected; a
    setting without a median (a score is missing) never is, unless all are so.
    """
    first = {name: task.metrics[0] for name, task in study.config.tasks.items()}
    main = scores[scores["metric"] == scores["task"].map(first)]
    summary = summarise(main, ["cell", "task", "setting"])
    ranked = summary["median"].fillna(float("-inf"))
    best = ranked.groupby([summary[name] for name in GROUP], sort=False).idxmax()
    summary.insert(3, "selected", summary.index.isin(best))
    return summary


def choose_settings(study: Study, scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of the selected setting of every cell and task."""
    compared = compare_settings(study, scores)
    chosen = compared.loc[compared["selected"], [*GROUP, "setting"]]
    return scores.merge(chosen, on=[*GROUP, "setting"], how="inner", validate="many_to_one")
