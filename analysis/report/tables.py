"""A finished table as the report shows it, read from its files under `results/`."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.account import notes_of, took_text
from analysis.command import option_words, snakemake_command
from analysis.gathering import FinishedTable, result_path
from analysis.report.claims import Claim
from analysis.report.reading import (
    Field,
    Image,
    TextTable,
    column_names,
    read_csv,
    read_image,
    read_tables,
    split_field,
)
from analysis.table import SLASH_NOTE
from study.graph import Study
from study.record import current_file


@dataclass(frozen=True)
class Row:
    """A row of a table; of a reference only published values are shown."""

    label: str
    reference: bool
    fields: list[Field]


@dataclass(frozen=True)
class Number:
    """A number of a table and the command that prints the runs and data behind it."""

    row: str
    column: str
    text: str
    command: str


@dataclass(frozen=True)
class ShownTable:
    """A finished table with all that stands by it.

    `further` are means and differences, `spread` where the scores' spread comes from.
    """

    name: str
    caption: str
    header: list[str]
    rows: list[Row]
    notes: list[str]
    further: list[TextTable]
    spread: list[TextTable]
    image: Image | None
    claims: list[Claim]
    numbers: list[Number]
    command: str
    took: str


def shown_table(
    study: Study,
    table: FinishedTable,
    common: Sequence[str],
    claims: Sequence[Claim],
    files: Mapping[str, Path | None],
) -> ShownTable:
    """A table without the notes that are `common` to all, with the claims that are about it."""
    frame = read_csv(table.path)
    main, *further = read_tables(table.text)
    cells = frame["cell"] if "cell" in frame else ["of recipes"] * len(frame)
    rows = [
        Row(label, not cell, [split_field(text, reference=not cell) for text in fields])
        for (label, *fields), cell in zip(main.rows, cells, strict=True)
    ]
    return ShownTable(
        name=table.name,
        caption=main.caption,
        header=main.header[1:],
        rows=rows,
        notes=[note.replace(SLASH_NOTE, "") for note in notes_of(table) if note not in common],
        further=further,
        spread=spread_tables(study, table.name),
        image=table_image(files.get(f"figures/{table.name}"), main.caption),
        claims=[claim for claim in claims if claim.table == table.name],
        numbers=numbers(study, table, rows, main.header[1:]),
        command=snakemake_command(study, result_path(table.name)),
        took=took_text(study, table),
    )


def spread_tables(study: Study, name: str) -> list[TextTable]:
    """What `results/variance/` tells of a table; nothing where it was not asked for."""
    result = f"variance/{name}"
    path = current_file(study, result) if result in study.results else None
    return read_tables(path.with_suffix(".md").read_text()) if path else []


def table_image(path: Path | None, caption: str) -> Image | None:
    """The figure of a table, where it is there."""
    if path is None:
        return None
    alt = f"Plot of the scores in the table above, {caption}: a mark for every seed and median."
    return read_image(path, alt, f"Every seed, the medians and the published values: {caption}")


def numbers(study: Study, table: FinishedTable, rows: list[Row], header: list[str]) -> list[Number]:
    """Our numbers of a table that runs stand behind, each with the command that leads to them."""
    if not table.runs:
        return []
    frame = read_csv(table.path)
    command = ["python", "-m", "analysis.provenance", *option_words(study), "--trace", table.name]
    return [
        Number(row.label, label, shown.ours, shlex.join([*command, line["row"], column]))
        for row, line in zip(rows, frame.to_dict("records"), strict=True)
        for label, column, shown in zip(header, column_names(frame), row.fields, strict=False)
        if any(line.get(f"{column}.{field}") for field in ("median", "value"))
    ]
