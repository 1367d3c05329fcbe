"""Files for leaderboards: `results/submission/glue.zip` and `squad20.json` (section 5.1 and 5.2).

In: the stored predictions of a cell's fine-tuned models on test splits. Out: the GLUE zip, a file
per task (and AX, the diagnostics that MNLI's models answer) with the columns `index` and
`prediction`, classes in the leaderboard's words; and SQuAD 2.0's JSON of answers by question id.
GLUE's predictions are those of the ensemble (`analysis.ensembles`) of the tasks in the row of Table
5, WNLI's those of WSC (`analysis.winograd`); SQuAD's hidden test set has no file at all, so its
JSON holds the development answers of the seed whose F1 is the median, in the same format.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.ensembles import ensemble_of, row_ensembles
from analysis.scores import add_study_arguments, asked_study, read_scores
from analysis.settings import choose_settings, compare_settings
from analysis.winograd import schema_order
from model.text.sources import add_mirror_argument
from study.command import command_parser, run_command
from study.errors import StudyError
from study.glue import GLUE, GlueFile
from study.graph import Study
from study.manifest import load_manifest, seed_run, write_atomic

STAMP = (2019, 7, 29, 0, 0, 0)  # of every file in the zip: the same predictions, the same bytes


def glue_predictions(
    study: Study, settings: pd.DataFrame, file: GlueFile, mirror: Path | None
) -> list[str]:
    """The predictions of a file, one per test example in the order of the test set.

    They are those of the first pre-training's ensemble. Raises StudyError naming the task where all
    its models diverged.
    """
    row, column = study.submitted_row, study.submitted_column(file)
    task = row.task_of(column)
    members = row_ensembles(study, row, column, settings)
    if not members:
        raise StudyError(f"cell {row.cell}: every fine-tuning on {task} diverged")
    kind = study.config.tasks[task].kind
    predictions = ensemble_of(members[0].models, kind, f"test-{file.split}").predictions
    if file.schemas:
        predictions = predictions[schema_order(study, mirror)]
    if kind == "regression":
        return [f"{value:.3f}" for value in np.clip(predictions, 0, 5)]
    return [file.words[place] if file.words else str(place) for place in predictions]


def glue_zip(study: Study, mirror: Path | None = None) -> bytes:
    """The zip of all files; equal predictions give equal bytes.

    The test sets of WNLI and WSC are looked up in `mirror`, or where they were.
    """
    scores = read_scores(study, study.table_jobs("table5"), "results/submission/glue.zip")
    settings = compare_settings(study, scores)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in GLUE.items():
            if file.optional and file.split not in (study.config.tasks[file.task].test or {}):
                continue
            predictions = glue_predictions(study, settings, file, mirror)
            lines = [f"{index}\t{value}" for index, value in enumerate(predictions)]
            text = "\n".join(["index\tprediction", *lines]) + "\n"
            archive.writestr(zipfile.ZipInfo(name, STAMP), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def squad_json(study: Study) -> str:
    """Answers by question id of the seed with the median F1 (the lower one of two)."""
    jobs, cell = study.squad_submission_jobs(), study.submitted_row.cell
    scores = choose_settings(study, read_scores(study, jobs, "results/submission/squad20.json"))
    found = scores[scores["metric"] == "f1"].dropna(subset="value").sort_values("value")
    if found.empty:
        raise StudyError(f"cell {cell}: no fine-tuning on squad20 has a score")
    median = found.iloc[(len(found) - 1) // 2]
    job = study.finetune_job(cell, median["pretraining_seed"], "squad20", median["setting"])
    manifest = load_manifest(job.path, key=job.key, stage="finetune")
    run = seed_run(manifest, str(median["finetuning_seed"]))
    answers = json.loads(run.file("predictions.json").read_text())
    return json.dumps(answers, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.submission`."""
    parser = command_parser(
        "analysis.submission",
        "Write the files that the leaderboards of GLUE and SQuAD 2.0 take.",
        "python -m analysis.submission glue --scale paper --output results/submission/glue.zip",
    )
    parser.add_argument("leaderboard", choices=("glue", "squad20"))
    add_study_arguments(parser)
    add_mirror_argument(parser)
    parsed = parser.parse_args(arguments)
    study = asked_study(parsed)
    glue = parsed.leaderboard == "glue"
    write_atomic(parsed.output, glue_zip(study, parsed.mirror) if glue else squad_json(study))


if __name__ == "__main__":
    run_command(main)
