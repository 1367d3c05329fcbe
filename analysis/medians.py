"""From scores to the numbers of a table.

The paper prints the median over fine-tuning seeds of one pre-trained model. A replicate is a
pre-training seed; its value is the median over its fine-tuning seeds, and a cell's value is the
median over its replicates. With one replicate that is exactly the paper's number.

A fine-tuning without a score (a correlation with constant predictions has none) counts as the worst
of all: left out, it would lift the median of those that failed least often.
"""

from collections.abc import Sequence

import pandas as pd

KEYS = ("cell", "task", "metric")
WORST = float("-inf")


def replicate_values(scores: pd.DataFrame, by: Sequence[str]) -> pd.Series:
    """Value of every replicate, by the columns `by` and pretraining_seed; NaN where it failed."""
    return _medians(scores["value"], [scores[key] for key in (*by, "pretraining_seed")])


def summarise(scores: pd.DataFrame, by: Sequence[str] = KEYS) -> pd.DataFrame:
    """Median, minimum, maximum and counts per (cell, task, metric), or other columns.

    `scores` has the columns of `analysis.scores`. Minimum and maximum are over all single scores;
    `diverged` counts fine-tunings whose loss was not finite or that have no score.
    """
    keys = list(by)
    replicates = replicate_values(scores, keys)
    failed = scores["diverged"].astype(bool) | scores["value"].isna()
    groups = scores.assign(failed=failed).groupby(keys, sort=False)
    return pd.DataFrame(
        {
            "median": _medians(replicates, keys),
            "min": groups["value"].min(),
            "max": groups["value"].max(),
            "seeds": groups["value"].size(),
            "replicates": groups["pretraining_seed"].nunique(),
            "diverged": groups["failed"].sum().astype(int),
        }
    ).reset_index()


def _medians(values: pd.Series, by: list) -> pd.Series:
    """Medians of groups in which a missing value is the lowest; NaN where the median is one."""
    levels = {"level": by} if isinstance(values.index, pd.MultiIndex) else {"by": by}
    ranked = values.astype(float).fillna(WORST)
    return ranked.groupby(**levels, sort=False).median().replace(WORST, float("nan"))
