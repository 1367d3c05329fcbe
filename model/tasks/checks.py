"""Files of one's own are read before anything runs, as tasks and minimal pairs will be read.

In, on stdin: a JSON list of [the recipe of features or of minimal pairs, the splits of its source,
the folder or file where that lies]. The first fault is the one line of an error, which names the
file, the column and the row. A notice says what a `dev_fraction` holds out.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from model.stages.features import read_examples, splits_of
from model.tasks.columns import Examples
from model.tasks.minimal_pairs import read_pairs
from study.command import command_parser, run_command
from study.errors import StudyError
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
        read = {}
        for part, split in splits_of(task).items():
            labelled = not part.startswith("test-")
            files = own_files(Path(place), split)
            read[part] = read_examples(files, task, labelled=labelled, part=part)
            if task.kind == "regression" and part.startswith("dev"):
                check_spread(task, files[0], read[part])
        if task.dev_fraction is not None:
            print(f"notice: {held_out(task, read)}", file=sys.stderr, flush=True)


def check_spread(task: RecipeTask, file: Path, dev: Examples) -> None:
    """Raise StudyError where all values to score are one, with which nothing correlates."""
    values = {*dev.labels.tolist()}
    if len(values) < 2:
        raise StudyError(
            f"{file}: column {task.label}: {len(dev)} rows to score, all of them {values.pop():g}; "
            "expected several values, for a correlation"
        )


def held_out(task: RecipeTask, read: dict[str, Examples]) -> str:
    """How many rows a task's `dev_fraction` takes; of classes, how many of each."""
    dev = read["dev"]
    count = f"{len(dev):,} of {len(dev) + len(read['train']):,} rows"
    line = f"tasks.{task.name}: dev_fraction {task.dev_fraction} holds out {count}"
    if task.kind != "classification":
        return line
    names = task.labels if isinstance(task.labels, list) else range(task.labels)
    classes = Counter(dev.labels.tolist())
    return f"{line}: {', '.join(f'{classes[place]} {name}' for place, name in enumerate(names))}"


if __name__ == "__main__":
    run_command(main)
