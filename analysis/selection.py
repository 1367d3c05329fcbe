"""`python -m analysis.selection`: which member of a family stands for it (section 4.3).

In: the pre-training manifests of all members, over all replicates. Out: a manifest whose figures
hold every member's held-out perplexities and the winner's name. What a member scored on end tasks
plays no part. The choice is made on the runs that are then reported, as in the paper; the manifest
keeps all of them, so the price of another choice can be read off.
"""

import math
from statistics import median

from study.command import recipe_argument, run_command, stage_parser
from study.errors import StudyError
from study.graph import Study
from study.manifest import MAYBE_NUMBER, load_manifest
from study.run import open_run
from study.tables import Row

EXAMPLE = (
    "python -m analysis.selection --recipe @runs/…/<key>/recipe.json --manifest manifest.json "
    "--pretrain runs/…/seed-0/<key>.json runs/…/seed-1/<key>.json"
)


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


def read_selection(study: Study, family: str) -> str:
    """The cell that stands for `family`.

    StudyError when the choice is of another recipe, or of a cell that is no member.
    """
    job = study.selection_job(family)
    found = load_manifest(job.path, key=job.key, stage="selection")
    winner, members = found.figure("winner", kind=str), study.config.families[family].members
    if winner not in members.values():
        raise StudyError(
            f"{job.path}: field figures.winner: {winner} is no member of {family}; "
            f"{found.rebuild_hint}"
        )
    return winner


def shown_cell(study: Study, row: Row) -> str | None:
    """The cell that a row shows: of a family, the one that was chosen; None for a reference."""
    return read_selection(study, row.family) if row.family else row.cell


def main(arguments: list[str] | None = None) -> None:
    """Command line of the selection stage."""
    parser = stage_parser("analysis.selection", "Choose a family's member.", EXAMPLE)
    parser.add_argument(
        "--pretrain", required=True, nargs="+", metavar="FILE", help="manifests of all members"
    )
    args = parser.parse_args(arguments)
    recipe = recipe_argument(args, "selection")
    found = {
        manifest.key: manifest
        for manifest in (load_manifest(path, stage="pretrain") for path in args.pretrain)
    }
    perplexities = {}
    for member, asked in recipe["members"].items():
        for key in asked["pretrain"]:
            if key not in found:
                raise StudyError(f"--pretrain: no manifest of {member} with key {key}")
        perplexities[member] = [
            found[key].figure(recipe["by"], kind=MAYBE_NUMBER) for key in asked["pretrain"]
        ]
    with open_run(args.manifest, recipe) as run:
        if run.adopt():
            return
        figures = {"winner": choose(perplexities), recipe["by"]: perplexities}
        run.publish(files=[], figures=figures)


if __name__ == "__main__":
    run_command(main)
