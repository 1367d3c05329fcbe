"""A table of the paper from the study's scores: our rows beside the published values.

`python -m analysis.table table2` writes the wide CSV and, beside it, Markdown and LaTeX for
reading. The published values are for orientation; a small scale is not expected to match them.
"""

from collections.abc import Iterator

import pandas as pd

from analysis.choices import read_selection
from analysis.command import csv_text, result_command
from analysis.coverage import text_notes
from analysis.latex import to_latex
from analysis.minimal_pairs import spread_groups
from analysis.notes import choice_notes, difference_notes
from analysis.plateau import plateau_notes
from analysis.render import DASH, interval_grids, table_grid, to_markdown
from analysis.shown import COMPARISON, COUNTS, ShownRow, field_names, read_rows
from analysis.values import cell_values, value_fields
from study.command import run_command
from study.fields import given
from study.graph import Study
from study.manifest import MAYBE_NUMBER, load_manifest
from study.tables import Table

SLASH_NOTE = "; after the slash the published value, for orientation"
BESIDE_NOTE = "; publ.: the published value, for orientation"


def wide_table(study: Study, name: str, rows: list[ShownRow]) -> pd.DataFrame:
    """The wide table: a line per row of the paper, per column its fields and `published`.

    A score has six statistics, a value `value`, or `median`, `min` and `max` where replicates
    differ in it. `cell` is the cell shown: of a family, the one that was selected. Reference rows
    hold published values only. Where there is a baseline, means over replicates and differences
    stand last, with intervals.
    """
    table = study.config.tables[name]
    compared = table.compared_columns if table.baseline else []
    fields = [
        *(f"{column.name}.{field}" for column in table.columns for field in field_names(column)),
        *(("average.value", "average.published") if table.average else ()),
        *(f"{column.name}.{field}" for column in compared for field in COMPARISON),
    ]
    lines = []
    for row in rows:
        line: dict = {"row": row.row.id, "label": row.row.label, "cell": row.cell or ""}
        line |= {"scale": study.scale if row.cell else ""}
        for entry in row.entries:
            line |= {f"{entry.column.name}.{field}": n for field, n in entry.fields.items()}
        line |= {"average.value": row.average, "average.published": row.published_average}
        lines.append(line)
    frame = pd.DataFrame(lines, columns=["row", "label", "cell", "scale", *fields])
    kinds = {name: "Int64" if name.endswith(COUNTS) else float for name in fields}
    return frame.astype(
        {name: kind for name, kind in kinds.items() if not name.endswith(".verdict")}
    )


def notes_of(study: Study, name: str, rows: list[ShownRow]) -> list[str]:
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
        scores_note(table, runs),
        *pairs_notes(study, table),
        *nsp_notes(study, name),
    ]
    if study.scale != "paper":
        notes.append("A scaled-down run compares its own rows; it does not estimate the paper's.")
    if len(pretraining) == 1 and table.score_columns:
        notes.append(
            "One pre-training seed: the ranges show fine-tuning seeds only and say nothing about "
            "how another pre-training would have come out."
        )
    diverged = sum(int(entry.fields.get("diverged", 0)) for row in rows for entry in row.entries)
    if diverged:
        notes.append(
            f"{diverged} scores are of fine-tunings that diverged or have no score; a missing one "
            "counts as the worst."
        )
    notes += choice_notes(study, name)
    if table.average:
        notes.append(f"Average: {table.average}.")
    notes += interval_notes(table, len(pretraining))
    first_rows: dict[str, str] = {}
    for row in rows:
        if row.cell and row.cell not in first_rows.values():
            first_rows[row.row.id] = row.cell
    return [
        *notes,
        *difference_notes(study, table, first_rows),
        *diverged_notes(study, name, first_rows),
        *plateau_notes(study, name, first_rows),
        *static_notes(study, name),
        *text_notes(study, name),
        *edge_notes(study, name),
        *table.notes,
    ]


def scores_note(table: Table, runs: str) -> str:
    """What the numbers of a table are, and over how many runs."""
    over = f"over {runs}, development sets" if table.score_columns else "over pre-training seeds"
    numbers = "Scores" if table.scored_columns else "Numbers"
    return f"{numbers}: median [minimum, maximum] {over}{SLASH_NOTE if table.published else ''}."


def interval_notes(table: Table, replicates: int) -> Iterator[str]:
    """What means and differences of a table with a baseline are, or why there are none."""
    if not table.baseline:
        return
    if replicates < 2:
        yield "One pre-training seed: differences would have no interval, so none is shown."
        return
    yield (
        "Means are over replicates, with 95 % intervals of Student's t, differences of means with "
        "Welch's; a pre-training seed is one replicate. Better, worse, equivalent or undecided is "
        "Holm-adjusted over the rows of a column (docs/verdicts.md)."
    )
    if any(column.value == "perplexity" for column in table.columns):
        yield (
            "Perplexities are compared as held-out losses: their mean is the geometric one, a "
            "difference is in nats per masked token, the logarithm of the ratio."
        )


def nsp_notes(study: Study, name: str) -> Iterator[str]:
    """What a column of next-sentence accuracy shows, and what it is for a guess."""
    if all(column.value != "nsp_accuracy" for column in study.config.tables[name].columns):
        return
    guesses: dict[str, str] = {}  # by format: its evaluated pairs are the same for every seed
    for cell in study.table_cells(name):
        form, job = study.config.cells[cell].format, study.pretrain_jobs([cell])[0]
        if form.nsp:
            run = load_manifest(job.path, key=job.key, stage="pretrain")
            guess = run.figure("heldout_nsp_majority", kind=MAYBE_NUMBER)
            guesses.setdefault(form.name, DASH if guess is None else f"{guess:.1f}")
    told = ", ".join(f"{guess} ({form})" for form, guess in guesses.items())
    yield (
        "Next-sentence accuracy: percent of the evaluated held-out pairs whose label the model "
        f"tells; guessing the commoner label reaches {told}. Cells without next-sentence "
        "prediction have none."
    )


def pairs_notes(study: Study, table: Table) -> Iterator[str]:
    """What the columns of minimal pairs show, of each set of them."""
    for pairs in dict.fromkeys(given(column.pairs) for column in table.pairs_columns):
        hidden = "is hidden alone"
        if study.config.minimal_pairs[pairs].within_words == "left-to-right":
            hidden = "hides those to its right too"
        yield (
            f"Minimal pairs ({pairs}): percent whose grammatical sentence has the higher sum of "
            "log-probabilities, each token masked in turn, without fine-tuning; of a word's pieces "
            f"one {hidden}. A pair of equal sums counts as wrong."
        )


def diverged_notes(study: Study, name: str, cells: dict[str, str]) -> Iterator[str]:
    """Pre-trainings that diverged, of the `cells` shown (by row)."""
    labels = {row.id: row.label for row in study.config.tables[name].rows}
    parts = []
    for row, cell in cells.items():
        jobs = study.pretrain_jobs([cell])
        runs = [load_manifest(job.path, key=job.key, stage="pretrain").figures for job in jobs]
        lost = sum(run["diverged"] is not None for run in runs)
        if lost:
            parts.append(f"{labels[row]}: {lost} of {len(runs)}")
    if parts:
        yield f"Pre-trainings that diverged: {'; '.join(parts)}; each counts as the worst."


def edge_notes(study: Study, name: str) -> Iterator[str]:
    """Families whose choice lies at an end of its grid: beyond it there may be a better one.

    And those of which every member mostly diverged, so that there was nothing to choose by.
    """
    for row in study.config.tables[name].rows:
        if row.family is None:
            continue
        members = study.config.families[row.family].members
        rates, winner = sorted(members), read_selection(study, row.family)
        perplexity = value_fields(cell_values(study, winner), "perplexity")["median"]
        if pd.isna(perplexity):
            yield (
                f"{row.label}: too many pre-trainings of every learning rate of the grid diverged "
                f"for a median held-out perplexity; the row shows {winner}."
            )
        elif len(rates) > 1 and winner in (members[rates[0]], members[rates[-1]]):
            yield (
                f"{row.label}: the chosen learning rate is at the edge of its grid "
                f"({', '.join(f'{rate:g}' for rate in rates)}); a wider grid may do better."
            )


def static_notes(study: Study, name: str) -> Iterator[str]:
    """How many masks a static cell had over how many epochs, where a table shows one."""
    for cell in study.table_cells(name):
        masking = study.config.cells[cell].masking
        if masking.policy == "static":
            epochs = value_fields(cell_values(study, cell), "epochs")["median"]
            masks = "1 fixed mask" if masking.copies == 1 else f"{masking.copies} fixed masks"
            yield (
                f"Static masking ({cell}): {masks} of every sample over {epochs:.1f} epochs; the "
                "paper has 10 over 40."
            )


def table_files(study: Study, name: str) -> tuple[str, str, str]:
    """A table as CSV, Markdown and LaTeX."""
    study = spread_groups(study, name)
    table, rows = study.config.tables[name], read_rows(study, name, f"results/{name}.csv")
    notes = notes_of(study, name, rows)
    wide = csv_text(wide_table(study, name, rows))
    grids = [table_grid(table, rows), *interval_grids(table, rows)]
    beside = [note.replace(SLASH_NOTE, BESIDE_NOTE) for note in notes]
    return wide, to_markdown(grids, notes), to_latex(name, grids, beside)


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.table`."""
    result_command(arguments, "table", table_files)


if __name__ == "__main__":
    run_command(main)
