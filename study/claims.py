"""What a study claims: which rows of a table are compared in which columns, fixed before results.

These are parts of the study file. Nothing here changes what is trained; `analysis.claims` tests
them. Table 2's third claim:

    C03:
      statement: Single sentences instead of segments hurt.
      where: section 4.2
      kind: direction
      table: table2
      rows: [segment_pair, sentence_pair]
      columns: [squad11.f1, squad20.f1, mnli.accuracy, sst2.accuracy, race.accuracy]
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from study.fields import AboveZero, NonEmpty, Positive, Section, doc
from study.messages import hint
from study.tables import Table

# What the rows have to do with each other, the better one named first. "Better" is higher, but of
# what is lost (perplexity, bits per byte) lower.
Kind = Literal["direction", "at_least", "equivalent", "ordering", "value"]
ROWS = {"direction": 2, "at_least": 2, "equivalent": 2, "value": 1}
LOWER_IS_BETTER = ("perplexity", "bits_per_byte")
# Differences in these columns are in nats (of a rate: of its logarithm), in all others in points.
IN_NATS = ("perplexity", "learning_rate")


class Claim(Section):
    """A claim of the paper or of one's own, and how it is tested, or why it cannot be.

    direction   the first row is better than the second
    at_least    the first row is no worse than the second by more than the margin
    equivalent  they differ by less than the margin
    ordering    every row is better than the next
    value       the row's published number is where another run of ours may fall
    """

    statement: str = doc("what is claimed, in a sentence")
    where: str = doc("in the paper, or elsewhere")
    kind: Kind | None = doc("direction, at_least, equivalent, ordering or value", None)
    table: str | None = doc("the table whose rows are compared", None)
    rows: list[str] = doc("its rows, the better one first", [])
    columns: list[str] = doc("its columns; the test is of their mean, so they have one unit", [])
    against: list[str] = doc("columns that `columns` of the one row are compared with instead", [])
    margin: AboveZero | None = doc(
        "the smallest difference that matters, if not that of `verdicts.margins`", None
    )
    reason: str | None = doc("why this margin", None)
    not_testable: Annotated[str, Field(min_length=1)] | None = doc(
        "why no run of this study can test it", None
    )
    note: str | None = doc("what a reader must know beside it", None)

    @model_validator(mode="after")
    def testable_or_not(self):
        """Either a whole test, or the reason why there is none."""
        if self.not_testable:
            if self.kind or self.table or self.rows or self.columns or self.margin:
                raise ValueError("not_testable: expected no kind, table, rows, columns, margin")
            return self
        if not (self.kind and self.table and self.columns):
            raise ValueError("expected kind, table, rows and columns, or not_testable")
        if len(set(self.rows)) < len(self.rows):
            raise ValueError(f"rows: the same row twice, found {self.rows}")
        wanted = 1 if self.against else ROWS.get(self.kind, 2)
        if len(self.rows) < wanted or (self.kind != "ordering" and len(self.rows) > wanted):
            raise ValueError(f"rows: kind {self.kind} compares {wanted}, found {len(self.rows)}")
        if self.against and (len(self.against) != len(self.columns) or self.kind == "ordering"):
            raise ValueError("against: expected a column for each of `columns`, and no ordering")
        if self.margin and not self.reason:
            raise ValueError("reason: why this margin")
        return self

    def lacking(self, tables: Mapping[str, Table]) -> str | None:
        """What the study does not have of what it compares, in words; None if it has all.

        Columns that a table does not have are left out of the claim, if there are others.
        """
        if self.table is None or self.table not in tables:
            return f"no table {self.table}{hint(self.table, tables)}"
        rows = [row.id for row in tables[self.table].rows]
        for row in self.rows:
            if row not in rows:
                return f"{self.table} has no row {row}{hint(row, rows)}"
        columns = [column.name for column in tables[self.table].columns]
        if not set(columns).intersection(self.columns):
            return f"{self.table} has no column {self.columns[0]}{hint(self.columns[0], columns)}"
        return None


class Margins(Section):
    """The smallest differences that matter, for claims that do not say their own.

    They are also what replicates are to be able to show at a scale that is not the paper's, where
    published differences mean nothing.
    """

    points: AboveZero = doc("of scores in percent")
    nats: AboveZero = doc("of losses, which are logarithms of perplexities; of bits per byte too")
    reason: str = doc("why these")

    def of(self, unit: str) -> float:
        """The margin in a unit: points, nats or bits."""
        return self.points if unit == "points" else self.nats


class Verdicts(Section):
    """When verdicts are given, and which differences matter."""

    looks: NonEmpty[Positive] = doc(
        "numbers of replicates at which verdicts are given, rising: together they keep one error "
        "rate, so replicates may be added up to the next"
    )
    margins: Margins = doc("the smallest differences that matter")

    @model_validator(mode="after")
    def rising(self):
        """Each look has more replicates than the one before, and two at least."""
        if sorted(set(self.looks)) != self.looks or self.looks[0] < 2:
            raise ValueError(f"looks: expected rising numbers from 2 up, found {self.looks}")
        return self
