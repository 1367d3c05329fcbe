"""Features stage: a task's parquet files -> tokenised features of both splits.

In: the manifests of a source and of a vocabulary. Out: the arrays of `model.tasks.features` under
train/ and dev/ (and dev-<name>/, test-<name>/ where the task has further splits), and figures per
split: examples, rows, tokens, truncated, labels, the share of the commonest label, and for SQuAD
how many gold answers their tokens give back.
"""

import sys

from model.tasks.choice import build_choices
from model.tasks.data import read_examples
from model.tasks.features import build_texts, check_length
from model.tasks.pronouns import build_pronouns
from model.tasks.ranking import build_ranking
from model.tasks.scoring import check_metrics
from model.tasks.span import build_spans
from model.text.sources import add_place_arguments, places_of, source_files
from model.text.tokenizer import Vocabulary
from study.command import recipe_argument, run_command, stage_parser
from study.manifest import Manifest, load_manifest
from study.places import Places
from study.run import Run, open_run


def main(arguments: list[str] | None = None) -> None:
    """Command line of the features stage."""
    parser = stage_parser(
        "model.features",
        __doc__,
        "python -m model.features --recipe @RUN/recipe.json --manifest RUN/../manifest.json "
        "--source SOURCE.json --vocabulary VOCABULARY.json",
    )
    parser.add_argument("--source", required=True, metavar="FILE", help="manifest of the task")
    add_place_arguments(parser)
    parser.add_argument("--vocabulary", required=True, metavar="FILE", help="its manifest")
    args = parser.parse_args(arguments)
    recipe = recipe_argument(args, "features")
    source = load_manifest(args.source, key=recipe["source"], stage="source")
    vocabulary = load_manifest(args.vocabulary, key=recipe["vocabulary"], stage="vocabulary")
    check_metrics(recipe["task"])
    check_length(recipe["task"], recipe["length"])
    with open_run(args.manifest, recipe) as run:
        if run.adopt():
            return
        files, figures = [], {}
        for split in splits_of(recipe["task"]):
            names, figures[split] = _build_split(
                run, recipe, source, places_of(args), vocabulary, split
            )
            files += names
        run.publish(files=files, figures=figures)
    for split, figure in figures.items():
        print(
            f"features {recipe['task']['name']} {split}: {figure['examples']} examples, "
            f"{figure['rows']} rows, {figure['tokens']} tokens, {figure['truncated']} truncated",
            file=sys.stderr,
            flush=True,
        )


def splits_of(task: dict) -> dict[str, str]:
    """The source's split behind each split of the features."""
    return {
        "train": task["train"],
        "dev": task["dev"],
        **{f"dev-{name}": split for name, split in task.get("more_dev", {}).items()},
        **{f"test-{name}": split for name, split in task.get("test", {}).items()},
    }


def _build_split(
    run: Run,
    recipe: dict,
    source: Manifest,
    places: Places,
    vocabulary: Manifest,
    split: str,
) -> tuple[list[str], dict]:
    """Write one split's arrays; return their names relative to the run directory, and figures."""
    task, length = recipe["task"], recipe["length"]
    paths = source_files(source, splits_of(task)[split], places)
    limit = task.get(f"{split}_examples")
    examples = read_examples(paths, task, limit, labelled=not split.startswith("test-"))
    words = Vocabulary.load(vocabulary)
    if task["kind"] == "span":
        features, figures = build_spans(examples, words, task, length, characters=split == "dev")
    elif task["kind"] == "choice":
        features, figures = build_choices(examples, words, task, length)
    elif task["kind"] in ("ranking", "wsc"):
        build = build_ranking if task["kind"] == "ranking" else build_pronouns
        features, figures = build(examples, words, task, length, train=split == "train")
    else:
        features, figures = build_texts(examples, words, task, length)
    if split == "train":
        features.ids = []  # only predictions need them
    return [f"{split}/{name}" for name in features.save(run.directory / split)], figures


if __name__ == "__main__":
    run_command(main)
