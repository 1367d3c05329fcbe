"""What files of `results/` hold, as text for a reader: tables of Markdown, figures, listings.

The report shows a number as its table shows it, so it reads the table's own Markdown; the CSV
beside it tells what its rows and columns are called.
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from analysis.render import DASH

PUBLISHED = " / "  # between our number and the paper's, in a field of Markdown
OURS = (".median", ".value")  # the CSV's columns of what a field shows first
INCH, PNG_DPI = 96, 200  # CSS pixels, and those of our figures


@dataclass(frozen=True)
class Field:
    """A field of a table: our number with its range, and the published one; "" for what is not."""

    ours: str
    spread: str = ""
    published: str = ""


@dataclass
class TextTable:
    """A table of Markdown: its caption, header, rows and notes as they stand there."""

    caption: str
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Image:
    """A figure inside of the page: its bytes as a data URI, its size in CSS pixels."""

    uri: str
    width: int
    height: int
    alt: str
    caption: str


def read_tables(text: str) -> list[TextTable]:
    """The tables of a Markdown file that `analysis` wrote, each under its caption in bold."""
    tables: list[TextTable] = []
    for line in text.splitlines():
        if line.startswith("**"):
            tables.append(TextTable(line.strip("*")))
        elif line.startswith("- "):
            tables[-1].notes.append(line.removeprefix("- "))
        elif re.fullmatch(r"\|[-|]+\|", line):
            tables[-1].header = tables[-1].rows.pop()
        elif line.startswith("|"):
            fields = re.split(r"(?<!\\)\|", line)[1:-1]
            tables[-1].rows.append([text.strip().replace("\\|", "|") for text in fields])
    return tables


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV as the text that it holds, "" for what is empty."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def split_field(text: str, reference: bool) -> Field:
    """A field as `analysis.render` writes it: `84.3 [83.9, 84.6] / 84.7`.

    A `reference` row has the published number alone.
    """
    if reference:
        return Field("", published="" if text == DASH else text)
    ours, _, published = text.partition(PUBLISHED)
    number, bracket, spread = ours.partition(" [")
    return Field(number, bracket.strip() + spread, "" if published == DASH else published)


def column_names(frame: pd.DataFrame) -> list[str]:
    """What `--trace` calls the columns of a table, from its CSV, in their order."""
    names = [name.rsplit(".", 1)[0] for name in frame.columns if name.endswith(OURS)]
    return [name for name in names if name != "average"]


def read_image(path: Path, alt: str, caption: str) -> Image:
    """A PNG of `analysis.figures`, at the size at which it was drawn."""
    data = path.read_bytes()
    width, height = (int.from_bytes(data[at : at + 4]) * INCH // PNG_DPI for at in (16, 20))
    encoded = base64.b64encode(data).decode("ascii")
    return Image(f"data:image/png;base64,{encoded}", width, height, alt, caption)


def number_text(text: str, form: str = "{:,.0f}") -> str:
    """A number of a CSV for reading, a dash where there is none."""
    return DASH if text in ("", "inf", "-inf") else form.format(float(text))


def listing_table(
    frame: pd.DataFrame, caption: str, columns: Iterable[tuple[str, str, str]]
) -> TextTable:
    """Some columns of a listing: (name in the CSV, header, format or "" for text)."""
    columns = list(columns)
    rows = [
        [number_text(line[name], form) if form else line[name] for name, _, form in columns]
        for line in frame.to_dict("records")
    ]
    return TextTable(caption, [head for _, head, _ in columns], rows)
