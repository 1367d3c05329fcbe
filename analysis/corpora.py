"""What the studies' corpora hold: `results/corpora.csv`, a line per mixture, corpus and split.

Documents, sentences, words, bytes; tokens, tokens per word and the share of unknown tokens under
the mixture's vocabulary (sections 3.2 and 4.4).
"""

import pandas as pd

from analysis.command import csv_command
from analysis.values import token_rates
from study.command import run_command
from study.graph import Study
from study.manifest import NUMBER, load_manifest

COUNTS = ("documents", "sentences", "words", "characters", "bytes", "tokens", "unknown_tokens")


def read_corpora(study: Study) -> pd.DataFrame:
    """Counts of every token store that a cell of a table is trained on, per corpus and split.

    `fertility` is tokens per white-space-separated word, `unknown_rate` percent of the tokens.
    """
    rows = []
    for job in study.store_jobs():
        manifest = load_manifest(job.path, key=job.key, stage="store")
        mixture = {
            "data": "+".join(job.names["data"]),
            "vocabulary": job.names["vocabulary"],
        }
        for split in ("train", "heldout"):
            for corpus in dict.fromkeys(manifest.recipe["corpora"]):
                counts = {
                    name: manifest.figure(split, corpus, name, kind=NUMBER) for name in COUNTS
                }
                rates = token_rates(counts["words"], counts["tokens"], counts["unknown_tokens"])
                rows.append(
                    {
                        "scale": study.scale,
                        **mixture,
                        "corpus": corpus,
                        "split": split,
                        **counts,
                        **rates,
                        "key": manifest.key,
                    }
                )
    return pd.DataFrame(rows)


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.corpora`."""
    purpose = "Write what the corpora of a study hold."
    csv_command(arguments, "corpora", purpose, read_corpora)


if __name__ == "__main__":
    run_command(main)
