"""Source stage: find or download the files of a corpus or task, and note what they are.

In: a source recipe (hub repository, generator, or the digests of files in a folder) and where its
files lie, unless on the hub. Out: a manifest whose figures list each split's files with rows, bytes
and SHA-256, the commit where no revision is pinned, and how many parts a split has of which not all
were needed. Nothing is copied from a mirror or folder. Run again after the files moved, it checks
their digests at the new place.
"""

import argparse
from math import inf

from model.stages.stage import Stage
from model.text.sources import (
    Located,
    add_place_arguments,
    describe,
    locate,
    places_of,
    source_files,
    write_location,
)
from study.command import run_command
from study.digests import MEMORY
from study.errors import StudyError
from study.identity import read_json_argument
from study.manifest import Manifest
from study.parts import suffix_of
from study.places import Places, check_files, condensed
from study.recipes import SourceRecipe
from study.run import Run, open_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where files lie and how many of them are needed."""
    add_place_arguments(parser)
    parser.add_argument(
        "--needed",
        default="{}",
        metavar="JSON",
        help="documents to download, by the key of the source (default: all)",
    )


STAGE = Stage("source", __doc__, add=add_arguments, example="--mirror DIR")


def main(arguments: list[str] | None = None) -> None:
    """Command line of the source stage."""
    work = STAGE.parse(arguments)
    places = places_of(work.arguments)
    needed = read_json_argument(work.arguments.needed, "--needed")
    with open_run(work.arguments.manifest, work.written) as run:
        manifest = run.adopt()
        if manifest is None:
            _find(run, work.recipe, places, needed.get(run.key, inf))
        else:
            _find_again(run, work.recipe, manifest, places)


def _find(run: Run, recipe: SourceRecipe, places: Places, documents: float) -> None:
    """Publish what the files of a source are."""
    located = locate(run.recipe, places, run.directory / "snapshot", documents)
    figures: dict = {"files": describe(located, run.directory / MEMORY, recipe.boundary)}
    _check_contents(recipe, figures["files"], located)
    if located.commit is not None and recipe.revision is None:
        figures["revision"] = located.commit
    if located.of:
        figures["of"] = located.of
    write_location(run.directory, located.root)
    origin = {"root": str(located.root), "commit": located.commit}
    run.publish(files=[], figures=figures, provenance=origin)


def _check_contents(
    recipe: SourceRecipe, described: dict[str, list[dict]], located: Located
) -> None:
    """Raise StudyError unless a folder's files are those whose digests the recipe holds."""
    if recipe.files is None:
        return
    contents = {
        split: [
            [suffix_of(path), entry["sha256"]]
            for path, entry in zip(paths, described[split], strict=True)
        ]
        for split, paths in located.files.items()
    }
    for split, found in condensed(contents).items():
        if found != recipe.files[split]:
            raise StudyError(
                f"{located.root}: split {split}: not the files of the recipe; if they were changed "
                "meanwhile, run the same snakemake command again"
            )


def _find_again(run: Run, recipe: SourceRecipe, manifest: Manifest, places: Places) -> None:
    """Point a finished source at the files' new place; StudyError if they are not the same."""
    try:
        for split in recipe.splits:
            source_files(manifest, split)
    except StudyError:
        located = locate(run.recipe, places, run.directory / "snapshot")
        for split in recipe.splits:
            check_files(manifest, located.root, split, located.files[split])
        write_location(run.directory, located.root)


if __name__ == "__main__":
    run_command(main)
