"""Files for leaderboards: `results/submission/glue.zip` and `squad20.json` (section 5.1 and 5.2).

In: the stored predictions of a cell's fine-tuned models on test splits. Out: the GLUE zip, a file
per task (and AX, the diagnostics that MNLI's models answer) with the columns `index` and
`prediction`, classes in the leaderboard's words; and SQuAD 2.0's JSON of answers by question id.
GLUE's predictions are those of the ensemble (`analysis.ensembles`) of the tasks in the row of Table
5, WNLI's those of WSC (`analysis.winograd`); the test set's column idx numbers the rows. SQuAD's
hidden test set has no file at all, so its JSON holds the development answers of the seed whose F1
is the median, in the same format.
"""

import io
import json
import zipfile

import numpy as np
import pandas as pd

from analysis.choices import choose_settings, compare_settings
from analysis.command import add_study_arguments, study_of
from analysis.ensembles import Members, ensemble_of, ensembles
from analysis.scores import read_scores
from analysis.winograd import schema_order
from model.text.sources import add_place_arguments, open_parquet, places_of, source_files
from study.command import command_parser, run_command
from study.errors import StudyError
from study.fields import given
from study.glue import GLUE, GlueFile
from study.graph import Study
from study.manifest import load_manifest, seed_run, write_atomic
from study.places import Places
from study.record import recorded

INDEX = "idx"  # GLUE's column: a row's number on the leaderboard
STAMP = (2019, 7, 29, 0, 0, 0)  # of every file in the zip: the same predictions, the same bytes


def glue_predictions(study: Study, members: Members, file: GlueFile, places: Places) -> list[str]:
    """The predictions of a file's ensemble, one per test example in the order of the test set."""
    kind = study.config.tasks[study.submitted_row.task_of(study.submitted_column(file))].kind
    predictions = ensemble_of(members.models, kind, f"test-{file.split}").predictions
    if file.schemas:
        predictions = predictions[schema_order(study, places)]
    if np.issubdtype(predictions.dtype, np.floating):
        return [f"{value:.3f}" for value in np.clip(predictions, 0, 5)]
    return [file.words[answer] if file.words else str(answer) for answer in predictions]


def submitted_members(study: Study, settings: pd.DataFrame) -> dict[str, Members]:
    """The ensemble of every file: all of one pre-training, the first that has a model for each.

    Raises StudyError naming the tasks of which all models diverged where there is none.
    """
    row, by_file = study.submitted_row, {}
    for name, file in GLUE.items():
        if file.optional and file.split not in (study.config.tasks[file.task].test or {}):
            continue
        task = row.task_of(study.submitted_column(file))
        mine = (settings["cell"] == row.cell) & (settings["task"] == task) & settings["selected"]
        by_file[name] = ensembles(
            study, given(row.cell), task, settings.loc[mine, "setting"].item()
        )
    lost: dict[int, list[str]] = {}
    for number, of_one in enumerate(zip(*by_file.values(), strict=True)):
        chosen = dict(zip(by_file, of_one, strict=True))
        lost[number] = [name for name, members in chosen.items() if not members.models]
        if not lost[number]:
            return chosen
    reasons = "; ".join(
        f"of pre-training {number + 1}: {', '.join(names)}" for number, names in lost.items()
    )
    raise StudyError(
        f"cell {row.cell}: every fine-tuning diverged that these files need, {reasons}"
    )


def glue_rows(study: Study, file: GlueFile, places: Places) -> list[int]:
    """The leaderboard's row of every test example, in the order of the test set: column idx.

    Raises StudyError naming the file where it has no such column, or where its rows are not 0 to
    the number of examples less 1, each once.
    """
    task = study.submitted_row.task_of(study.submitted_column(file))
    task, split = ("wnli", "test") if file.schemas else (task, file.split)
    job = study.jobs.source(task)
    source = load_manifest(job.path, key=job.key, stage="source")
    paths = source_files(source, given(study.config.tasks[task].test)[split], places)
    rows: list[int] = []
    for path in paths:
        with open_parquet(path) as parquet:
            names = parquet.schema_arrow.names
            if INDEX not in names:
                raise StudyError(f"{path}: no column {INDEX}; it has {', '.join(names)}")
            rows += parquet.read(columns=[INDEX])[INDEX].to_pylist()
    seen: dict[int, int] = {}
    for number, row in enumerate(rows):
        where = f"{paths[0]}: column {INDEX}: row {number}"
        if type(row) is not int or not 0 <= row < len(rows):
            raise StudyError(f"{where}: {row}, expected 0 to {len(rows) - 1}, each once")
        if row in seen:
            raise StudyError(f"{where}: {row} stands in row {seen[row]} too")
        seen[row] = number
    return rows


def glue_zip(study: Study, places: Places) -> bytes:
    """The zip of all files; equal predictions give equal bytes.

    The test sets are looked up in `places`, or where they were.
    """
    scores = read_scores(study, study.table_jobs("table5"), "results/submission/glue.zip")
    chosen = submitted_members(study, compare_settings(study, scores))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, members in chosen.items():
            rows = glue_rows(study, GLUE[name], places)
            predictions = glue_predictions(study, members, GLUE[name], places)
            if len(rows) != len(predictions):
                raise StudyError(
                    f"{name}: {len(predictions)} predictions for {len(rows)} test examples; their "
                    "files have changed since"
                )
            table = pd.DataFrame({"index": rows, "prediction": predictions}).sort_values("index")
            text = table.to_csv(sep="\t", index=False, lineterminator="\n")
            archive.writestr(zipfile.ZipInfo(name, STAMP), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def squad_json(study: Study) -> str:
    """Answers by question id of the seed with the median F1 (the lower one of two)."""
    jobs, cell = study.squad_submission_jobs(), study.submitted_row.cell
    scores = choose_settings(study, read_scores(study, jobs, "results/submission/squad20.json"))
    scored = scores[scores["metric"] == "f1"].dropna(subset="value").sort_values("value")
    if scored.empty:
        raise StudyError(f"cell {cell}: no fine-tuning on squad20 has a score")
    median = scored.iloc[(len(scored) - 1) // 2]
    job = study.jobs.finetune(cell, median["pretraining_seed"], "squad20", median["setting"])
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
    add_study_arguments(parser, "FILE")
    add_place_arguments(parser)
    parsed = parser.parse_args(arguments)
    study = study_of(parsed)
    glue = parsed.leaderboard == "glue"
    with recorded(study, f"submission/{parsed.leaderboard}", parsed.output) as due:
        if due:
            content = glue_zip(study, places_of(parsed)) if glue else squad_json(study)
            write_atomic(parsed.output, content)


if __name__ == "__main__":
    run_command(main)
