"""Features stage: a task's files -> tokenised features of both splits.

In: the manifests of a source and of a vocabulary. Out: the arrays of `model.tasks.features` under
train/ and dev/ (and dev-<name>/, test-<name>/ where the task has further splits), and figures per
split: examples, rows, tokens, truncated, labels, the share of the commonest label, and for SQuAD
how many gold answers their tokens give back.
"""

import sys
from pathlib import Path

from model.stages.stage import Result, Stage, Work
from model.tasks.columns import Examples, Split
from model.tasks.kinds import KINDS
from model.text.sources import add_place_arguments, places_of, source_files
from model.text.tokenizer import Vocabulary
from study.command import run_command
from study.recipes import RecipeTask

STAGE = Stage("features", __doc__, inputs=("source", "vocabulary"), add=add_place_arguments)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the features stage."""
    STAGE.parse(arguments).run(build)


def build(work: Work, directory: Path) -> Result:
    """Write the features of all splits."""
    task, files, figures = work.recipe.task, [], {}
    vocabulary = Vocabulary.load(work.input("vocabulary"))
    for split in splits_of(task):
        names, counts = build_split(work, vocabulary, split, directory / split)
        files += [f"{split}/{name}" for name in names]
        figures[split] = counts
        print(
            f"features {task.name} {split}: {counts['examples']} examples, {counts['rows']} "
            f"rows, {counts['tokens']} tokens, {counts['truncated']} truncated",
            file=sys.stderr,
            flush=True,
        )
    return files, figures


def splits_of(task: RecipeTask) -> dict[str, str]:
    """The source's split behind each split of the features."""
    return {
        "train": task.train,
        "dev": task.dev,
        **{f"dev-{name}": split for name, split in (task.more_dev or {}).items()},
        **{f"test-{name}": split for name, split in (task.test or {}).items()},
    }


def read_examples(
    paths: list[Path],
    task: RecipeTask,
    limit: int | None = None,
    *,
    labelled: bool = True,
    part: str | None = None,
) -> Examples:
    """Examples of one split in the files' order; without their labels unless `labelled`.

    With dev_fraction those of a `part`, "train" or "dev", where one is asked for. With a limit,
    those that come first in a keyed order of the whole split, so that every cell of a study sees
    the same ones; of a task of questions, all rows of so many questions. Raises StudyError naming
    the file, the column and the row for what the task's kind cannot read.
    """
    split = Split.open(paths)
    if task.dev_fraction is not None and part in ("train", "dev"):
        columns = [split.texts(column) for column in task.together]
        texts = ["\0".join(row) for row in zip(*columns, strict=True)]
        split = split.share(task.dev_fraction, texts, of_dev=part == "dev")
    if limit is not None and limit < len(split.rows):
        split = split.first(limit, task.texts[0] if task.facts.by_question else None)
    return KINDS[task.kind].read(split, task, labelled)


def build_split(
    work: Work, vocabulary: Vocabulary, split: str, folder: Path
) -> tuple[list[str], dict]:
    """Write one split's arrays into `folder`; return their names, and the split's figures."""
    task, length = work.recipe.task, work.recipe.length
    paths = source_files(work.input("source"), splits_of(task)[split], places_of(work.arguments))
    limit = getattr(task, f"{split}_examples", None)
    labelled = not split.startswith("test-")
    examples = read_examples(paths, task, limit, labelled=labelled, part=split)
    kind = KINDS[task.kind]
    features, figures = kind.build(examples, vocabulary, task, length, split == "train")
    if split == "train":
        features.ids = []  # only predictions need them
    return features.save(folder), figures


if __name__ == "__main__":
    run_command(main)
