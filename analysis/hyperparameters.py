"""Tables of hyperparameters, rendered from the recipes that run (tables 9 and 10).

`python -m analysis.hyperparameters table9` writes CSV, Markdown and LaTeX. The figures come from
the resolved cells of the chosen scale, so the table cannot drift from what is trained; beside each
stands what the paper prints, and the Markdown marks where the two differ.
"""

import pandas as pd

from analysis.command import add_study_arguments, beside, check_known, study_of, write_csv
from analysis.render import DASH, latex_table, markdown_table
from study.command import command_parser, run_command
from study.graph import Study
from study.hyperparameters import hyperparameter
from study.manifest import write_atomic
from study.record import recorded


def build_hyperparameters(study: Study, name: str) -> pd.DataFrame:
    """A line per hyperparameter; per column of the table `<id>` (ours) and `<id>.published`."""
    table = study.config.hyperparameter_tables[name]
    published = study.published(name)
    lines = []
    for row in table.rows:
        line: dict = {"row": row.id, "label": row.label}
        for column in table.columns:
            line[column.id] = hyperparameter(study.config.recipe_of(column), row.key)
            line[f"{column.id}.published"] = published.get(row.id, {}).get(column.id)
        lines.append(line)
    return pd.DataFrame(lines, dtype=object)


def shown(value: object) -> str:
    """A figure as text: 1e-06, 8192, linear."""
    if value is None:
        return DASH
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def text_rows(study: Study, name: str, frame: pd.DataFrame) -> list[list[str]]:
    """Header and rows as text: `ours / published`, one figure where they agree."""
    table = study.config.hyperparameter_tables[name]
    rows = [["", *(column.label for column in table.columns)]]
    for _, line in frame.iterrows():
        fields = [line["label"]]
        for column in table.columns:
            printed = line[f"{column.id}.published"]
            ours = line[column.id]
            same = ours == printed
            fields.append(shown(ours) if same else f"{shown(ours)} / {shown(printed)}")
        rows.append(fields)
    return rows


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.hyperparameters`."""
    parser = command_parser(
        "analysis.hyperparameters",
        "Write a table of hyperparameters as CSV, Markdown and LaTeX.",
        "python -m analysis.hyperparameters table9 --scale paper --output results/table9.csv",
    )
    parser.add_argument("table", help="one of hyperparameter_tables in config/study/tables.yaml")
    add_study_arguments(parser)
    parsed = parser.parse_args(arguments)
    markdown, latex = beside(parsed.output, ".md", ".tex")
    study = study_of(parsed)
    tables = study.config.hyperparameter_tables
    check_known(parsed.table, "table of hyperparameters", parsed.table, tables)
    caption = tables[parsed.table].caption
    notes = [
        f"Scale: {study.scale} ({study.config.about}).",
        "Rendered from the recipes that run; `ours / published` where they differ.",
    ]
    output = parsed.output
    with recorded(study, parsed.table, output, markdown, latex):
        frame = build_hyperparameters(study, parsed.table)
        rows = text_rows(study, parsed.table, frame)
        write_atomic(markdown, markdown_table(caption, rows, notes))
        write_atomic(latex, latex_table(caption, rows, notes))
        write_csv(frame, output)


if __name__ == "__main__":
    run_command(main)
