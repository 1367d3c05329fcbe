"""The learning-rate grids: `results/learning_rates.csv`, a line per member and replicate."""

import pandas as pd

from analysis.command import csv_command
from analysis.selection import read_selection
from study.command import run_command
from study.graph import Study
from study.manifest import MAYBE_NUMBER, load_manifest

COLUMNS = [
    "scale",
    "family",
    "learning_rate",
    "cell",
    "pretraining_seed",
    "selected",
    "heldout_perplexity",
    "key",
]


def read_learning_rates(study: Study) -> pd.DataFrame:
    """Held-out perplexity of every member of every family and whether it was selected.

    The perplexity of a pre-training that diverged is empty. Raises StudyError for results of
    another recipe.
    """
    rows = []
    for name, family in study.config.families.items():
        winner = read_selection(study, name)
        for rate, cell in family.members.items():
            for seed in study.config.seeds.pretraining:
                job = study.jobs.pretrain(cell, seed)
                run = load_manifest(job.path, key=job.key, stage="pretrain")
                rows.append(
                    {
                        "scale": study.scale,
                        "family": name,
                        "learning_rate": rate,
                        "cell": cell,
                        "pretraining_seed": seed,
                        "selected": cell == winner,
                        "heldout_perplexity": run.figure("heldout_perplexity", kind=MAYBE_NUMBER),
                        "key": job.key,
                    }
                )
    return pd.DataFrame(rows, columns=COLUMNS)


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.learning_rates`."""
    purpose = "Write the held-out perplexities of all learning-rate grids."
    csv_command(arguments, "learning_rates", purpose, read_learning_rates)


if __name__ == "__main__":
    run_command(main)
