"""Vocabulary stage: train a tokenizer on the study's corpora, or take a named one (paper 4.4).

In: manifests of sentences (or a `tokenizer.json` whose digest the recipe holds). Out:
`tokenizer.json`. Only documents that are not held out are read, and at most `characters` characters
of them, from each shard in proportion to its size.
"""

import shutil
from functools import partial
from pathlib import Path

from model.text.sentences import SENTENCES_FILE
from model.text.sources import add_place_arguments, places_of
from model.text.tokenizer import TOKENIZER_FILE, Vocabulary
from model.text.vocabulary import limited_blocks, share_characters, train_vocabulary
from study.command import recipe_argument, run_command, stage_parser
from study.digests import sha256_file
from study.errors import StudyError
from study.identity import key_of
from study.manifest import load_manifest, write_atomic
from study.places import Places
from study.run import open_run


def main(arguments: list[str] | None = None) -> None:
    """Command line of the vocabulary stage."""
    parser = stage_parser(
        "model.vocabulary",
        __doc__,
        "python -m model.vocabulary --recipe @runs/vocabulary/KEY/recipe.json "
        "--sentences runs/sentences-0.json runs/sentences-1.json --manifest runs/vocabulary.json",
    )
    parser.add_argument(
        "--sentences",
        nargs="*",
        default=[],
        metavar="FILE",
        help="manifests of the sentences, in the recipe's order",
    )
    add_place_arguments(parser)
    args = parser.parse_args(arguments)
    recipe = recipe_argument(args, "vocabulary")
    with open_run(args.manifest, recipe) as run:
        if run.adopt():
            return
        target = run.directory / TOKENIZER_FILE
        if recipe["kind"] == "file":
            _copy(recipe, places_of(args), target)
        else:
            write_atomic(target, _train(recipe, args.sentences))
        size = Vocabulary.load(target).size
        run.publish(files=[TOKENIZER_FILE], figures={"size": size})


def _copy(recipe: dict, places: Places, target: Path) -> None:
    """Copy the tokenizer.json that the recipe describes; StudyError for another one."""
    given = places.by_key.get(key_of(recipe))
    if given is None:
        raise StudyError("--places: no path for the recipe's tokenizer.json")
    if sha256_file(Path(given)) != recipe["sha256"]:
        raise StudyError(f"{given}: SHA-256 differs from the recipe's")
    Vocabulary.load(given)
    shutil.copyfile(given, target)


def _train(recipe: dict, sentences: list[str]) -> str:
    """The trained tokenizer's JSON."""
    keys = recipe["sentences"]
    if len(keys) != len(sentences):
        raise StudyError(f"--sentences: {len(sentences)} manifests, the recipe names {len(keys)}")
    manifests = [
        load_manifest(path, key=key, stage="sentences")
        for path, key in zip(sentences, keys, strict=True)
    ]
    paths: list[Path] = [manifest.file(SENTENCES_FILE) for manifest in manifests]
    available = [manifest.figure("train", "characters", kind=int) for manifest in manifests]
    limits = share_characters(recipe["characters"], available)
    tokenizer = train_vocabulary(
        partial(limited_blocks, paths, limits),
        recipe["kind"],
        recipe["size"],
        recipe.get("lowercase", False),
    )
    return tokenizer.to_str()


if __name__ == "__main__":
    run_command(main)
