"""The learning-rate grids: `results/learning_rates.csv`, a line per member and replicate."""

import pandas as pd

from analysis.scores import add_study_arguments, asked_study, write_csv
from analysis.selection import read_selection
from study.command import command_parser, run_command
from study.graph import Study
from study.manifest import MAYBE_NUMBER, load_manifest
from study.record import recorded

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
    parser = command_parser(
        "analysis.learning_rates",
        "Write the held-out perplexities of all learning-rate grids.",
        "python -m analysis.learning_rates --scale demo --output results/learning_rates.csv",
    )
    add_study_arguments(parser)
    parsed = parser.parse_args(arguments)
    study = asked_study(parsed)
    with recorded(study, "learning_rates", parsed.output):
        write_csv(read_learning_rates(study), parsed.output)


if __name__ == "__main__":
    run_command(main)
