"""Tables for reading: what their fields say, and Markdown; `analysis.latex` sets the same grids.

A score is `median [min, max] / published`, a value of a recipe `value / published`; reference rows
show their published value alone. Fine-tunings that diverged or have no score are counted beside the
median, or it is one of them and the field says `failed`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from analysis.shown import Entry, ShownRow
from analysis.statistics.intervals import Difference, Mean
from analysis.values import DIFFERENCE_FORMATS, FORMATS, metric_name
from study.fields import given
from study.tables import Table

DASH = "–"


class Field(NamedTuple):
    """One field as text: our number, what is said of it (a range), the published number.

    `ours` is empty in reference rows, `published` a dash where none was printed and empty where
    nothing is to be shown.
    """

    ours: str = ""
    said: tuple[str, ...] = ()
    published: str = DASH


class Head(NamedTuple):
    """What stands above a column: its label, and of a score the metric."""

    label: str
    metric: str = ""


@dataclass(frozen=True)
class Grid:
    """A table as text, before it is Markdown or LaTeX."""

    caption: str
    heads: list[Head]
    rows: list[tuple[str, list[Field]]]  # label, and a field per column
    rules: Collection[int] = ()  # rows, from 0, with a rule above them
    aligned: bool = True  # whether the numbers of a column stand with their points in a line

    @property
    def printed(self) -> list[bool]:
        """Whether a column has published values."""
        columns = zip(*(fields for _, fields in self.rows), strict=True)
        return [any(field.published.strip(DASH) for field in column) for column in columns]


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


def entry_field(entry: Entry) -> Field:
    """An entry of a table: `84.3`, `[83.9, 84.6]` and `84.7`."""
    column, fields = entry.column, entry.fields
    show = FORMATS.get(column.value or "", "{:.1f}").format
    published = DASH if entry.published is None else show(fields["published"])
    if not entry.statistics:
        return Field(published=published)
    if "value" in fields:
        return Field(show(fields["value"]), (), published)
    if pd.isna(fields["median"]):
        return Field("not yet" if column.value == "transition" else "failed", (), published)
    low, high = fields["min"], fields["max"]
    ranged = not pd.isna(low) if column.scored else low < high
    said = [f"[{show(low)}, {show(high)}]"] if ranged else []
    said += [f"({fields['diverged']} failed)"] if fields.get("diverged") else []
    return Field(show(fields["median"]), tuple(said), published)


def average_field(row: ShownRow) -> Field:
    """Our average, or in a reference row the published one: two definitions, never side by side."""
    average = row.average if row.cell else row.published_average
    return Field(DASH if average is None else f"{average:.1f}")


def mean_field(entry: Entry) -> Field:
    """A mean over replicates with its interval: `61.2`, `[59.7, 62.7]`."""
    return interval_field(entry.mean, FORMATS.get(entry.column.value or "", "{:.1f}"))


def difference_field(entry: Entry) -> Field:
    """A difference with its interval, p-value and verdict: `+1.2`, `[-0.3, +2.7]`, `p = 0.131`,
    `undecided`.
    """
    form = DIFFERENCE_FORMATS.get(entry.column.value or "", "{:+.1f}")
    field = interval_field(entry.difference, form)
    if not entry.verdict:
        return field
    p = given(entry.p)
    p_value = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return field._replace(said=(*field.said, p_value, entry.verdict))


def interval_field(interval: Mean | Difference | None, form: str) -> Field:
    """A value with the ends of its interval, a dash where there is none."""
    if interval is None:
        return Field(DASH)
    value, low, high = map(form.format, interval)
    return Field(value, (f"[{low}, {high}]",))


def table_grid(table: Table, rows: list[ShownRow]) -> Grid:
    """A table with a rule where references begin and end."""
    heads = [Head(column.label, metric_name(column)) for column in table.columns]
    lines = [(row.row.label, [entry_field(entry) for entry in row.entries]) for row in rows]
    if table.average:
        heads.append(Head("Average"))
        for (_, fields), row in zip(lines, rows, strict=True):
            fields.append(average_field(row))
    ours = [row.row.ours for row in rows]
    rules = [number for number in range(1, len(ours)) if ours[number] != ours[number - 1]]
    return Grid(table.caption, heads, lines, rules)


def interval_grids(table: Table, rows: list[ShownRow]) -> Iterator[Grid]:
    """The means over replicates and the differences from the table's baseline; without columns of
    dashes, and none where no others are left.
    """
    if not table.baseline:
        return
    labels = {row.row.id: row.row.label for row in rows}
    ours = [row for row in rows if row.cell]
    others = [row for row in ours if row.row.id != table.baseline]
    for caption, shown, field_of, logarithm in (
        ("Means over replicates", ours, mean_field, ""),
        (f"Differences from {labels[table.baseline]}", others, difference_field, "ln "),
    ):
        columns = []
        for number, column in enumerate(table.columns):
            fields = [field_of(row.entries[number]) for row in shown]
            if any(field.ours != DASH for field in fields):
                label = (logarithm if column.value == "perplexity" else "") + column.label
                columns.append((Head(label, metric_name(column)), fields))
        if columns:
            heads = [head for head, _ in columns]
            fields_of_rows = [fields for _, fields in columns]
            names = [row.row.label for row in shown]
            lines = [(name, list(line)) for name, *line in zip(names, *fields_of_rows, strict=True)]
            yield Grid(caption, heads, lines)


def text_rows(grid: Grid) -> list[list[str]]:
    """Header and rows as text: `84.3 [83.9, 84.6] / 84.7`; a column that was never published has no
    slash.
    """
    lines = [["", *(head.label for head in grid.heads)]]
    for label, fields in grid.rows:
        texts = []
        for field, printed in zip(fields, grid.printed, strict=True):
            ours = " ".join([field.ours, *field.said])
            texts.append(" / ".join(filter(None, [ours, field.published if printed else ""])))
        lines.append([label, *(text or DASH for text in texts)])
    return lines


def to_markdown(grids: list[Grid], notes: list[str]) -> str:
    """A table as Markdown, its notes below it; means and differences are tables of their own."""
    first, *others = grids
    text = markdown_table(first.caption, text_rows(first), notes)
    return text + "".join("\n" + markdown_table(one.caption, text_rows(one), []) for one in others)


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
