"""Sentences stage: one shard of a corpus, documents to sentences (paper sections 3.2 and 4.2).

In: a source manifest. Out: `sentences.parquet` (see model.text.splitting) and its figures. Shards
are contiguous ranges of the corpus's first `documents` documents (or of the first that hold
`bytes` of UTF-8 text, if the recipe has that) and can be made in parallel.
"""

from math import inf
from pathlib import Path

from model.stages.stage import Result, Stage, Work
from model.text.sources import add_place_arguments, places_of, read_range, source_files
from model.text.splitting import (
    SENTENCES_FILE,
    documents_within,
    shard_range,
    write_sentences,
)
from study.command import run_command
from study.errors import StudyError
from study.places import lists_all_parts, source_entries
from study.recipes import SentencesRecipe

STAGE = Stage("sentences", __doc__, inputs=("source",), add=add_place_arguments)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the sentences stage."""
    STAGE.parse(arguments).run(build)


def build(work: Work, directory: Path) -> Result:
    """Write the shard's sentences."""
    recipe: SentencesRecipe = work.recipe
    source, split = work.input("source"), recipe.split
    where = f"{source.path}: split {split}"
    paths = source_files(source, split, places_of(work.arguments))
    rows = [entry["rows"] for entry in source_entries(source, split)]
    if not lists_all_parts(source, split) and sum(rows) < (recipe.documents or inf):
        raise StudyError(
            f"{where}: of its parts only {len(rows)} were fetched, with {sum(rows)} documents, "
            f"for a smaller study; {source.rebuild_hint}"
        )
    boundary = source.recipe.get("boundary", "file")
    documents = min(sum(rows), recipe.documents or sum(rows))
    if recipe.bytes is not None:
        texts = read_range(paths, rows, recipe.column, 0, documents, boundary)
        documents = documents_within(texts, recipe.bytes)
    start, stop = shard_range(documents, recipe.shard, recipe.shards)
    texts = read_range(paths, rows, recipe.column, start, stop, boundary)
    figures = write_sentences(
        texts,
        directory / SENTENCES_FILE,
        recipe.language,
        recipe.heldout_fraction,
        recipe.splitter,
    )
    if not figures["train"]["documents"]:
        raise StudyError(f"{where}: documents {start} to {stop} leave no text to train on")
    return [SENTENCES_FILE], figures


if __name__ == "__main__":
    run_command(main)
