"""A table of the paper from the study's scores: our rows beside the published values.

`python -m analysis.table table2` writes the wide CSV and, beside it, Markdown and LaTeX for
reading. The published values are for orientation; a small scale is not expected to match them.
"""

import pandas as pd

from analysis.medians import summarise
from analysis.render import to_latex, to_markdown
from analysis.scores import add_study_arguments, asked_study, read_scores, write_csv
from study.command import command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.manifest import write_atomic

STATISTICS = ("median", "min", "max", "seeds", "replicates", "diverged")


def build_table(study: Study, name: str) -> pd.DataFrame:
    """The wide table: a line per row of the paper, per column six statistics and `published`.

    Reference rows hold published values only. Raises StudyError for scores of another recipe.
    """
    table = study.config.tables[name]
    published = study.published(name)
    scores = read_scores(study, study.table_jobs(name), f"results/{name}.csv")
    summary = summarise(scores).set_index(["cell", "task", "metric"])
    lines = []
    for row in table.rows:
        line: dict = {"row": row.id, "label": row.label, "cell": row.cell or "", "scale": ""}
        if row.cell:
            line["scale"] = study.scale
        for column in table.columns:
            prefix = column.name
            for statistic in STATISTICS:
                line[f"{prefix}.{statistic}"] = None
            line[f"{prefix}.published"] = published.get(row.id, {}).get(prefix)
            if row.cell:
                values = summary.loc[(row.cell, column.task, column.metric)]
                line.update({f"{prefix}.{s}": values[s] for s in STATISTICS})
        lines.append(line)
    frame = pd.DataFrame(lines)
    for column in table.columns:
        for statistic in ("seeds", "replicates", "diverged"):
            field = f"{column.name}.{statistic}"
            frame[field] = frame[field].astype("Int64")
        for statistic in ("median", "min", "max", "published"):
            field = f"{column.name}.{statistic}"
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
        f"Each cell: median [minimum, maximum] over {runs}, development sets; after the slash the "
        "published value, for orientation.",
    ]
    if study.scale != "paper":
        notes.append("A scaled-down run compares its own rows; it does not estimate the paper's.")
    if len(pretraining) == 1:
        notes.append(
            "One pre-training seed: the ranges show fine-tuning seeds only and say nothing about "
            "how another pre-training would have come out."
        )
    diverged = sum(int(frame[f"{c.name}.diverged"].sum()) for c in table.columns)
    if diverged:
        notes.append(f"{diverged} fine-tunings diverged; they are in the figures.")
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
    study = asked_study(parsed)
    if parsed.table not in study.config.tables:
        known = ", ".join(study.config.tables)
        raise StudyError(f"{parsed.table}: no such table; known: {known}")
    frame = build_table(study, parsed.table)
    notes = notes_of(study, parsed.table, frame)
    spec = study.config.tables[parsed.table]
    write_atomic(parsed.output.with_suffix(".md"), to_markdown(spec, frame, notes))
    write_atomic(parsed.output.with_suffix(".tex"), to_latex(spec, frame, notes))
    write_csv(frame, parsed.output)


if __name__ == "__main__":
    run_command(main)
