"""Store stage: the token files of all shards put together as one store per split.

In: manifests of tokens, in the recipe's order. Out: `train/` and `heldout/` (see model.text.store)
and figures: per split and corpus documents, sentences, tokens, characters, words, bytes, unknown
tokens and sentences without a token.
"""

from collections import Counter

from model.text.encoding import PART_FILES
from model.text.store import SPLITS, STORE_FILES, write_store
from study.command import recipe_argument, run_command, stage_parser
from study.errors import StudyError
from study.manifest import Manifest, load_manifest
from study.run import open_run


def main(arguments: list[str] | None = None) -> None:
    """Command line of the store stage."""
    parser = stage_parser(
        "model.store",
        __doc__,
        "python -m model.store --recipe @runs/store/KEY/recipe.json "
        "--tokens runs/tokens-0.json runs/tokens-1.json --manifest runs/store.json",
    )
    parser.add_argument(
        "--tokens", required=True, nargs="+", metavar="FILE", help="manifests of the shards"
    )
    args = parser.parse_args(arguments)
    recipe = recipe_argument(args, "store")
    shards = _load_shards(recipe, args.tokens)
    names = list(dict.fromkeys(recipe["corpora"]))
    with open_run(args.manifest, recipe) as run:
        if run.adopt():
            return
        for split in SPLITS:
            write_store(
                [shard.run_directory / split for shard in shards],
                [names.index(corpus) for corpus in recipe["corpora"]],
                run.directory / split,
            )
        figures = {
            "dtype": shards[0].figure("dtype", kind=str),
            "corpora": names,
            **{split: _totals(shards, recipe["corpora"], split) for split in SPLITS},
        }
        run.publish(files=STORE_FILES, figures=figures)


def _load_shards(recipe: dict, paths: list[str]) -> list[Manifest]:
    """The shards' manifests, whole and of the recipe's keys and vocabulary."""
    for field in ("tokens", "corpora"):
        if len(recipe[field]) != len(paths):
            raise StudyError(
                f"--tokens: {len(paths)} manifests, "
                f"but field {field} of the recipe has {len(recipe[field])} entries"
            )
    shards = [
        load_manifest(path, key=key, stage="tokens")
        for path, key in zip(paths, recipe["tokens"], strict=True)
    ]
    for shard in shards:
        if shard.recipe["vocabulary"] != recipe["vocabulary"]:
            raise StudyError(
                f"{shard.path}: field vocabulary: {shard.recipe['vocabulary']}, "
                f"expected {recipe['vocabulary']}"
            )
        for name in PART_FILES:
            shard.file(name)
    return shards


def _totals(shards: list[Manifest], corpora: list[str], split: str) -> dict[str, dict[str, int]]:
    """Sums of the shards' figures per corpus."""
    totals: dict[str, Counter] = {corpus: Counter() for corpus in corpora}
    for shard, corpus in zip(shards, corpora, strict=True):
        counts = {name: shard.figure(split, name, kind=int) for name in shard.figure(split)}
        totals[corpus].update(counts)
    return {corpus: dict(counts) for corpus, counts in totals.items()}


if __name__ == "__main__":
    run_command(main)
