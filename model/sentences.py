"""Sentences stage: one shard of a corpus, documents to sentences (paper sections 3.2 and 4.2).

In: a source manifest. Out: `sentences.parquet` (see model.text.sentences) and its figures. Shards
are contiguous ranges of the corpus's first `documents` documents (or of the first that hold
`bytes` of UTF-8 text, if the recipe has that) and can be made in parallel.
"""

from math import inf

from model.text.sentences import (
    SENTENCES_FILE,
    documents_within,
    shard_range,
    write_sentences,
)
from model.text.sources import add_place_arguments, places_of, read_range, source_files
from study.command import recipe_argument, run_command, stage_parser
from study.errors import StudyError
from study.manifest import load_manifest
from study.places import lists_all_parts, source_entries
from study.run import open_run


def main(arguments: list[str] | None = None) -> None:
    """Command line of the sentences stage."""
    parser = stage_parser(
        "model.sentences",
        __doc__,
        "python -m model.sentences --recipe @runs/sentences/KEY/recipe.json "
        "--source runs/source.json --manifest runs/sentences.json",
    )
    parser.add_argument("--source", required=True, metavar="FILE", help="manifest of the source")
    add_place_arguments(parser)
    args = parser.parse_args(arguments)
    recipe = recipe_argument(args, "sentences")
    if not 0 <= recipe["shard"] < recipe["shards"]:
        raise StudyError(
            f"--recipe: field shard: {recipe['shard']}, expected 0 to {recipe['shards'] - 1}"
        )
    source = load_manifest(args.source, key=recipe["source"], stage="source")
    with open_run(args.manifest, recipe) as run:
        if run.adopt():
            return
        paths = source_files(source, recipe["split"], places_of(args))
        rows = [entry["rows"] for entry in source_entries(source, recipe["split"])]
        if not lists_all_parts(source, recipe["split"]) and sum(rows) < (
            recipe["documents"] or inf
        ):
            raise StudyError(
                f"{source.path}: split {recipe['split']}: of its parts only {len(rows)} were "
                f"fetched, with {sum(rows)} documents, for a smaller study; {source.rebuild_hint}"
            )
        documents = min(sum(rows), recipe["documents"] or sum(rows))
        if "bytes" in recipe:
            texts = read_range(paths, rows, recipe["column"], 0, documents)
            documents = documents_within(texts, recipe["bytes"])
        start, stop = shard_range(documents, recipe["shard"], recipe["shards"])
        texts = read_range(paths, rows, recipe["column"], start, stop)
        figures = write_sentences(texts, recipe, run.directory / SENTENCES_FILE)
        if not figures["train"]["documents"]:
            raise StudyError(
                f"{source.path}: split {recipe['split']}: documents {start} to {stop} "
                "leave no text to train on"
            )
        run.publish(files=[SENTENCES_FILE], figures=figures)


if __name__ == "__main__":
    run_command(main)
