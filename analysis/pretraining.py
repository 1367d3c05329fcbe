"""What the pre-trainings themselves came to: `results/pretraining.csv`, a line per run."""

import pandas as pd

from analysis.command import csv_command
from study.command import run_command
from study.graph import Study
from study.manifest import MAYBE_NUMBER, load_manifest

FIGURES = (
    "steps",
    "diverged",
    "heldout_loss",
    "heldout_perplexity",
    "tokens",
    "masked",
    "epochs",
    "parameters",
)


def read_pretraining(study: Study) -> pd.DataFrame:
    """Figures of every pre-training that a table shows; losses in nats per masked token.

    Perplexities are comparable between cells only where the vocabulary and the format agree.
    `steps` were done; `diverged` is the update whose loss was not finite, empty if there was none.
    `heldout_perplexity.<corpus>` is that of one corpus, empty where it holds nothing out.
    """
    rows = []
    for job in study.pretrain_jobs():
        manifest = load_manifest(job.path, key=job.key, stage="pretrain")
        row = {
            "scale": study.scale,
            "cell": job.names["cell"],
            "pretraining_seed": job.names["seed"],
        }
        row.update({name: manifest.figure(name, kind=MAYBE_NUMBER) for name in FIGURES})
        for corpus in manifest.figure("corpora"):
            perplexity = manifest.figure("corpora", corpus, "perplexity", kind=MAYBE_NUMBER)
            row[f"heldout_perplexity.{corpus}"] = perplexity
        rows.append({**row, "key": manifest.key})
    frame = pd.DataFrame(rows)
    return frame[[*frame.columns.drop("key"), "key"]]


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.pretraining`."""
    purpose = "Write the figures of all pre-trainings of a study."
    csv_command(arguments, "pretraining", purpose, read_pretraining)


if __name__ == "__main__":
    run_command(main)
