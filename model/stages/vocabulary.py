"""Vocabulary stage: train a tokenizer on the study's corpora, or take a named one (paper 4.4).

In: manifests of sentences (or a `tokenizer.json` whose digest the recipe holds). Out:
`tokenizer.json`. Only documents that are not held out are read, and at most `characters` characters
of them, from each shard in proportion to its size.
"""

import shutil
from functools import partial
from pathlib import Path

from model.stages.stage import Result, Stage, Work
from model.text.sentences import SENTENCES_FILE
from model.text.sources import add_place_arguments, places_of
from model.text.tokenizer import TOKENIZER_FILE, Vocabulary
from model.text.vocabulary import limited_blocks, share_characters, train_vocabulary
from study.command import run_command
from study.digests import sha256_file
from study.errors import StudyError
from study.identity import key_of
from study.manifest import Manifest, write_atomic
from study.places import Places

STAGE = Stage("vocabulary", __doc__, several=("sentences",), add=add_place_arguments)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the vocabulary stage."""
    STAGE.parse(arguments).run(build)


def build(work: Work, directory: Path) -> Result:
    """Write the tokenizer."""
    target = directory / TOKENIZER_FILE
    if work.recipe["kind"] == "file":
        _copy(work.recipe, places_of(work.arguments), target)
    else:
        write_atomic(target, _train(work.recipe, work.inputs["sentences"]))
    return [TOKENIZER_FILE], {"size": Vocabulary.load(target).size}


def _copy(recipe: dict, places: Places, target: Path) -> None:
    """Copy the tokenizer.json that the recipe describes; StudyError for another one."""
    given = places.by_key.get(key_of(recipe))
    if given is None:
        raise StudyError("--places: no path for the recipe's tokenizer.json")
    if sha256_file(Path(given)) != recipe["sha256"]:
        raise StudyError(f"{given}: SHA-256 differs from the recipe's")
    Vocabulary.load(given)
    shutil.copyfile(given, target)


def _train(recipe: dict, shards: list[Manifest]) -> str:
    """The trained tokenizer's JSON."""
    paths: list[Path] = [shard.file(SENTENCES_FILE) for shard in shards]
    available = [shard.figure("train", "characters", kind=int) for shard in shards]
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
