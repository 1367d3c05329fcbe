"""Which point of a fine-tuning grid counts: the best median over the seeds (section 5.1, table 10).

In: the scores of every setting. Out: those of one setting per cell and task, and a table of all
settings. The choice is made by the task's first metric on the development set that is reported, as
in the paper; `results/settings.csv` keeps every setting, so the price of another choice shows.
"""

import pandas as pd

from analysis.command import csv_command
from analysis.medians import summarise
from analysis.scores import read_scores
from study.command import run_command
from study.graph import Study

GROUP = ["cell", "task"]


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


def read_settings(study: Study) -> pd.DataFrame:
    """`compare_settings` of every cell and task that a table shows."""
    return compare_settings(
        study, read_scores(study, study.all_table_jobs(), "results/settings.csv")
    )


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.settings`."""
    purpose = "Write the medians of all fine-tuning settings and which of them count."
    csv_command(arguments, "settings", purpose, read_settings)


if __name__ == "__main__":
    run_command(main)
