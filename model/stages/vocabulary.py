"""Vocabulary stage: train a tokenizer on the study's corpora, or take a named one (paper 4.4).

In: manifests of sentences (or a `tokenizer.json` whose digest the recipe holds, or the manifest of
weights beside which it lies). Out:
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

STAGE = Stage("vocabulary", __doc__, inputs=("sentences", "weights"), add=add_place_arguments)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the vocabulary stage."""
    STAGE.parse(arguments).run(build)


def build(work: Work, directory: Path) -> Result:
    """Write the tokenizer."""
    recipe: VocabularyRecipe = work.recipe
    target = directory / TOKENIZER_FILE
    if recipe.kind == "file":
        _copy(_locate(work), recipe, target)
    else:
        write_atomic(target, _train(recipe, work.inputs["sentences"]))
    return [TOKENIZER_FILE], {"size": Vocabulary.load(target).size}


def _locate(work: Work) -> Path:
    """The tokenizer.json: a file, or that beside the weights of a repository."""
    if work.recipe.weights is not None:
        run = work.input("weights")
        if TOKENIZER_FILE not in run.files:
            repo = run.recipe["repo"]
            raise StudyError(f"{repo}: no {TOKENIZER_FILE}; name one by path, of kind file")
        return run.file(TOKENIZER_FILE)
    path = places_of(work.arguments).by_key.get(key_of(work.written))
    if path is None:
        raise StudyError("--places: no path for the recipe's tokenizer.json")
    return Path(path)


def _copy(path: Path, recipe: VocabularyRecipe, target: Path) -> None:
    """Copy the tokenizer.json at `path`; StudyError where it is not that of the recipe."""
    if recipe.sha256 is not None and sha256_file(path) != recipe.sha256:
        raise StudyError(f"{path}: SHA-256 differs from the recipe's")
    size = Vocabulary.load(path).size
    if recipe.weights is not None and size != recipe.size:
        raise StudyError(f"{path}: {size} entries, but the vocabulary's size is {recipe.size}")
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
