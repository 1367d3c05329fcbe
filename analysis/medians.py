"""From scores to the numbers of a table.

The paper prints the median over fine-tuning seeds of one pre-trained model. A replicate is a
pre-training seed; its value is the median over its fine-tuning seeds, and a cell's value is the
median over its replicates. With one replicate that is exactly the paper's number.
"""

import pandas as pd

KEYS = ["cell", "task", "metric"]


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Median, minimum, maximum and counts per (cell, task, metric).

    `scores` has the columns of `analysis.scores`. Minimum and maximum are over all single scores;
    `diverged` counts fine-tunings whose loss was not finite, which stay in the figures.
    """
    replicates = scores.groupby([*KEYS, "pretraining_seed"], sort=False)["value"].median()
    groups = scores.groupby(KEYS, sort=False)
    return pd.DataFrame(
        {
            "median": replicates.groupby(level=KEYS, sort=False).median(),
            "min": groups["value"].min(),
            "max": groups["value"].max(),
            "seeds": groups["value"].size(),
            "replicates": groups["pretraining_seed"].nunique(),
            "diverged": groups["diverged"].sum().astype(int),
        }
    ).reset_index()
