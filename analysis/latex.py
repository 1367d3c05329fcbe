"""Tables as LaTeX, for a text column of 5.5 inches in a document of 11 points.

A document needs the packages booktabs and siunitx, and rotating where a table is turned. Our number
and the published one stand side by side, a range or an interval in smaller type beneath them, notes
under the table. What is too wide is set smaller, then cut into blocks of columns; what is too high
for a page becomes several floats, or is turned where half as many will do.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from typing import Any

from analysis.render import DASH, Field, Grid, Head, one_line

WIDTH, HEIGHT = 397, 525  # points of a page's text: 5.5 inches, and what class article has
CAPTION = 46  # points that a float keeps for it and the spaces around
GAP, INNER = 8, 6  # points between columns, and between our number and the published one
LABEL = 115  # points that a row's label has where the table is too wide otherwise
HEAD = 60  # points that a column's label has where the table is not
NUMBER = re.compile(r"[+-]?[\d,]*\d(\.\d+)?")
EXPONENT = re.compile(r"-?\d+(\.\d+)?e[+-]?\d+")
# Widths of Computer Modern in ems; its small sizes are SMALL_SIZES as wide.
GROUPS = {"ijl.,:;'|![]": 0.28, "frst()- ": 0.4, "aceogz0123456789/–": 0.5, "EFLP": 0.69}
GROUPS |= {"S": 0.56, "ABCDGHIJKNOQRTUVXYZ+=": 0.79, "mw%": 0.84, "MW@": 1.03}
WIDTHS = {character: width for group, width in GROUPS.items() for character in group}
OTHER = 0.56
SMALL_SIZES = 1.06
ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''"}
    | {"`": r"\textasciigrave{}", "[": "{[}", "–": "--", "×": r"$\times$", "≥": r"$\ge$"}
    | {"≤": r"$\le$", "±": r"$\pm$"}
)


@dataclass(frozen=True)
class Face:
    """A type size of LaTeX in an 11-point document, in points, and its distance of lines."""

    name: str
    size: float
    line: float

    def width(self, text: str) -> float:
        """Points that a text takes at most."""
        return SMALL_SIZES * self.size * sum(WIDTHS.get(character, OTHER) for character in text)

    def wrapped(self, text: str, limit: float) -> list[str]:
        """The lines of a text that is broken between words where they would be wider."""
        lines: list[str] = []
        for word in text.split():
            if lines and self.width(f"{lines[-1]} {word}") <= limit:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        return lines


SMALL, FOOTNOTE, SCRIPT = (
    Face("small", 10, 12),
    Face("footnotesize", 9, 11),
    Face("scriptsize", 8, 9.5),
)


def escape_latex(text: str) -> str:
    """Text with LaTeX's special characters escaped, on one line."""
    return one_line(text).translate(ESCAPES)


def small(text: str) -> str:
    """Numbers in smaller type, with signs as in formulas."""
    signed = re.sub(r"(?<![\w.])-(?=\d)", r"$-$", escape_latex(text).replace("{[}", "["))
    return rf"{{\scriptsize {signed}}}" if text else ""


class Part:
    """A column of LaTeX: our numbers, or the published ones beside them."""

    def __init__(self, texts: list[str], aligned: bool):
        self.texts = texts
        self.numbers = [text for text in texts if aligned and NUMBER.fullmatch(text)]

    @cached_property
    def shape(self) -> tuple[str, str, str]:
        """A sign if there is one, and the longest parts before and after the point."""
        sign = "+" if any(number[0] in "+-" for number in self.numbers) else ""
        parts = [number.lstrip("+-").split(".") for number in self.numbers]
        whole = max((part[0] for part in parts), key=len)
        return sign, whole, max(("".join(part[1:]) for part in parts), key=len)

    @property
    def kind(self) -> str:
        """Its column type: numbers have their points in a line."""
        if not self.numbers:
            return "c"
        sign, whole, decimals = self.shape
        digits = len(whole.replace(",", ""))
        plus = ", retain-explicit-plus" if sign else ""
        return f"S[table-format={sign}{digits}{'.' * bool(decimals)}{len(decimals) or ''}{plus}]"

    def width(self, face: Face) -> float:
        """Points that it takes."""
        words = [re.sub(r"e(?=[+-]?\d)", "+10", text) for text in {*self.texts} - {*self.numbers}]
        words += [self.shape[0] + ".".join(self.shape[1:])] if self.numbers else []
        return max(map(face.width, words))

    def cell(self, text: str) -> str:
        """One of its texts; what is no number is put in braces, which keep siunitx off it."""
        if text in self.numbers:
            return text.replace(",", "")
        if NUMBER.fullmatch(text) or EXPONENT.fullmatch(text):
            return rf"{{\num{{{text.replace(',', '')}}}}}"
        return f"{{{escape_latex(text)}}}" if text else ""


class Column:
    """A column of a grid: one column of LaTeX, or two where values were published."""

    def __init__(
        self, head: Head, fields: list[Field], printed: bool, aligned: bool, face: Face, room: float
    ):
        self.fields, self.face = fields, face
        self.parts = [Part([field.ours for field in fields], aligned)]
        if printed:
            published = [field.published for field in fields]
            self.parts.append(Part(published, aligned))
        told = [] if head.metric.lower() in head.label.lower() else [(SCRIPT, head.metric)]
        words = [
            type_face.width(line)
            for type_face, text in [(face, head.label), *told]
            for line in type_face.wrapped(text, room)
        ]
        said = [SCRIPT.width(text.replace("-", "+")) for field in fields for text in field.said]
        numbers = sum(part.width(face) for part in self.parts) + INNER * (len(self.parts) - 1)
        if printed:
            numbers = max(numbers, SCRIPT.width("ours publ. "))
        self.width = max([numbers, *words, *said])
        self.head = [escape_latex(line) for line in face.wrapped(head.label, self.width)]
        for metric_face, metric in told:
            self.head += map(small, metric_face.wrapped(metric, self.width))

    def across(self, text: str, last: bool) -> str:
        """A cell over all of it."""
        if len(self.parts) == 1:
            return f"{{{text}}}" if text else ""
        gap = "" if last else rf"\hspace{{{GAP}pt}}"
        return rf"\multicolumn{{{len(self.parts)}}}{{@{{}}c@{{{gap}}}}}{{{text}}}"

    def shows(self, row: int) -> bool:
        """Whether there is anything in a row."""
        field = self.fields[row]
        return bool(field.ours or field.published.strip(DASH))

    def cells(self, row: int) -> list[str]:
        """Our number of a row, and the published one."""
        return [part.cell(part.texts[row]) for part in self.parts]


@dataclass(frozen=True)
class Block:
    """Some columns and rows of a grid: one tabular."""

    grid: Grid
    columns: list[Column]
    labels: list[list[str]]  # the lines of every row's label
    rows: list[int]
    face: Face

    def row_lines(self, row: int) -> int:
        """How many lines a row takes."""
        said = max(len(column.fields[row].said) for column in self.columns)
        return max(len(self.labels[row]), 1 + said)

    @property
    def header_lines(self) -> int:
        """How many lines the header takes."""
        printed = any(len(column.parts) > 1 for column in self.columns)
        return max(len(column.head) for column in self.columns) + printed

    def row_height(self, row: int) -> float:
        """Points that a row takes, with a rule or a space above it."""
        lines = self.row_lines(row)
        return self.face.line * lines + (5 if row in self.grid.rules else 2 * (lines > 1))

    @property
    def height(self) -> float:
        """Points that it takes."""
        return 27 + self.face.line * self.header_lines + sum(map(self.row_height, self.rows))

    def line(self, label: str, cells: list[str]) -> str:
        """One line of LaTeX."""
        return " & ".join([label, *cells]) + r" \\"

    def spans(self, texts: list[str]) -> list[str]:
        """A cell over each of its columns."""
        last = self.columns[-1]
        pairs = zip(self.columns, texts, strict=True)
        return [column.across(text, column is last) for column, text in pairs]

    def header(self) -> Iterator[str]:
        """Labels and metrics, lowest lines in line; then whose a number is, where there are two."""
        depth = max(len(column.head) for column in self.columns)
        for number in range(depth):
            heads = [[""] * (depth - len(column.head)) + column.head for column in self.columns]
            yield self.line("", self.spans([head[number] for head in heads]))
        if self.header_lines > depth:
            names, rules, first = [], [], 2
            for column in self.columns:
                end = first + len(column.parts) - 1
                trim = "" if column is self.columns[-1] else f"(r{{{GAP}pt}})"
                if end > first:
                    rules.append(rf"\cmidrule{trim}{{{first}-{end}}}")
                names += [small("ours"), small("publ.")] if end > first else [""]
                first = end + 1
            yield " ".join(rules)
            yield self.line("", names)

    def body(self) -> Iterator[str]:
        """The rows: numbers, and what is said of them beneath."""
        for above, row in zip([None, *self.rows], self.rows, strict=False):
            if above is not None and any(above < rule <= row for rule in self.grid.rules):
                yield r"\midrule"
            elif above is not None and max(self.row_lines(row), self.row_lines(above)) > 1:
                yield r"\addlinespace[2pt]"
            label, *more = map(escape_latex, self.labels[row])
            cells = [cell for column in self.columns for cell in column.cells(row)]
            yield self.line(label, cells)
            said = [map(small, column.fields[row].said) for column in self.columns]
            for rest, *texts in zip_longest(more, *said, fillvalue=""):
                yield self.line(rf"\quad {rest}" if rest else "", self.spans(texts))

    def tabular(self) -> list[str]:
        """Its LaTeX."""
        inner = rf"@{{\hspace{{{INNER}pt}}}}"
        kinds = [inner.join(part.kind for part in column.parts) for column in self.columns]
        gap = rf"@{{\hspace{{{GAP}pt}}}}"
        return [
            rf"\begin{{tabular}}{{@{{}}l{gap}{gap.join(kinds)}@{{}}}}",
            r"\toprule",
            *self.header(),
            r"\midrule",
            *self.body(),
            r"\bottomrule",
            r"\end{tabular}",
        ]


def blocks(grid: Grid, face: Face, room: float, width: float, height: float) -> list[Block]:
    """A grid as few blocks of columns that are as wide as `width` at most, of about equal numbers,
    and of rows that are as high as `height`. A column's label is broken where it is wider than
    `room` and than the column's numbers.
    """
    fields = list(zip(*(fields for _, fields in grid.rows), strict=True))
    columns = [
        Column(head, list(column), printed, grid.aligned, face, room)
        for head, column, printed in zip(grid.heads, fields, grid.printed, strict=True)
    ]
    names = [label for label, _ in grid.rows]
    needed = sum(GAP + column.width for column in columns)
    wide = max(map(face.width, names)) + needed > width
    labels = [face.wrapped(name, LABEL if wide else width) or [""] for name in names]
    indent = face.size * any(len(lines) > 1 for lines in labels)
    room = width - indent - max(face.width(line) for lines in labels for line in lines)
    for count in range(1, len(columns) + 1):
        size = math.ceil(len(columns) / count)
        groups = [columns[start : start + size] for start in range(0, len(columns), size)]
        if all(sum(GAP + column.width for column in group) <= room for group in groups):
            break
    found = []
    for group in groups:
        shown = [row for row in range(len(names)) if any(column.shows(row) for column in group)]
        head = Block(grid, group, labels, [], face)
        for rows in packed(shown, head.row_height, height - head.height):
            found.append(replace(head, rows=rows))
    return found


def packed(things: list, size_of: Callable[[Any], float], room: float) -> list[list]:
    """Things in their order, in as few groups that have this room as there can be."""
    groups: list[list] = [[]]
    left = room
    for thing in things:
        size = size_of(thing)
        if groups[-1] and size > left:
            groups.append([])
            left = room
        groups[-1].append(thing)
        left -= size
    return groups


def floats(grid: Grid, notes: list[str], width: float, height: float) -> list[list[Block | str]]:
    """The blocks and notes of every float that a grid takes on a page of this size."""

    def height_of(part: Block | str) -> float:
        if isinstance(part, Block):
            return part.height
        return SCRIPT.line * math.ceil(SCRIPT.width(part) / width)

    height -= CAPTION
    for face, room in ((SMALL, HEAD), (SMALL, 0), (FOOTNOTE, 0)):
        parts: list[Block | str] = [*blocks(grid, face, room, width, height)]
        if len(parts) == 1:
            break
    return packed([*parts, *notes], height_of, height)


def latex_table(name: str, grid: Grid, notes: list[str]) -> str:
    """A table with its notes below; `name` is that of its label, `tab:<name>`."""
    environment, pages = "table", floats(grid, notes, WIDTH, HEIGHT)
    turned = floats(grid, notes, HEIGHT, WIDTH)
    if len(turned) <= len(pages) / 2:
        environment, pages = "sidewaystable", turned
    lines = []
    for number, page in enumerate(pages):
        title = [rf"\caption{{{escape_latex(grid.caption)}}}", rf"\label{{tab:{name}}}\smallskip"]
        lines += [rf"\begin{{{environment}}}", r"\centering"]
        lines += [rf"Table~\ref{{tab:{name}}}, continued\par\smallskip"] if number else title
        tables = [part for part in page if isinstance(part, Block)]
        for table in tables:
            lines += [rf"{{\{table.face.name}", *table.tabular(), r"\par}\smallskip"]
        told = [f"{escape_latex(note)}\\par" for note in page if isinstance(note, str)]
        lines += [r"{\scriptsize\raggedright", *told, "}"] if told else []
        lines.append(rf"\end{{{environment}}}")
    return "\n".join(lines) + "\n"


def to_latex(name: str, grids: list[Grid], notes: list[str]) -> str:
    """A table and its notes; means and differences are tables of their own, `tab:<name>-means`."""
    first, *others = grids
    text = latex_table(name, first, notes)
    for one in others:
        caption = f"{first.caption}: {one.caption[:1].lower()}{one.caption[1:]}"
        part = one.caption.split()[0].lower()
        text += "\n" + latex_table(f"{name}-{part}", replace(one, caption=caption), [])
    return text
