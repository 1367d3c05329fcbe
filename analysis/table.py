"""A table of the paper from the study's scores: our rows beside the published values.

`python -m analysis.table table2` writes the wide CSV and, beside it, Markdown and LaTeX for
reading. The published values are for orientation; a small scale is not expected to match them.
"""

import pandas as pd

from analysis.coverage import text_notes
from analysis.ensembles import ensemble_scores
from analysis.intervals import welch_difference
from analysis.medians import replicate_values, summarise
from analysis.notes import choice_notes, difference_notes
from analysis.render import to_latex, to_markdown
from analysis.scores import add_study_arguments, asked_study, beside, read_scores, write_csv
from analysis.selection import read_selection, shown_cell
from analysis.settings import choose_settings, compare_settings
from analysis.values import REPLICATED, cell_values, value_fields
from study.command import command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.manifest import load_manifest, write_atomic
from study.record import recorded
from study.tables import Column, Row, Table

STATISTICS = ("median", "min", "max", "seeds", "replicates", "diverged")
DIFFERENCE = ("difference", "low", "high")
COUNTS = ("seeds", "replicates", "diverged")


def build_table(study: Study, name: str) -> pd.DataFrame:
    """The wide table: a line per row of the paper, per column its fields and `published`.

    A score has six statistics, a value `value`, or `median`, `min` and `max` where replicates
    differ in it. `cell` is the cell shown: of a family, the one that was selected. Reference rows
    hold published values only. Raises StudyError for results of another recipe.
    """
    table = study.config.tables[name]
    published = study.published(name)
    scores = read_scores(study, study.table_jobs(name), f"results/{name}.csv")
    settings, chosen = compare_settings(study, scores), choose_settings(study, scores)
    summary = summarise(chosen).set_index(["cell", "task", "metric"])
    lines = []
    for row in table.rows:
        cell = shown_cell(study, row)
        line: dict = {"row": row.id, "label": row.label, "cell": cell or ""}
        line["scale"] = study.scale if cell else ""
        values = cell_values(study, cell) if cell and table.value_columns else {}
        for column in table.columns:
            fields = dict.fromkeys(field_names(column))
            if row.ensemble and column.task:
                fields.update(ensemble_fields(study, row, column, settings))
            elif cell and column.task:
                found = summary.loc[(cell, column.task, column.metric)]
                fields.update({statistic: found[statistic] for statistic in STATISTICS})
            elif cell:
                fields.update(value_fields(values, column.value))
            fields["published"] = published.get(row.id, {}).get(column.name)
            line.update({f"{column.name}.{field}": value for field, value in fields.items()})
        if table.average:
            line["average.value"] = average_of(table, line) if cell else None
            line["average.published"] = published.get(row.id, {}).get("average")
        lines.append(line)
    frame = pd.DataFrame(lines)
    if table.baseline:
        frame = frame.join(differences(table, frame, chosen))
    return typed(frame, table)


def differences(table: Table, frame: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Per score column `difference`, `low` and `high` of every row against the baseline's.

    `chosen` holds the scores that count, of single models. Empty for references, ensembles, the
    baseline itself and where a cell has fewer than two replicates or one that failed.
    """
    replicates = replicate_values(chosen).sort_index()
    baseline = frame.loc[frame["row"] == table.baseline, "cell"].item()
    ensembles = [row.ensemble for row in table.rows]
    found: dict[str, list] = {}
    for column in table.score_columns:
        for cell, ensemble in zip(frame["cell"], ensembles, strict=True):
            difference = None
            if cell and cell != baseline and not ensemble:
                ours, theirs = (
                    replicates.loc[(one, column.task, column.metric)].tolist()
                    for one in (cell, baseline)
                )
                if not any(map(pd.isna, ours + theirs)):
                    difference = welch_difference(ours, theirs)
            for name, value in zip(
                DIFFERENCE, difference or (None,) * len(DIFFERENCE), strict=True
            ):
                found.setdefault(f"{column.name}.{name}", []).append(value)
    return pd.DataFrame(found, index=frame.index).astype(float).round(4)


def ensemble_fields(
    study: Study, row: Row, column: Column, settings: pd.DataFrame
) -> dict[str, float]:
    """The fields of an ensemble's score: `seeds` are the models averaged, `replicates` the
    ensembles.

    `diverged` counts the models that were left out, and the ensembles of others without a score.
    One ensemble has no range.
    """
    scores = ensemble_scores(study, row, column, settings)
    (found,) = summarise(scores.assign(ensemble=row.id), ["ensemble"]).to_dict("records")
    ranged = ("min", "max") if len(scores) > 1 else ()
    fields = {name: found[name] for name in ("median", *ranged, "replicates")}
    without_score = (scores["models"] > 0) & scores["value"].isna()
    failed = without_score.sum() + scores["left_out"].sum()
    return {**fields, "seeds": scores["models"].sum(), "diverged": failed}


def average_of(table: Table, line: dict) -> float | None:
    """Mean over tasks of the mean of each task's columns; None where a score is missing."""
    tasks: dict[str, list[float]] = {}
    for column in table.score_columns:
        if not column.averaged:
            continue
        value = line[f"{column.name}.median"]
        if value is None or pd.isna(value):
            return None
        tasks.setdefault(column.task, []).append(value)
    return sum(sum(values) / len(values) for values in tasks.values()) / len(tasks)


def field_names(column: Column) -> tuple[str, ...]:
    """The fields of a column in the CSV."""
    if column.task:
        return (*STATISTICS, "published")
    if column.value in REPLICATED:
        return ("median", "min", "max", "published")
    return ("value", "published")


def typed(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The frame with counts as integers and other fields as floats, scores with four decimals."""
    for column in table.columns:
        for name in field_names(column):
            field = f"{column.name}.{name}"
            if name in COUNTS:
                frame[field] = frame[field].astype("Int64")
            else:
                frame[field] = frame[field].astype(float)
                if column.task:
                    frame[field] = frame[field].round(4)
    if table.average:
        for field in ("average.value", "average.published"):
            frame[field] = frame[field].astype(float).round(4)
    return frame


def notes_of(study: Study, name: str, frame: pd.DataFrame) -> list[str]:
    """What a reader must know beside the numbers."""
    table = study.config.tables[name]
    pretraining, finetuning = study.config.seeds.pretraining, study.config.seeds.finetuning
    own = finetuning == "own"
    runs = (
        f"{len(pretraining)} full replicates (a pre-training and a fine-tuning seed each)"
        if own
        else f"{len(pretraining)} pre-training x {len(finetuning)} fine-tuning seeds"
    )
    notes = [
        f"Scale: {study.scale} ({study.config.about}).",
        f"Scores: median [minimum, maximum] over {runs}, development sets; after the slash the "
        "published value, for orientation.",
    ]
    if study.scale != "paper":
        notes.append("A scaled-down run compares its own rows; it does not estimate the paper's.")
    if len(pretraining) == 1:
        notes.append(
            "One pre-training seed: the ranges show fine-tuning seeds only and say nothing about "
            "how another pre-training would have come out."
        )
    diverged = sum(int(frame[f"{c.name}.diverged"].sum()) for c in table.score_columns)
    if diverged:
        notes.append(
            f"{diverged} scores are of fine-tunings that diverged or have no score; a missing one "
            "counts as the worst."
        )
    notes += choice_notes(study, name)
    if table.average:
        notes.append(f"Average: {table.average}.")
    if table.baseline:
        notes.append(
            "Differences: of the means over replicates, with 95 % Welch intervals; a pre-training "
            "seed is one replicate."
        )
    first_rows: dict[str, str] = {}
    for row, cell in zip(frame["row"], frame["cell"], strict=True):
        if cell and cell not in first_rows.values():
            first_rows[row] = cell
    return [
        *notes,
        *difference_notes(study, table, first_rows),
        *diverged_notes(study, name, first_rows),
        *static_notes(study, name),
        *text_notes(study, name),
        *edge_notes(study, name),
        *table.notes,
    ]


def diverged_notes(study: Study, name: str, cells: dict[str, str]) -> list[str]:
    """Pre-trainings that diverged, of the `cells` shown (by row) whose pre-trainings are read."""
    labels = {row.id: row.label for row in study.config.tables[name].rows}
    read = study.table_pretrained_cells(name)
    parts = []
    for row, cell in cells.items():
        jobs = study.pretrain_jobs([cell]) if cell in read else []
        runs = [load_manifest(job.path, key=job.key, stage="pretrain").figures for job in jobs]
        lost = sum(run["diverged"] is not None for run in runs)
        if lost:
            parts.append(f"{labels[row]}: {lost} of {len(runs)}")
    if not parts:
        return []
    return [f"Pre-trainings that diverged: {'; '.join(parts)}; each counts as the worst."]


def edge_notes(study: Study, name: str) -> list[str]:
    """Families whose choice lies at an end of its grid: beyond it there may be a better one.

    And those of which every member mostly diverged, so that there was nothing to choose by.
    """
    notes = []
    for row in (row for row in study.config.tables[name].rows if row.family):
        members = study.config.families[row.family].members
        rates, winner = sorted(members), read_selection(study, row.family)
        perplexity = value_fields(cell_values(study, winner), "perplexity")["median"]
        if pd.isna(perplexity):
            notes.append(
                f"{row.label}: too many pre-trainings of every learning rate of the grid diverged "
                f"for a median held-out perplexity; the row shows {winner}."
            )
        elif len(rates) > 1 and winner in (members[rates[0]], members[rates[-1]]):
            notes.append(
                f"{row.label}: the chosen learning rate is at the edge of its grid "
                f"({', '.join(f'{rate:g}' for rate in rates)}); a wider grid may do better."
            )
    return notes


def static_notes(study: Study, name: str) -> list[str]:
    """How many masks a static cell had over how many epochs, where a table shows one."""
    notes = []
    for cell in study.table_cells(name):
        masking = study.config.cells[cell].masking
        if masking.policy == "static":
            epochs = pd.Series(cell_values(study, cell)["epochs"], dtype=float).median()
            masks = "1 fixed mask" if masking.copies == 1 else f"{masking.copies} fixed masks"
            notes.append(
                f"Static masking ({cell}): {masks} of every sample over "
                f"{epochs:.1f} epochs; the paper has 10 over 40."
            )
    return notes


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.table`."""
    parser = command_parser(
        "analysis.table",
        "Write a table of the paper as CSV, Markdown and LaTeX.",
        "python -m analysis.table table2 --scale laptop --output results/table2.csv",
    )
    parser.add_argument("table", help="a table of config/study.yaml")
    add_study_arguments(parser)
    parsed = parser.parse_args(arguments)
    markdown, latex = beside(parsed.output, ".md", ".tex")
    study = asked_study(parsed)
    if parsed.table not in study.config.tables:
        known = ", ".join(study.config.tables)
        raise StudyError(f"{parsed.table}: no such table; known: {known}")
    spec, output = study.config.tables[parsed.table], parsed.output
    with recorded(study, parsed.table, output, markdown, latex):
        frame = build_table(study, parsed.table)
        notes = notes_of(study, parsed.table, frame)
        write_atomic(markdown, to_markdown(spec, frame, notes))
        write_atomic(latex, to_latex(spec, frame, notes))
        write_csv(frame, output)


if __name__ == "__main__":
    run_command(main)
