"""`python -m study.prune --scale S`: list the runs that no configuration asks for any more.

Of other recipes than today's, of cells and tasks that are gone. Whatever pre-training seeds lie
there count as asked for: `replicates` may name them again. With --delete they go; a run at work
never does.
"""

import json
from itertools import count
from pathlib import Path

from study.command import command_parser, run_command
from study.graph import Study
from study.read import STUDY_FILE
from study.run import RECIPE_NAME
from study.stored import StoredRun, all_runs, dispose, runs_of


def unasked(scale: str, study_paths: list[str]) -> list[StoredRun]:
    """The runs of a scale that none of these studies asks for, with any number of replicates."""
    runs = all_runs(Path("runs", scale))
    seeds = {pretraining_seed(run) for run in runs}
    wanted = set()
    for path in study_paths:
        study = Study(scale, path)
        there = seeds.union(study.config.seeds.pretraining)
        most = next(seed for seed in count() if seed not in there)
        for one in (study, *(Study(scale, path, number) for number in range(1, most + 1))):
            wanted |= {run.directory for job in one.jobs.values() for run in runs_of(job)}
    return [run for run in runs if run.directory not in wanted]


def pretraining_seed(run: StoredRun) -> int | None:
    """The seed of a pre-training, from the recipe in its directory; None for other runs."""
    try:
        recipe = json.loads((run.directory / RECIPE_NAME).read_text())
        return recipe["seed"] if recipe["stage"] == "pretrain" else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m study.prune`."""
    parser = command_parser("study.prune", __doc__, "python -m study.prune --scale laptop")
    parser.add_argument("--scale", required=True, metavar="NAME", help="file of config/scales/")
    parser.add_argument(
        "--study",
        nargs="+",
        default=[STUDY_FILE],
        metavar="FILE",
        help=f"all study files that are in use (default: {STUDY_FILE})",
    )
    parser.add_argument("--delete", action="store_true", help="delete what is listed")
    args = parser.parse_args(arguments)
    runs = unasked(args.scale, args.study)
    # A fine-tuning at work keeps its own lock only: the runs of its seeds lie in the same folder.
    working = {run.folder for run in runs if run.at_work()}
    idle = [run for run in runs if run.folder not in working]
    notes = [f"at work, stays: {folder}" for folder in sorted(working)]
    dispose(idle, notes, None if args.delete else "to delete, with --delete")


if __name__ == "__main__":
    run_command(main)
