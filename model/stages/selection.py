"""Selection stage: which member of a family stands for it (section 4.3).

In: the pre-training manifests of all members, over all replicates. Out: a manifest whose figures
hold every member's held-out perplexities and the winner's name. What a member scored on end tasks
plays no part. The choice is made on the runs that are then reported, as in the paper; the manifest
keeps all of them, so the price of another choice can be read off.
"""

import argparse
import math
from statistics import median

from model.stages.stage import Stage
from study.command import run_command
from study.errors import StudyError
from study.manifest import MAYBE_NUMBER, load_manifest
from study.recipes import SelectionRecipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the inputs, whose keys stand in the recipe by member."""
    parser.add_argument(
        "--pretrain", required=True, nargs="+", metavar="FILE", help="manifests of all members"
    )


STAGE = Stage("selection", __doc__, add=add_arguments, example="--pretrain a.json b.json")


def choose(perplexities: dict[str, list[float | None]]) -> str:
    """The member with the lowest median perplexity over its replicates, the first of equals.

    A replicate without a perplexity diverged and counts as infinite. Where no member has a finite
    median, one of those that diverged least often stands for the family, and is shown as failed.
    """

    def rank(member: str) -> tuple[float, int]:
        values = perplexities[member]
        middle = median(math.inf if value is None else value for value in values)
        return middle, sum(value is None for value in values) if math.isinf(middle) else 0

    return min(perplexities, key=rank)


def read_perplexities(recipe: SelectionRecipe, paths: list[str]) -> dict[str, list[float | None]]:
    """The perplexity of every replicate of every member; StudyError when one is not there."""
    runs = {run.key: run for run in (load_manifest(path, stage="pretrain") for path in paths)}
    perplexities = {}
    for name, member in recipe.members.items():
        for key in member.pretrain:
            if key not in runs:
                raise StudyError(f"--pretrain: no manifest of {name} with key {key}")
        perplexities[name] = [
            runs[key].figure(recipe.by, kind=MAYBE_NUMBER) for key in member.pretrain
        ]
    return perplexities


def main(arguments: list[str] | None = None) -> None:
    """Command line of the selection stage."""
    work = STAGE.parse(arguments)
    perplexities = read_perplexities(work.recipe, work.arguments.pretrain)
    figures = {"winner": choose(perplexities), work.recipe.by: perplexities}
    work.run(lambda *_: ([], figures))


if __name__ == "__main__":
    run_command(main)
