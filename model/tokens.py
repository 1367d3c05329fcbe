"""Tokens stage: one shard's sentences to token ids (paper section 4.4).

In: manifests of a shard's sentences and of the vocabulary. Out: flat ids and lengths per split (see
model.text.encoding). One thread per process unless RAYON_NUM_THREADS says otherwise, because
shards run side by side.
"""

import os

from model.text.encoding import PART_FILES, SPLITS, write_tokens
from model.text.sentences import SENTENCES_FILE
from model.text.tokenizer import Vocabulary
from study.command import recipe_argument, run_command, stage_parser
from study.manifest import load_manifest
from study.run import open_run


def main(arguments: list[str] | None = None) -> None:
    """Command line of the tokens stage."""
    parser = stage_parser(
        "model.tokens",
        __doc__,
        "python -m model.tokens --recipe @runs/tokens/KEY/recipe.json --manifest runs/tokens.json "
        "--sentences runs/sentences.json --vocabulary runs/vocabulary.json",
    )
    parser.add_argument("--sentences", required=True, metavar="FILE", help="manifest of the shard")
    parser.add_argument("--vocabulary", required=True, metavar="FILE", help="its manifest")
    args = parser.parse_args(arguments)
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    recipe = recipe_argument(args, "tokens")
    sentences = load_manifest(args.sentences, key=recipe["sentences"], stage="sentences")
    vocabulary = load_manifest(args.vocabulary, key=recipe["vocabulary"], stage="vocabulary")
    with open_run(args.manifest, recipe) as run:
        if run.adopt():
            return
        figures = write_tokens(
            sentences.file(SENTENCES_FILE), Vocabulary.load(vocabulary), run.directory
        )
        for split in SPLITS:
            for name in ("characters", "words", "bytes"):
                figures[split][name] = sentences.figure(split, name, kind=int)
        run.publish(files=PART_FILES, figures=figures)


if __name__ == "__main__":
    run_command(main)
