"""Tokens stage: one shard's sentences to token ids (paper section 4.4).

In: manifests of a shard's sentences and of the vocabulary. Out: flat ids and lengths per split (see
model.text.store). One thread per process unless RAYON_NUM_THREADS says otherwise, because
shards run side by side.
"""

import os
from pathlib import Path

from model.stages.stage import Result, Stage, Work
from model.text.splitting import SENTENCES_FILE
from model.text.store import PART_FILES, SPLITS, write_tokens
from model.text.tokenizer import Vocabulary
from study.command import run_command

STAGE = Stage("tokens", __doc__, inputs=("sentences", "vocabulary"))


def main(arguments: list[str] | None = None) -> None:
    """Command line of the tokens stage."""
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    STAGE.parse(arguments).run(build)


def build(work: Work, directory: Path) -> Result:
    """Write the shard's token ids."""
    sentences, vocabulary = work.input("sentences"), work.input("vocabulary")
    figures = write_tokens(sentences.file(SENTENCES_FILE), Vocabulary.load(vocabulary), directory)
    for split in SPLITS:
        for name in ("characters", "words", "bytes"):
            figures[split][name] = sentences.figure(split, name, kind=int)
    return PART_FILES, figures


if __name__ == "__main__":
    run_command(main)
