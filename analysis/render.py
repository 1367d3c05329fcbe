"""Tables for reading: Markdown, and LaTeX with booktabs rules.

A score is `median [min, max] / published`, a value of a recipe `value / published`; reference rows
show their published value alone. Fine-tunings that diverged or have no score are counted beside the
median, or it is one of them and the field says `failed`.
"""

from collections.abc import Collection

import pandas as pd

from analysis.values import FORMATS
from study.tables import Column, Table

DASH = "–"


def field_text(line: pd.Series, column: Column) -> str:
    """One field: `84.3 [83.9, 84.6] / 84.7`, with a dash for what is not there."""
    show = (FORMATS[column.value] if column.value else "{:.1f}").format
    published = line[f"{column.name}.published"]
    published_text = DASH if pd.isna(published) else show(published)
    if not line["cell"]:
        return published_text
    if f"{column.name}.value" in line.index:
        return f"{show(line[f'{column.name}.value'])} / {published_text}"
    median = line[f"{column.name}.median"]
    if pd.isna(median):
        return f"failed / {published_text}"
    low, high = line[f"{column.name}.min"], line[f"{column.name}.max"]
    ranged = not pd.isna(low) if column.task else low < high
    spread = f" [{show(low)}, {show(high)}]" if ranged else ""
    failed = int(line[f"{column.name}.diverged"]) if column.task else 0
    failures = f" ({failed} failed)" if failed else ""
    return f"{show(median)}{spread}{failures} / {published_text}"


def average_text(line: pd.Series) -> str:
    """Our average, or in a reference row the published one: two definitions, never side by side."""
    value = line["average.value"] if line["cell"] else line["average.published"]
    return DASH if pd.isna(value) else f"{value:.1f}"


def text_rows(table: Table, frame: pd.DataFrame) -> list[list[str]]:
    """Header and rows of a table as text; a column that was never published has no slash."""
    rows = [["", *(column.label for column in table.columns)]]
    for _, line in frame.iterrows():
        rows.append([line["label"], *(field_text(line, column) for column in table.columns)])
    if table.average:
        rows[0].append("Average")
        for (_, line), row in zip(frame.iterrows(), rows[1:], strict=True):
            row.append(average_text(line))
    for place, column in enumerate(table.columns, start=1):
        if frame[f"{column.name}.published"].isna().all():
            for row in rows[1:]:
                row[place] = row[place].removesuffix(f" / {DASH}")
    return rows


def to_markdown(table: Table, frame: pd.DataFrame, notes: list[str]) -> str:
    """A table of scores as Markdown; differences from a baseline stand in a second one."""
    text = markdown_table(table.caption, text_rows(table, frame), notes)
    if table.baseline:
        text += "\n" + markdown_table(*difference_rows(table, frame), [])
    return text


def to_latex(table: Table, frame: pd.DataFrame, notes: list[str]) -> str:
    """A table of scores as LaTeX, with a rule where references begin and end."""
    ours = [bool(cell) for cell in frame["cell"]]
    rules = [place for place in range(1, len(ours)) if ours[place] != ours[place - 1]]
    text = latex_table(table.caption, text_rows(table, frame), notes, rules)
    if table.baseline:
        text += latex_table(*difference_rows(table, frame), [])
    return text


def difference_rows(table: Table, frame: pd.DataFrame) -> tuple[str, list[list[str]]]:
    """Caption, header and rows of the differences from the table's baseline, with intervals."""
    labels = dict(zip(frame["row"], frame["label"], strict=True))
    rows = [["", *(column.label for column in table.score_columns)]]
    for _, line in frame.iterrows():
        if line["cell"] and line["row"] != table.baseline:
            fields = []
            for column in table.score_columns:
                value, low, high = (
                    line[f"{column.name}.{name}"] for name in ("difference", "low", "high")
                )
                text = f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"
                fields.append(DASH if pd.isna(value) else text)
            rows.append([line["label"], *fields])
    return f"Differences from {labels[table.baseline]}", rows


def one_line(text: str) -> str:
    """Text without line breaks, which would end a table's row."""
    return " ".join(text.split())


def markdown_rows(rows: list[list[str]]) -> str:
    """Aligned Markdown of a header and its rows."""
    rows = [[one_line(text).replace("|", "\\|") for text in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def markdown_table(caption: str, rows: list[list[str]], notes: list[str]) -> str:
    """A Markdown table, its caption above and its notes below; `rows[0]` is the header."""
    body = markdown_rows(rows)
    listed = "\n".join(f"- {one_line(note)}" for note in notes)
    return f"**{one_line(caption)}**\n\n{body}\n\n{listed}\n"


def latex_table(
    caption: str, rows: list[list[str]], notes: list[str], rules: Collection[int] = ()
) -> str:
    """A LaTeX table (package booktabs); `rules` are the rows, from 0 below the header, that have a
    rule above them.
    """
    lines = [
        r"\begin{table}",
        r"\centering",
        r"\small",
        r"\begin{tabular}{l" + "c" * (len(rows[0]) - 1) + "}",
        r"\toprule",
        " & ".join(escape_latex(text) for text in rows[0]) + r" \\",
        r"\midrule",
    ]
    for place, row in enumerate(rows[1:]):
        if place in rules:
            lines.append(r"\midrule")
        lines.append(" & ".join(escape_latex(text) for text in row) + r" \\")
    lines += [
        r"\bottomrule",
        r"\end{tabular}",
        r"\caption{" + escape_latex(" ".join([caption + ".", *notes])) + "}",
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
    """Text with LaTeX's special characters escaped, on one line."""
    return one_line(text).translate(LATEX_ESCAPES)
