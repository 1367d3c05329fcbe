"""Weights stage: a model of transformers' layout, under our names.

In: a weights recipe (a repository at a revision, or the digests of files in a folder) and where its
files lie, unless on the hub. Out: model.safetensors, the encoder and the heads of pre-training that
it has, fp32; of a repository also its tokenizer.json, where it has one. Figures: sizes, and the
files with bytes and SHA-256.
"""

import shutil
from pathlib import Path

from model.network.layout import Layout, read_shapes
from model.stages.stage import Result, Stage, Work
from model.text.hub import download_files
from model.text.sources import add_place_arguments, places_of
from study.command import run_command
from study.digests import MEMORY, digest_files
from study.errors import StudyError
from study.manifest import write_atomic
from study.recipes import WeightsRecipe
from study.starts import CONFIG, FILES, TOKENIZER, WEIGHTS, find_files, read_sizes

SNAPSHOT = "snapshot"  # what is downloaded, until it is read
STAGE = Stage("weights", __doc__, add=add_place_arguments, example="--mirror DIR")


def main(arguments: list[str] | None = None) -> None:
    """Command line of the weights stage."""
    STAGE.parse(arguments).run(build)


def build(work: Work, directory: Path) -> Result:
    """Write the tensors."""
    # imported here: parsing a command line needs no torch
    from safetensors.torch import save

    from model.network.starting import from_transformers

    files, recipe = _locate(work, directory), work.recipe
    digests = digest_files({str(p.absolute()): p for p in files.values()}, directory / MEMORY)
    found = {name: digests[str(path.absolute())] for name, path in files.items()}
    if recipe.files is not None and recipe.files != found:
        raise StudyError(
            f"{files[CONFIG].parent}: not the files of the recipe; if they were changed meanwhile, "
            "run the same snakemake command again"
        )
    sizes = read_sizes(files[CONFIG])
    layout = Layout(read_shapes(files[WEIGHTS]), sizes, files[WEIGHTS])
    write_atomic(directory / WEIGHTS, save(from_transformers(layout), {"format": "pt"}))
    made = [WEIGHTS]
    if TOKENIZER in files:  # for vocabularies that name these weights
        shutil.copyfile(files[TOKENIZER], directory / TOKENIZER)
        made.append(TOKENIZER)
    listed = [
        {"name": name, "bytes": files[name].stat().st_size, "sha256": found[name]} for name in files
    ]
    shutil.rmtree(directory / SNAPSHOT, ignore_errors=True)
    return made, {"sizes": sizes._asdict(), "files": listed}


def _locate(work: Work, directory: Path) -> dict[str, Path]:
    """The files in the folder or the mirror, or downloaded into the run directory."""
    recipe: WeightsRecipe = work.recipe
    root = places_of(work.arguments).root(work.written)
    if root is None and recipe.repo is None:
        raise StudyError("--places: no folder for the recipe's files")
    if root is None:
        root = directory / SNAPSHOT
        download_files(recipe.repo, recipe.revision, (*FILES, TOKENIZER), root)
    more = (TOKENIZER,) if recipe.repo and (root / TOKENIZER).is_file() else ()
    return find_files(root, (*FILES, *more))


if __name__ == "__main__":
    run_command(main)
