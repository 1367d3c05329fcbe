"""From scores to the numbers of a table.

The paper prints the median over fine-tuning seeds of one pre-trained model. A replicate is a
pre-training seed; its value is the median over its fine-tuning seeds, and a cell's value is the
median over its replicates. With one replicate that is exactly the paper's number.
"""

from collections.abc import Sequence

import pandas as pd

KEYS = ("cell", "task", "metric")


def summarise(scores: pd.DataFrame, by: Sequence[str] = KEYS) -> pd.DataFrame:
    """Median, minimum, maximum and counts per (cell, task, metric), or other columns.

    `scores` has the columns of `analysis.scores`. Minimum and maximum are over all single scores;
    `diverged` counts fine-tunings whose loss was not finite, which stay in the figures.
    """
    keys = list(by)
    replicates = scores.groupby([*keys, "pretraining_seed"], sort=False)["value"].median()
    groups = scores.groupby(keys, sort=False)
    return pd.DataFrame(
        {
            "median": replicates.groupby(level=keys, sort=False).median(),
            "min": groups["value"].min(),
            "max": groups["value"].max(),
            "seeds": groups["value"].size(),
            "replicates": groups["pretraining_seed"].nunique(),
            "diverged": groups["diverged"].sum().astype(int),
        }
    ).reset_index()
