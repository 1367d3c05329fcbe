"""Source stage: find or download the files of a corpus or task, and note what they are.

In: a source recipe (hub repository at a pinned revision, or a folder) and perhaps a mirror. Out: a
manifest whose figures list each split's files with rows, bytes and SHA-256; nothing is copied from
a mirror or folder. Run again after the files moved, it checks their digests at the new place.
"""

from pathlib import Path

from model.text.sources import (
    add_mirror_argument,
    describe,
    locate,
    source_files,
    write_location,
)
from study.command import recipe_argument, run_command, stage_parser
from study.errors import StudyError
from study.manifest import Manifest
from study.run import Run, open_run


def main(arguments: list[str] | None = None) -> None:
    """Command line of the source stage."""
    parser = stage_parser(
        "model.fetch",
        __doc__,
        'python -m model.fetch --recipe \'{"stage":"source","version":1,"folder":"texts",'
        '"splits":["train"]}\' --manifest runs/source.json',
    )
    add_mirror_argument(parser)
    args = parser.parse_args(arguments)
    recipe = recipe_argument(args, "source")
    with open_run(args.manifest, recipe) as run:
        manifest = run.adopt()
        if manifest is not None:
            _find_again(run, manifest, args.mirror)
            return
        root, files = locate(recipe, args.mirror, run.directory / "snapshot")
        described = describe(root, files)
        write_location(run.directory, root)
        run.publish(files=[], figures={"files": described}, provenance={"root": str(root)})


def _find_again(run: Run, manifest: Manifest, mirror: Path | None) -> None:
    """Point a finished source at the files' new place; StudyError if they are not the same."""
    try:
        for split in manifest.recipe["splits"]:
            source_files(manifest, split)
    except StudyError:
        root, files = locate(run.recipe, mirror, run.directory / "snapshot")
        if describe(root, files) != manifest.figures["files"]:
            raise StudyError(
                f"{root}: not the files that {manifest.path} lists; {manifest.rebuild_hint}"
            ) from None
        write_location(run.directory, root)


if __name__ == "__main__":
    run_command(main)
