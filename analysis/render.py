"""Tables for reading: Markdown, and LaTeX with booktabs rules.

A score is `median [min, max] / published`, a value of a recipe `value / published`; reference rows
show their published value alone. Fine-tunings that diverged or have no score are counted beside the
median, or it is one of them and the field says `failed`.
"""

from collections.abc import Collection, Iterator
from typing import Any

import pandas as pd

from analysis.shown import Entry, ShownRow
from analysis.statistics.intervals import Difference, Mean
from analysis.values import DIFFERENCE_FORMATS, FORMATS
from study.tables import Table

DASH = "–"


def value_text(value: Any) -> str:
    """A value of a recipe: 0.999, 1e-06, 8,192, books+wiki, true; a dash for what is not there."""
    if value is None:
        return DASH
    if isinstance(value, list):
        return "+".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def duration(hours: float) -> str:
    """Seconds, minutes, hours or days, three digits: `48 s`, `12.3 min`, `46.1 h`, `7.4 days`."""
    for limit, size, unit in ((100 / 3600, 3600, "s"), (2, 60, "min"), (72, 1, "h")):
        if hours < limit:
            return f"{hours * size:.3g} {unit}"
    days = hours / 24
    return f"{days:,.0f} days" if days >= 100 else f"{days:.3g} days"


def megabytes(value: float) -> str:
    """`48 MB`, `1.31 GB`; a dash for what is not known."""
    if pd.isna(value):
        return DASH
    return f"{value / 1000:,.3g} GB" if value >= 1000 else f"{value:.3g} MB"


def amount(value: float) -> str:
    """`131 B` (10^9), `2.56 M`, `900`."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:.4g} {letter}"
    return f"{value:.0f}"


def field_text(entry: Entry) -> str:
    """One field: `84.3 [83.9, 84.6] / 84.7`, with a dash for what is not there."""
    column, fields = entry.column, entry.fields
    show = FORMATS.get(column.value, "{:.1f}").format
    published = DASH if entry.published is None else show(fields["published"])
    if not entry.statistics:
        return published
    if "value" in fields:
        return f"{show(fields['value'])} / {published}"
    if pd.isna(fields["median"]):
        return f"{'not yet' if column.value == 'transition' else 'failed'} / {published}"
    low, high = fields["min"], fields["max"]
    ranged = not pd.isna(low) if column.scored else low < high
    spread = f" [{show(low)}, {show(high)}]" if ranged else ""
    failures = f" ({fields['diverged']} failed)" if fields.get("diverged") else ""
    return f"{show(fields['median'])}{spread}{failures} / {published}"


def average_text(row: ShownRow) -> str:
    """Our average, or in a reference row the published one: two definitions, never side by side."""
    average = row.average if row.cell else row.published_average
    return DASH if average is None else f"{average:.1f}"


def text_rows(table: Table, rows: list[ShownRow]) -> list[list[str]]:
    """Header and rows of a table as text; a column that was never published has no slash."""
    lines = [["", *(column.label for column in table.columns)]]
    lines += [[row.row.label, *map(field_text, row.entries)] for row in rows]
    for number, entries in enumerate(zip(*(row.entries for row in rows), strict=True), start=1):
        if all(entry.published is None for entry in entries):
            for line in lines[1:]:
                line[number] = line[number].removesuffix(f" / {DASH}")
    if table.average:
        for line, text in zip(lines, ["Average", *map(average_text, rows)], strict=True):
            line.append(text)
    return lines


def to_markdown(table: Table, rows: list[ShownRow], notes: list[str]) -> str:
    """A table as Markdown; means and differences from a baseline stand in tables of their own."""
    text = markdown_table(table.caption, text_rows(table, rows), notes)
    for caption, lines in interval_tables(table, rows):
        text += "\n" + markdown_table(caption, lines, [])
    return text


def to_latex(table: Table, rows: list[ShownRow], notes: list[str]) -> str:
    """A table as LaTeX, with a rule where references begin and end; means and differences as in
    Markdown.
    """
    ours = [row.row.ours for row in rows]
    rules = [number for number in range(1, len(ours)) if ours[number] != ours[number - 1]]
    text = latex_table(table.caption, text_rows(table, rows), notes, rules)
    for caption, lines in interval_tables(table, rows):
        text += latex_table(caption, lines, [])
    return text


def mean_text(entry: Entry) -> str:
    """A mean over replicates with its interval: `61.2 [59.7, 62.7]`."""
    return interval_text(entry.mean, FORMATS.get(entry.column.value, "{:.1f}"))


def difference_text(entry: Entry) -> str:
    """A difference with its interval and verdict: `+1.2 [-0.3, +2.7] undecided`."""
    form = DIFFERENCE_FORMATS.get(entry.column.value, "{:+.1f}")
    return f"{interval_text(entry.difference, form)} {entry.verdict}".strip()


def interval_text(interval: Mean | Difference | None, form: str) -> str:
    """A value with the ends of its interval, a dash where there is none."""
    if interval is None:
        return DASH
    value, low, high = map(form.format, interval)
    return f"{value} [{low}, {high}]"


def interval_tables(table: Table, rows: list[ShownRow]) -> Iterator[tuple[str, list[list[str]]]]:
    """Caption, header and rows of the means over replicates and of the differences from the table's
    baseline; without columns of dashes, and none where no others are left.
    """
    if not table.baseline:
        return
    labels = {row.row.id: row.row.label for row in rows}
    ours = [row for row in rows if row.cell]
    others = [row for row in ours if row.row.id != table.baseline]
    for caption, shown, text, logarithm in (
        ("Means over replicates", ours, mean_text, ""),
        (f"Differences from {labels[table.baseline]}", others, difference_text, "ln "),
    ):
        columns = []
        for number, column in enumerate(table.columns):
            head = (logarithm if column.value == "perplexity" else "") + column.label
            columns.append([head, *(text(row.entries[number]) for row in shown)])
        columns = [[label, *texts] for label, *texts in columns if set(texts) - {DASH}]
        if columns:
            names = ["", *(row.row.label for row in shown)]
            yield caption, [list(line) for line in zip(names, *columns, strict=True)]


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
    listed = "\n".join(f"- {one_line(note)}" for note in notes)
    parts = [f"**{one_line(caption)}**", markdown_rows(rows), listed]
    return "\n\n".join(filter(None, parts)) + "\n"


def latex_table(
    caption: str, rows: list[list[str]], notes: list[str], rules: Collection[int] = ()
) -> str:
    """A LaTeX table (package booktabs); `rules` are the rows, from 0 below the header, that have a
    rule above them.
    """
    header, *body = [" & ".join(map(escape_latex, row)) + r" \\" for row in rows]
    lines = [
        r"\begin{table}",
        r"\centering",
        r"\small",
        r"\begin{tabular}{l" + "c" * (len(rows[0]) - 1) + "}",
        r"\toprule",
        header,
        r"\midrule",
    ]
    for number, line in enumerate(body):
        lines += [r"\midrule", line] if number in rules else [line]
    lines += [
        r"\bottomrule",
        r"\end{tabular}",
        r"\caption{" + escape_latex(" ".join([caption + ".", *notes])) + "}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


LATEX_ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "–": "--"}
)


def escape_latex(text: str) -> str:
    """Text with LaTeX's special characters escaped, on one line."""
    return one_line(text).translate(LATEX_ESCAPES)
