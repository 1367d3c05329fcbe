"""Tables for reading: Markdown, and LaTeX with booktabs rules.

Each field is `median [min, max] / published`; reference rows show their published value alone.
"""

import pandas as pd

from study.schema import Table

DASH = "–"


def field_text(line: pd.Series, prefix: str) -> str:
    """One field: `84.3 [83.9, 84.6] / 84.7`, with a dash for what is not there."""
    published = line[f"{prefix}.published"]
    published_text = DASH if pd.isna(published) else f"{published:.1f}"
    if not line["cell"]:
        return published_text
    median = line[f"{prefix}.median"]
    if pd.isna(median):
        return f"failed / {published_text}"
    low, high = line[f"{prefix}.min"], line[f"{prefix}.max"]
    return f"{median:.1f} [{low:.1f}, {high:.1f}] / {published_text}"


def text_rows(table: Table, frame: pd.DataFrame) -> list[list[str]]:
    """Header and rows of a table as text."""
    prefixes = [column.name for column in table.columns]
    rows = [["", *(column.label for column in table.columns)]]
    for _, line in frame.iterrows():
        rows.append([line["label"], *(field_text(line, prefix) for prefix in prefixes)])
    return rows


def markdown_rows(rows: list[list[str]]) -> str:
    """A Markdown table of a header and its rows, with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def to_markdown(table: Table, frame: pd.DataFrame, notes: list[str]) -> str:
    """A Markdown table, its caption above and its notes below."""
    body = markdown_rows(text_rows(table, frame))
    return f"**{table.caption}**\n\n{body}\n\n" + "\n".join(f"- {note}" for note in notes) + "\n"


def to_latex(table: Table, frame: pd.DataFrame, notes: list[str]) -> str:
    """A LaTeX table (packages booktabs), a rule between our rows and the references."""
    rows = text_rows(table, frame)
    lines = [
        r"\begin{table}",
        r"\centering",
        r"\small",
        r"\begin{tabular}{l" + "c" * len(table.columns) + "}",
        r"\toprule",
        " & ".join(escape_latex(text) for text in rows[0]) + r" \\",
        r"\midrule",
    ]
    ours = True
    for (_, line), row in zip(frame.iterrows(), rows[1:], strict=True):
        if ours and not line["cell"]:
            lines.append(r"\midrule")
        ours = bool(line["cell"])
        lines.append(" & ".join(escape_latex(text) for text in row) + r" \\")
    lines += [
        r"\bottomrule",
        r"\end{tabular}",
        r"\caption{" + escape_latex(" ".join([table.caption + ".", *notes])) + "}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


LATEX_ESCAPES = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "–": "--",
    }
)


def escape_latex(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return text.translate(LATEX_ESCAPES)
