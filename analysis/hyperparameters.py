"""Tables of hyperparameters, rendered from the recipes that run (tables 9 and 10).

`python -m analysis.hyperparameters table9` writes CSV, Markdown and LaTeX. The figures come from
the resolved cells of the chosen scale, so the table cannot drift from what is trained; beside each
stands what the paper prints, and the Markdown marks where the two differ.
"""

from typing import Any

import pandas as pd

from analysis.command import csv_text, result_command
from analysis.latex import to_latex
from analysis.render import Field, Grid, Head, to_markdown, value_text
from study.command import run_command
from study.graph import Study
from study.tables import hyperparameter


def hyperparameter_files(study: Study, name: str) -> tuple[str, str, str]:
    """A table as CSV (per column `<id>`, ours, and `<id>.published`), Markdown and LaTeX.

    For reading a field has ours and the published figure, or one where they agree.
    """
    table, published = study.config.hyperparameter_tables[name], study.published(name)
    lines, rows = [], []
    for row in table.rows:
        line: dict[str, Any] = {"row": row.id, "label": row.label}
        fields = []
        for column in table.columns:
            ours = hyperparameter(study.config.recipe_of(column), row.key)
            printed = published.get(row.id, {}).get(column.id)
            line |= {column.id: ours, f"{column.id}.published": printed}
            fields.append(
                Field(value_text(ours), (), "" if ours == printed else value_text(printed))
            )
        lines.append(line)
        rows.append((row.label, fields))
    notes = [
        f"Scale: {study.scale} ({study.config.about}).",
        "Rendered from the recipes that run; the published figure beside it where it differs.",
    ]
    grid = Grid(
        table.caption, [Head(column.label) for column in table.columns], rows, aligned=False
    )
    wide = csv_text(pd.DataFrame(lines, dtype=object))
    return wide, to_markdown([grid], notes), to_latex(name, [grid], notes)


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.hyperparameters`."""
    result_command(arguments, "hyperparameters", hyperparameter_files, "table of hyperparameters")


if __name__ == "__main__":
    run_command(main)
