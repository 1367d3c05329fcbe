"""Store stage: the token files of all shards put together as one store per split.

In: manifests of tokens, in the recipe's order. Out: `train/` and `heldout/` (see model.text.store)
and figures: per split and corpus documents, sentences, tokens, characters, words, bytes, unknown
tokens and sentences without a token; the entropy of the held-out tokens' frequencies, nats. The
tokens are links to the shards' files, whose digests are known already.
"""

from collections import Counter
from pathlib import Path

from model.stages.stage import Result, Stage, Work
from model.text.store import (
    PART_FILES,
    SPLITS,
    TOKENS,
    shard_file,
    store_files,
    unigram_entropy,
    write_store,
)
from study.command import run_command
from study.digests import MEMORY, inherit_digests
from study.errors import StudyError
from study.manifest import Manifest
from study.recipes import StoreRecipe

STAGE = Stage("store", __doc__, inputs=("tokens",))


def main(arguments: list[str] | None = None) -> None:
    """Command line of the store stage."""
    work = STAGE.parse(arguments)
    check_shards(work)
    work.run(build)


def check_shards(work: Work) -> None:
    """Raise StudyError unless each shard has the recipe's vocabulary and all its files."""
    recipe: StoreRecipe = work.recipe
    for shard in work.inputs["tokens"]:
        if shard.recipe["vocabulary"] != recipe.vocabulary:
            raise StudyError(
                f"{shard.path}: field vocabulary: {shard.recipe['vocabulary']}, "
                f"expected {recipe.vocabulary}"
            )
        for name in PART_FILES:
            shard.file(name)


def build(work: Work, directory: Path) -> Result:
    """Write the store of both splits."""
    shards, corpora = work.inputs["tokens"], work.recipe.corpora
    names = list(dict.fromkeys(corpora))
    for split in SPLITS:
        write_store(
            [shard.run_directory / split for shard in shards],
            [names.index(corpus) for corpus in corpora],
            directory / split,
        )
    for number, shard in enumerate(shards):
        links = {f"{split}/{shard_file(number)}": f"{split}/{TOKENS}" for split in SPLITS}
        inherit_digests(directory, links, directory / MEMORY, shard.run_directory / MEMORY)
    dtype = shards[0].figure("dtype", kind=str)
    heldout = [directory / "heldout" / shard_file(number) for number in range(len(shards))]
    return store_files(len(shards)), {
        "dtype": dtype,
        "corpora": names,
        "unigram_entropy": unigram_entropy(heldout, dtype),
        **{split: _totals(shards, corpora, split) for split in SPLITS},
    }


def _totals(shards: list[Manifest], corpora: list[str], split: str) -> dict[str, dict[str, int]]:
    """Sums of the shards' figures per corpus."""
    totals: dict[str, Counter] = {corpus: Counter() for corpus in corpora}
    for shard, corpus in zip(shards, corpora, strict=True):
        counts = {name: shard.figure(split, name, kind=int) for name in shard.figure(split)}
        totals[corpus].update(counts)
    return {corpus: dict(counts) for corpus, counts in totals.items()}


if __name__ == "__main__":
    run_command(main)
