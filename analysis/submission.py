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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.ensembles import ensemble_of, member_runs
from analysis.scores import add_study_arguments, asked_study, read_scores
from analysis.settings import compare_settings
from analysis.winograd import schema_order
from study.command import command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.layout import Row
from study.manifest import load_manifest, write_atomic

ENTAILMENT = ("entailment", "not_entailment")
THREE_WAY = ("entailment", "neutral", "contradiction")
STAMP = (2019, 7, 29, 0, 0, 0)  # of every file in the zip: the same predictions, the same bytes


@dataclass(frozen=True)
class GlueFile:
    """One file of the zip: its task, the split's name there, the leaderboard's class names."""

    task: str
    split: str = "test"
    words: tuple[str, ...] | None = None
    optional: bool = False  # left out where the task has no such split
    schemas: bool = False  # lists WNLI's rows, answered as the schemas of WSC


GLUE = {
    "AX.tsv": GlueFile("mnli", "ax", THREE_WAY, optional=True),
    "CoLA.tsv": GlueFile("cola"),
    "MNLI-m.tsv": GlueFile("mnli", "matched", THREE_WAY),
    "MNLI-mm.tsv": GlueFile("mnli", "mismatched", THREE_WAY),
    "MRPC.tsv": GlueFile("mrpc"),
    "QNLI.tsv": GlueFile("qnli", words=ENTAILMENT),
    "QQP.tsv": GlueFile("qqp"),
    "RTE.tsv": GlueFile("rte", words=ENTAILMENT),
    "SST-2.tsv": GlueFile("sst2"),
    "STS-B.tsv": GlueFile("stsb"),
    "WNLI.tsv": GlueFile("wsc", schemas=True),
}


def ensemble_row(study: Study) -> Row:
    """The row of Table 5 whose ensemble is submitted."""
    for row in study.config.tables["table5"].rows:
        if row.ensemble:
            return row
    raise StudyError("tables.table5: no row with ensemble: true to submit")


def glue_predictions(study: Study, settings: pd.DataFrame, file: GlueFile) -> list[str]:
    """The predictions of a file, one per test example in the order of the test set.

    Raises StudyError naming the task where it has no such test split.
    """
    row, table = ensemble_row(study), study.config.tables["table5"]
    column = next(column for column in table.score_columns if column.task == file.task)
    task = row.task_of(column)
    for needed in (task, "wnli") if file.schemas else (task,):
        if file.split not in (study.config.tasks[needed].test or {}):
            raise StudyError(f"tasks.{needed}.test: no split {file.split} at scale {study.scale}")
    chosen = settings[
        (settings["cell"] == row.cell) & (settings["task"] == task) & settings["selected"]
    ]
    runs = member_runs(study, row.cell, task, chosen["setting"].item())
    kind = study.config.tasks[task].kind
    predictions = ensemble_of(runs, kind, f"test-{file.split}").predictions
    if file.schemas:
        predictions = predictions[schema_order(study)]
    if kind == "regression":
        return [f"{value:.3f}" for value in np.clip(predictions, 0, 5)]
    return [file.words[place] if file.words else str(place) for place in predictions]


def glue_zip(study: Study) -> bytes:
    """The zip of all files; equal predictions give equal bytes."""
    scores = read_scores(study, study.table_jobs("table5"), "results/submission/glue.zip")
    settings = compare_settings(study, scores)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in GLUE.items():
            if file.optional and file.split not in (study.config.tasks[file.task].test or {}):
                continue
            predictions = glue_predictions(study, settings, file)
            lines = [f"{index}\t{value}" for index, value in enumerate(predictions)]
            text = "\n".join(["index\tprediction", *lines]) + "\n"
            archive.writestr(zipfile.ZipInfo(name, STAMP), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def squad_json(study: Study) -> str:
    """Answers by question id of the seed with the median F1 (the lower one of two)."""
    cell = ensemble_row(study).cell
    found = []
    for job in study.score_jobs([cell], ["squad20"]):
        manifest = load_manifest(job.path, key=job.key, stage="finetune")
        for result in manifest.figures["seeds"].values():
            if result["metrics"]["f1"] is not None:
                place = Path(job.path).parent / result["key"] / "predictions.json"
                found.append((result["metrics"]["f1"], str(place)))
    if not found:
        raise StudyError(f"cell {cell}: no fine-tuning on squad20 has a score")
    path = sorted(found)[(len(found) - 1) // 2][1]
    return json.dumps(json.loads(Path(path).read_text()), ensure_ascii=False) + "\n"


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.submission`."""
    parser = command_parser(
        "analysis.submission",
        "Write the files that the leaderboards of GLUE and SQuAD 2.0 take.",
        "python -m analysis.submission glue --scale paper --output results/submission/glue.zip",
    )
    parser.add_argument("leaderboard", choices=("glue", "squad20"))
    add_study_arguments(parser)
    parsed = parser.parse_args(arguments)
    study = asked_study(parsed)
    content = glue_zip(study) if parsed.leaderboard == "glue" else squad_json(study)
    write_atomic(parsed.output, content)


if __name__ == "__main__":
    run_command(main)
