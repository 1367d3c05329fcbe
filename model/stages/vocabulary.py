"""Vocabulary stage: train a tokenizer on the study's corpora, or take a named one (paper 4.4).

In: manifests of sentences (or a `tokenizer.json` whose digest the recipe holds). Out:
`tokenizer.json`. Only documents that are not held out are read, and at most `characters` characters
of them, from each shard in proportion to its size.
"""

import shutil
from functools import partial
from pathlib import Path

from model.stages.stage import Result, Stage, Work
from model.text.sources import add_place_arguments, places_of
from model.text.splitting import SENTENCES_FILE
from model.text.tokenizer import TOKENIZER_FILE, Vocabulary
from model.text.vocabulary_training import limited_blocks, share_characters, train_vocabulary
from study.command import run_command
from study.digests import sha256_file
from study.errors import StudyError
from study.identity import key_of
from study.manifest import Manifest, write_atomic
from study.recipes import VocabularyRecipe

STAGE = Stage("vocabulary", __doc__, inputs=("sentences",), add=add_place_arguments)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the vocabulary stage."""
    STAGE.parse(arguments).run(build)


def build(work: Work, directory: Path) -> Result:
    """Write the tokenizer."""
    recipe: VocabularyRecipe = work.recipe
    target = directory / TOKENIZER_FILE
    if recipe.kind == "file":
        path = places_of(work.arguments).by_key.get(key_of(work.written))
        _copy(recipe.sha256, path, target)
    else:
        write_atomic(target, _train(recipe, work.inputs["sentences"]))
    return [TOKENIZER_FILE], {"size": Vocabulary.load(target).size}


def _copy(digest: str, path: str | None, target: Path) -> None:
    """Copy the tokenizer.json at `path`; StudyError where it is not that of the digest."""
    if path is None:
        raise StudyError("--places: no path for the recipe's tokenizer.json")
    if sha256_file(Path(path)) != digest:
        raise StudyError(f"{path}: SHA-256 differs from the recipe's")
    Vocabulary.load(path)
    shutil.copyfile(path, target)


def _train(recipe: VocabularyRecipe, shards: list[Manifest]) -> str:
    """The trained tokenizer's JSON."""
    paths: list[Path] = [shard.file(SENTENCES_FILE) for shard in shards]
    available = [shard.figure("train", "characters", kind=int) for shard in shards]
    limits = share_characters(recipe.characters, available)
    tokenizer = train_vocabulary(
        partial(limited_blocks, paths, limits),
        recipe.kind,
        recipe.size,
        bool(recipe.lowercase),
    )
    return tokenizer.to_str()


if __name__ == "__main__":
    run_command(main)
