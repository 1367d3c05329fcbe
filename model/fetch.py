"""Source stage: find or download the files of a corpus or task, and note what they are.

In: a source recipe (hub repository, generator, or the digests of files in a folder) and where its
files lie, unless on the hub. Out: a manifest whose figures list each split's files with rows, bytes
and SHA-256, the commit where no revision is pinned, and how many parts a split has of which not all
were needed. Nothing is copied from a mirror or folder. Run again after the files moved, it checks
their digests at the new place.
"""

from math import inf

from model.text.sources import (
    Located,
    add_place_arguments,
    describe,
    locate,
    places_of,
    source_files,
    write_location,
)
from study.command import recipe_argument, run_command, stage_parser
from study.digests import MEMORY
from study.errors import StudyError
from study.identity import read_json_argument
from study.manifest import Manifest
from study.places import Places, lists_all_parts, other_files, source_entries
from study.run import Run, open_run


def main(arguments: list[str] | None = None) -> None:
    """Command line of the source stage."""
    parser = stage_parser(
        "model.fetch",
        __doc__,
        'python -m model.fetch --recipe \'{"stage":"source","version":1,"repo":"ehovy/race",'
        '"config":"all","splits":["validation"]}\' --manifest runs/source.json --mirror DIR',
    )
    add_place_arguments(parser)
    parser.add_argument(
        "--needed",
        default="{}",
        metavar="JSON",
        help="documents to download, by the key of the source (default: all)",
    )
    args = parser.parse_args(arguments)
    recipe, places = recipe_argument(args, "source"), places_of(args)
    needed = read_json_argument(args.needed, "--needed")
    with open_run(args.manifest, recipe) as run:
        manifest = run.adopt()
        if manifest is not None:
            _find_again(run, manifest, places)
            return
        documents = needed.get(run.key, inf)
        located = locate(recipe, places, run.directory / "snapshot", documents)
        figures: dict = {"files": describe(located, run.directory / MEMORY)}
        _check_contents(recipe, figures["files"], located)
        if located.commit is not None and "revision" not in recipe:
            figures["revision"] = located.commit
        if located.of:
            figures["of"] = located.of
        write_location(run.directory, located.root)
        origin = {"root": str(located.root), "commit": located.commit}
        run.publish(files=[], figures=figures, provenance=origin)


def _check_contents(recipe: dict, described: dict[str, list[dict]], located: Located) -> None:
    """Raise StudyError unless a folder's files are those whose digests the recipe holds."""
    for split, expected in recipe.get("files", {}).items():
        found = [entry["sha256"] for entry in described[split]]
        if found != [digest for _, digest in expected]:
            raise StudyError(
                f"{located.root}: split {split}: not the files of the recipe; if they were changed "
                "meanwhile, run the same snakemake command again"
            )


def _find_again(run: Run, manifest: Manifest, places: Places) -> None:
    """Point a finished source at the files' new place; StudyError if they are not the same."""
    try:
        for split in manifest.recipe["splits"]:
            source_files(manifest, split)
    except StudyError:
        located = locate(run.recipe, places, run.directory / "snapshot")
        described = describe(located, run.directory / MEMORY)
        for split in manifest.recipe["splits"]:
            found = [entry["sha256"] for entry in described[split]]
            if not lists_all_parts(manifest, split):
                found = found[: len(source_entries(manifest, split))]
            if found != [entry["sha256"] for entry in source_entries(manifest, split)]:
                where = f"{located.root}: split {split}: other files"
                raise other_files(where, manifest, located.root) from None
        write_location(run.directory, located.root)


if __name__ == "__main__":
    run_command(main)
