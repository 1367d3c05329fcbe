"""Files of one's own are read before anything runs, as tasks and minimal pairs will be read.

In, on stdin: a JSON list of [the recipe of features or of minimal pairs, the splits of its source,
the folder or file where that lies]. The first fault is the one line of an error, which names the
file, the column and the row.
"""

import json
import sys
from pathlib import Path

from model.stages.features import read_examples, splits_of
from model.tasks.minimal_pairs import read_pairs
from study.command import command_parser, run_command
from study.parts import own_files
from study.recipes import RecipeTask


def main(arguments: list[str] | None = None) -> None:
    """Read all splits of all of them."""
    example = "python -m model.tasks.checks < recipes.json"
    command_parser("model.tasks.checks", __doc__, example).parse_args(arguments)
    for recipe, splits, place in json.load(sys.stdin):
        if recipe["stage"] == "minimal_pairs":
            files = {split: own_files(Path(place), split) for split in splits}
            read_pairs(files, recipe.get("columns"))
            continue
        task = RecipeTask.model_validate(recipe["task"])
        for part, split in splits_of(task).items():
            labelled = not part.startswith("test-")
            read_examples(own_files(Path(place), split), task, labelled=labelled, part=part)


if __name__ == "__main__":
    run_command(main)
