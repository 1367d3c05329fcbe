"""What the pre-trainings themselves came to: `results/pretraining.csv`, a line per run."""

import pandas as pd

from analysis.scores import add_study_arguments, asked_study, write_csv
from study.command import command_parser, run_command
from study.graph import Study
from study.manifest import MAYBE_NUMBER, load_manifest
from study.record import recorded

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
    parser = command_parser(
        "analysis.pretraining",
        "Write the figures of all pre-trainings of a study.",
        "python -m analysis.pretraining --scale laptop --output results/pretraining.csv",
    )
    add_study_arguments(parser)
    parsed = parser.parse_args(arguments)
    study = asked_study(parsed)
    with recorded(study, "pretraining", parsed.output):
        write_csv(read_pretraining(study), parsed.output)


if __name__ == "__main__":
    run_command(main)
