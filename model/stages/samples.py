"""Samples stage: token store -> index arrays of one input format.

In: the manifest of a store. Out, for both splits, `<run>/<split>/` with the files of
`model.samples.index`. Figures: per split the counts of `Samples.figures`.
"""

import sys
from pathlib import Path

from model.samples import formats
from model.samples.index import sample_files
from model.stages.stage import Progress, Result, Stage, Work
from model.text.store import SPLITS, TokenStore
from study.command import run_command
from study.errors import StudyError
from study.recipes import SamplesRecipe

HELDOUT_SEED = 0  # held-out pairs are the same for every pre-training seed
STAGE = Stage("samples", __doc__, inputs=("store",))


def main(arguments: list[str] | None = None) -> None:
    """Command line of the samples stage."""
    STAGE.parse(arguments).run(build)


def build(work: Work, directory: Path) -> Result:
    """Write the samples of both splits; StudyError for a store that does not fit the format."""
    recipe: SamplesRecipe = work.recipe
    store = work.input("store")
    files, figures = [], {}
    for split in SPLITS:
        seed = recipe.seed or 0 if split == "train" else HELDOUT_SEED
        try:
            samples = formats.build(
                TokenStore.open(store, split),
                directory / split,
                recipe.format,
                recipe.length,
                recipe.separators or "document",
                seed,
                recipe.negatives,
                Progress(split, "tokens").told,
            )
        except StudyError as error:
            hint = "; held out is a share heldout_fraction of the documents"
            where = f"{store.path}: split {split}"
            raise StudyError(f"{where}: {error}{hint * (split == 'heldout')}") from None
        files += [f"{split}/{name}" for name in sample_files(recipe.format)]
        figures[split] = samples.figures
        print(f"{split}: {samples.figures}", file=sys.stderr)
    return files, figures


if __name__ == "__main__":
    run_command(main)
