"""Scores of fine-tuned models, read from manifests that the study still stands for.

`python -m analysis.scores` writes them tidily: one line per (cell, pre-training seed, task,
fine-tuning seed, metric).
"""

import pandas as pd

from analysis.command import (
    add_study_arguments,
    check_known,
    csv_text,
    snakemake_command,
    study_of,
)
from study.command import command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.jobs import Job
from study.manifest import MAYBE_NUMBER, load_manifest, write_atomic
from study.record import recorded

COLUMNS = [
    "scale",
    "cell",
    "pretraining_seed",
    "task",
    "setting",
    "finetuning_seed",
    "metric",
    "value",
    "diverged",
    "run_key",
    "key",
    "pretraining_key",
]


def read_scores(study: Study, jobs: list[Job], target: str) -> pd.DataFrame:
    """Scores of `jobs` as a data frame with COLUMNS, values in percent.

    `setting` names a point of the task's grid, "" where there is none. `run_key` is of the run of
    one fine-tuning seed, `key` of all seeds together.

    Every manifest must carry the key that the study's configuration asks for now. Raises
    StudyError that counts those that do not and names the command that builds them for `target`,
    and for a manifest that lacks a seed of its recipe or a metric of its task.
    """
    rows, stale = [], []
    for job in jobs:
        try:
            manifest = load_manifest(job.path, key=job.key, stage="finetune")
        except StudyError as error:
            stale.append(str(error).split("; ")[0])
            continue
        reported = study.config.tasks[job.names["task"]].reported_metrics
        for finetuning_seed in map(str, job.recipe["seeds"]):
            diverged = manifest.figure("seeds", finetuning_seed, "diverged", kind=bool)
            metrics = manifest.figure("seeds", finetuning_seed, "metrics")
            run_key = manifest.figure("seeds", finetuning_seed, "key", kind=str)
            for metric in dict.fromkeys((*reported, *metrics)):
                where = ("seeds", finetuning_seed, "metrics", metric)
                rows.append(
                    {
                        "scale": study.scale,
                        "cell": job.names["cell"],
                        "pretraining_seed": job.names["seed"],
                        "task": job.names["task"],
                        "setting": job.names["setting"],
                        "finetuning_seed": int(finetuning_seed),
                        "metric": metric,
                        "value": manifest.figure(*where, kind=MAYBE_NUMBER),
                        "diverged": diverged,
                        "run_key": run_key,
                        "key": manifest.key,
                        "pretraining_key": manifest.recipe["pretrain"],
                    }
                )
    if stale:
        raise StudyError(
            f"{len(stale)} of {len(jobs)} scores are missing or of another recipe, the first: "
            f"{stale[0]}; build them with: {snakemake_command(study, target)}"
        )
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.sort_values(COLUMNS[:7], kind="stable", ignore_index=True)


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.scores`."""
    parser = command_parser(
        "analysis.scores",
        "Write the scores of a study, or of one cell, one line per score.",
        "python -m analysis.scores --scale laptop --output results/scores.csv",
    )
    parser.add_argument("--cell", metavar="NAME", help="only this cell")
    add_study_arguments(parser)
    parsed = parser.parse_args(arguments)
    study = study_of(parsed)
    if parsed.cell is not None:
        check_known(f"--cell {parsed.cell}", "cell", parsed.cell, study.config.cells)
    result = "scores" if parsed.cell is None else f"cells/{parsed.cell}"
    with recorded(study, result, parsed.output) as due:
        if due:
            scores = read_scores(study, study.result_jobs(result), f"results/{result}.csv")
            write_atomic(parsed.output, csv_text(scores))


if __name__ == "__main__":
    run_command(main)
