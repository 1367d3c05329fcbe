"""`python -m model.build_samples`: token store -> index arrays of one input format.

In: the manifest of a store. Out, for both splits, `<run>/<split>/` with the files of
`model.samples.index`. Figures: per split the counts of `Samples.figures`.
"""

import sys

from model.samples.formats import build
from model.text.store import SPLITS, TokenStore
from study.command import recipe_argument, run_command, stage_parser
from study.errors import StudyError
from study.manifest import load_manifest
from study.run import open_run

HELDOUT_SEED = 0  # held-out pairs are the same for every pre-training seed
EXAMPLE = (
    "python -m model.build_samples --recipe "
    '\'{"stage":"samples","version":1,"store":"<key>","format":"doc-sentences",'
    '"length":128,"separators":"document"}\' --manifest samples.json --store store.json'
)


def main(arguments: list[str] | None = None) -> None:
    """Build the samples of both splits; StudyError for a recipe or store that does not fit."""
    parser = stage_parser("model.build_samples", "Index arrays of one input format.", EXAMPLE)
    parser.add_argument("--store", required=True, metavar="FILE", help="manifest of the store")
    args = parser.parse_args(arguments)
    recipe = recipe_argument(args, "samples")
    manifest = load_manifest(args.store, key=recipe["store"], stage="store")
    with open_run(args.manifest, recipe) as run:
        if run.adopt():
            return
        files, figures = [], {}
        for split in SPLITS:
            seed = recipe.get("seed", 0) if split == "train" else HELDOUT_SEED
            try:
                samples = build(
                    TokenStore.open(manifest, split),
                    recipe["format"],
                    recipe["length"],
                    recipe.get("separators", "document"),
                    seed,
                    recipe.get("negatives", "any"),
                )
            except StudyError as error:
                hint = "; held out is a share heldout_fraction of the documents"
                where = f"{args.store}: split {split}"
                raise StudyError(f"{where}: {error}{hint * (split == 'heldout')}") from None
            names = samples.save(run.directory / split)
            files += [f"{split}/{name}" for name in names]
            figures[split] = samples.figures
            print(f"{split}: {samples.figures}", file=sys.stderr)
        run.publish(files, figures)


if __name__ == "__main__":
    run_command(main)
