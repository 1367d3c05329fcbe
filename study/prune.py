"""`python -m study.prune --scale S`: list the runs that no configuration asks for any more.

Of other recipes than today's, of cells and tasks that are gone. Whatever seeds lie there count as
asked for: `replicates` and `finetuning_seeds` may name them again. With --delete they go; a run at
work never does.
"""

import json
from collections.abc import Collection
from itertools import count
from pathlib import Path

from study.command import command_parser, run_command
from study.graph import Study
from study.read import STUDY_FILE
from study.run import RECIPE_NAME
from study.stored import StoredRun, all_runs, dispose, runs_of


def unasked(scale: str, study_paths: list[str]) -> list[StoredRun]:
    """The runs of a scale that none of these studies asks for, with any numbers of seeds."""
    runs = all_runs(Path("runs", scale))
    seeds: dict[str, set[int]] = {"pretrain": set(), "finetune-seed": set()}
    for run in runs:
        stage, seed = stage_and_seed(run)
        if stage in seeds and seed is not None:
            seeds[stage].add(seed)
    wanted: set[Path] = set()
    for path in study_paths:
        config = Study(scale, path).config
        first = {cell.first_seed for cell in config.cells.values()}
        there = {seed - start for seed in seeds["pretrain"] for start in first}
        most = smallest_missing(there.union(config.seeds.pretraining))
        numbers: list[tuple[int | None, int | None]] = [(None, None)]
        numbers += [(number, None) for number in range(1, most + 1)]
        # No job depends on both numbers: of the replicates the scale's and the most will do.
        for number in range(1, smallest_missing(seeds["finetune-seed"]) + 1):
            numbers += [(None, number), *([(most, number)] if most else [])]
        for replicates, finetuning_seeds in numbers:
            jobs = Study(scale, path, replicates, finetuning_seeds).jobs.values()
            wanted |= {run.directory for job in jobs for run in runs_of(job)}
    return [run for run in runs if run.directory not in wanted]


def smallest_missing(seeds: Collection[int]) -> int:
    """The smallest number from 0 on that is not among `seeds`."""
    return next(seed for seed in count() if seed not in seeds)


def stage_and_seed(run: StoredRun) -> tuple[str | None, int | None]:
    """The stage and seed in the recipe in a run's directory; None where there is none."""
    try:
        recipe = json.loads((run.directory / RECIPE_NAME).read_text())
        return recipe["stage"], recipe.get("seed")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, None


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
