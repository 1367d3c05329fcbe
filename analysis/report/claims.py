"""Claims and their verdicts as the report shows them, from `results/claims.csv`.

That file has a line per claim (its `column` empty) and beneath it one per compared column
(`analysis.claims`); what they say in words is `analysis.claims_text`.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.claims_text import PLACES, decisions, interval, labels_of, p_text
from analysis.render import DASH
from analysis.statistics.verdicts import (
    CONTRADICTED,
    EQUIVALENT,
    NOT_TESTABLE,
    REPLICATED,
    UNDECIDED,
)
from study.graph import Study

# What a verdict says, in the order in which they are counted.
VERDICTS = {
    REPLICATED: "the difference lies on the claimed side, by more than chance explains",
    CONTRADICTED: "it lies on the other side, by more than chance explains",
    EQUIVALENT: "it is smaller than the margin that was fixed before there were results",
    UNDECIDED: "these replicates cannot tell",
    NOT_TESTABLE: "one replicate, a missing row, or other runs than these would be needed",
}
TEXTS = ["claim", "statement", "where", "table", "rows", "column", "unit", "verdict", "reason"]


@dataclass(frozen=True)
class Line:
    """A claim in all its columns, or one of them: what was found, what the paper has."""

    label: str
    difference: str
    published: str
    p: str
    wins: str
    dev_set: str
    verdict: str


@dataclass(frozen=True)
class Claim:
    """A claim with its verdict, why, and what would decide it."""

    name: str
    statement: str
    where: str
    table: str
    rows: str
    replicates: str
    diverged: str
    line: Line
    reason: str
    decision: str
    columns: list[Line]


def read_claims(study: Study, paths: Iterable[Path]) -> list[Claim]:
    """The claims of these files, in their order; rows and columns by the labels of their tables."""
    claims = []
    for path in paths:
        frame = pd.read_csv(path)
        frame[TEXTS] = frame[TEXTS].fillna("").astype(str)
        for _, lines in frame.groupby("claim", sort=False):
            claims.append(shown_claim(study, lines))
    return claims


def shown_claim(study: Study, lines: pd.DataFrame) -> Claim:
    """A claim from its line and those of its columns."""
    first, *others = lines.to_dict("records")
    labels = labels_of(study, first["table"])
    return Claim(
        name=first["claim"],
        statement=first["statement"],
        where=first["where"],
        table=first["table"],
        rows=" ".join(labels.get(word, word) for word in first["rows"].split()),
        replicates=number(first["replicates"], "{:.0f}"),
        diverged=number(first["diverged"] or math.nan, "{:.0f}"),
        line=shown_line("all columns", first),
        reason=first["reason"],
        decision=" ".join(decisions(lines)).removeprefix(f"{first['claim']}: "),
        columns=[shown_line(labels[line["column"]], line) for line in others],
    )


def shown_line(label: str, line: dict) -> Line:
    """The numbers of a line as text."""
    form = PLACES.get(line["unit"], "{:+}")
    return Line(
        label=label,
        difference=interval(line, form.format),
        published=number(line["published"], form),
        p=DASH if math.isnan(line["p_adjusted"]) else p_text(line["p_adjusted"]),
        wins=number(100 * line["wins"], "{:.0f} %"),
        dev_set=number(line["dev_set_se"], "± {:.1f}"),
        verdict=line["verdict"],
    )


def number(value: float, form: str) -> str:
    """A number of the file, a dash where there is none."""
    return DASH if math.isnan(value) else form.format(value)


def counted(claims: list[Claim]) -> str:
    """`16 claims: 3 replicated, 9 undecided, 4 not testable`."""
    counts = Counter(claim.line.verdict for claim in claims)
    told = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]]
    return f"{len(claims)} claims: {', '.join(told)}"
