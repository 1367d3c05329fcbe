"""Tables of hyperparameters, rendered from the recipes that run (tables 9 and 10).

`python -m analysis.hyperparameters table9` writes CSV, Markdown and LaTeX. The figures come from
the resolved cells of the chosen scale, so the table cannot drift from what is trained; beside each
stands what the paper prints, and the Markdown marks where the two differ.
"""

import pandas as pd

from analysis.command import csv_text, result_command
from analysis.render import latex_table, markdown_table, value_text
from study.command import run_command
from study.graph import Study
from study.tables import hyperparameter


def hyperparameter_files(study: Study, name: str) -> tuple[str, str, str]:
    """A table as CSV (per column `<id>`, ours, and `<id>.published`), Markdown and LaTeX.

    For reading a field is `ours / published`, or one figure where they agree.
    """
    table, published = study.config.hyperparameter_tables[name], study.published(name)
    lines, texts = [], [["", *(column.label for column in table.columns)]]
    for row in table.rows:
        line, fields = {"row": row.id, "label": row.label}, [row.label]
        for column in table.columns:
            ours = hyperparameter(study.config.recipe_of(column), row.key)
            printed = published.get(row.id, {}).get(column.id)
            line |= {column.id: ours, f"{column.id}.published": printed}
            both = (ours,) if ours == printed else (ours, printed)
            fields.append(" / ".join(map(value_text, both)))
        lines.append(line)
        texts.append(fields)
    notes = [
        f"Scale: {study.scale} ({study.config.about}).",
        "Rendered from the recipes that run; `ours / published` where they differ.",
    ]
    return (
        csv_text(pd.DataFrame(lines, dtype=object)),
        markdown_table(table.caption, texts, notes),
        latex_table(table.caption, texts, notes),
    )


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.hyperparameters`."""
    result_command(arguments, "hyperparameters", hyperparameter_files, "table of hyperparameters")


if __name__ == "__main__":
    run_command(main)
