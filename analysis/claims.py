"""Verdicts on claims, by replicates: `results/claims.csv`, or those of one table.

In: the claims of the study file, the rows of their tables. Out: a line per claim, and beneath it
one for each of its columns where there are several:

    difference, low, high  of the first row and the second, with Welch's 95 % interval; positive
                           speaks for the claim; of an ordering, of the two that are least apart
    p, p_permutation       two-sided, Welch's and over exact permutations: how likely as much is
                           where the claim is on the edge of being true (no difference; of
                           at_least, a difference of minus the margin)
    p_adjusted             Holm's, over the claims of a table; of a column over the claim's columns
    published              the same difference of the paper's numbers
    dev_set_se             what of it hangs on the examples that the development sets happen to hold
    effect, wins           difference in standard deviations of replicates; how often a replicate of
                           the first row is better than one of the second
    verdict, reason        `analysis.statistics.verdicts`; why not testable, what disagrees
    needed                 replicates that would decide it in 80 % of studies at difference
                           `target`, and the range in which that number is known
    command, core_hours    what makes the next planned look, and what that will take

Verdicts are given at planned numbers of replicates alone (`verdicts.looks`), from the first so many
replicates, at the level at which all looks together err in 5 % (`analysis.statistics.looks`).
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd

from analysis.claims_text import to_markdown
from analysis.command import csv_text, result_command, snakemake_command
from analysis.contrasts import Contrast, Rows
from analysis.gathering import spent
from analysis.provenance import Runs
from analysis.scaling import scaling_lines
from analysis.shown import read_rows
from analysis.statistics.looks import look_at, look_level
from analysis.statistics.power import needed, power, power_of_equivalence
from analysis.statistics.verdicts import (
    NOT_TESTABLE,
    UNDECIDED,
    permutation_p,
    smallest_p,
    verdicts,
)
from analysis.values import unit_of
from study.claims import Claim
from study.command import run_command
from study.errors import StudyError
from study.fields import given
from study.graph import Study

NAMES = ("claim", "statement", "where", "table", "kind", "rows", "column", "unit")
NUMBERS = (
    "replicates",
    "difference",
    "low",
    "high",
    "p",
    "p_permutation",
    "p_adjusted",
    "margin",
    "published",
    "dev_set_se",
    "effect",
    "wins",
    "diverged",
)
POWERS = {"equivalent": power_of_equivalence}  # of kinds that are not decided by `power`
SIGNS = {"at_least": ">=", "equivalent": "="}  # between the rows of a claim
TRAININGS = ("pretrain", "finetune-seed")
DECISION = ("target", "needed", "needed_low", "needed_high", "command", "core_hours")
COLUMNS = (*NAMES, *NUMBERS, "verdict", "reason", *DECISION)
COUNTS = ("replicates", "diverged")


@dataclass(frozen=True)
class Tested:
    """A claim with what it compares, in all its columns and in each, or why it is not testable."""

    name: str
    claim: Claim
    untestable: str | None = None
    contrast: Contrast | None = None
    by_column: dict[str, Contrast] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Claims:
    """The claims of a study, or of one of its tables."""

    def __init__(self, study: Study, table: str = ""):
        self.study, self.looks = study, given(study.config.verdicts).looks
        self.level = look_level(tuple(self.looks))
        claims = study.config.claims_of(table) if table else study.config.claims
        self.by_table: dict[str | None, dict[str, Claim]] = {}
        for name, claim in claims.items():
            self.by_table.setdefault(claim.table, {})[name] = claim

    def lines(self) -> Iterator[dict]:
        """A line per claim and column, the claims of a table together."""
        for table, claims in self.by_table.items():
            scaled = table in self.study.config.tables and bool(scaling_lines(self.study, [table]))
            tested = self.test(table, claims, scaled)
            testable = [one.contrast for one in tested if one.contrast]
            judged = iter(verdicts([one.evidence for one in testable], self.level))
            for one in tested:
                if one.contrast is None:
                    yield self.names(one) | {"verdict": NOT_TESTABLE, "reason": one.untestable}
                    continue
                verdict = next(judged)
                yield {
                    **self.numbers(one, "", one.contrast, verdict),
                    **self.decision(one, verdict[0], scaled, len(testable)),
                }
                columns = [each.evidence for each in one.by_column.values()]
                of_columns = verdicts(columns, self.level)
                for (column, each), found in zip(one.by_column.items(), of_columns, strict=True):
                    yield self.numbers(one, column, each, found)

    def test(self, table: str | None, claims: dict[str, Claim], scaled: bool) -> list[Tested]:
        """The claims of one table, each with its contrasts or the reason why it has none."""
        if table not in self.study.config.tables:
            tables = self.study.config.tables
            return [
                Tested(name, claim, claim.not_testable or claim.lacking(tables))
                for name, claim in claims.items()
            ]
        try:
            shown = Rows(self.study, read_rows(self.study, table, "results/claims.csv"))
        except StudyError as error:
            return [Tested(name, claim, f"no results: {error}") for name, claim in claims.items()]
        return [self.test_one(name, claim, shown, scaled) for name, claim in claims.items()]

    def test_one(self, name: str, claim: Claim, shown: Rows, scaled: bool) -> Tested:
        """A claim's contrasts, of the replicates of the last planned look."""
        if lacking := claim.lacking(self.study.config.tables):
            return Tested(name, claim, lacking)
        rows = [shown.rows[row] for row in claim.rows]
        published = [row.row.label for row in rows if row.cell is None]
        there = {entry.column.name for entry in rows[0].entries}
        places = [place for place, column in enumerate(claim.columns) if column in there]
        if len(published) == len(rows):
            return Tested(name, claim, "all that it compares is published, none of it is run here")
        if scaled and (published or claim.kind == "value"):
            what = ", ".join(published) or "its number"
            return Tested(name, claim, f"{what} is published; sizes here are not the paper's")
        columns = [claim.columns[place] for place in places]
        for row in rows:
            if gap := shown.unpublished(row, columns, claim):
                return Tested(name, claim, f"{row.row.label} has no published {gap}")
        against = [claim.against[place] for place in places] if claim.against else []
        whole = shown.contrast(claim, columns, against)
        look = look_at(self.looks, whole.replicates)
        if look is None:
            return Tested(name, claim, too_few(whole.replicates, self.looks))
        apart = {
            column: shown.contrast(claim, [column], against[place : place + 1]).first(look)
            for place, column in enumerate(columns if len(columns) > 1 else [])
        }
        gone = [column for column in claim.columns if column not in there]
        notes = [f"without {', '.join(gone)}, which the table does not have here"] if gone else []
        notes += [claim.note] if claim.note else []
        return Tested(name, claim, None, whole.first(look), apart, tuple(notes))

    def names(self, one: Tested, column: str = "") -> dict:
        """What a line is about."""
        claim = one.claim
        unit = ""
        tables = self.study.config.tables
        if claim.table in tables:
            columns = {each.name: each for each in tables[claim.table].columns}
            unit = next((unit_of(columns[name]) for name in claim.columns if name in columns), "")
        return {
            "claim": one.name,
            "statement": claim.statement,
            "where": claim.where,
            "table": claim.table,
            "kind": claim.kind,
            "rows": f" {SIGNS.get(claim.kind or '', '>')} ".join(claim.rows),
            "column": column,
            "unit": unit,
        }

    def numbers(
        self, one: Tested, column: str, contrast: Contrast, verdict: tuple[str, float]
    ) -> dict:
        """A line of numbers with its verdict, of all columns or of one."""
        line = self.names(one, column) | {
            "margin": contrast.margin,
            "replicates": contrast.replicates,
            "p": contrast.evidence.p,
            "p_permutation": self.permuted(contrast),
            "p_adjusted": verdict[1],
            "published": contrast.published,
            "dev_set_se": contrast.dev_set_error,
            "diverged": contrast.diverged,
            "wins": contrast.wins,
            "verdict": verdict[0],
        }
        notes = [] if column else [*one.notes, *self.disagreement(contrast, line)]
        found = contrast.estimate
        if found is None:
            notes.append("replicates without a score count as the worst, ranks are compared")
        else:
            low, high = found.interval()
            deviation, _ = contrast.deviation
            line |= {"difference": found.value, "low": low, "high": high}
            line["effect"] = found.value / deviation if deviation else math.nan
        return line | {"reason": "; ".join(notes)}

    def disagreement(self, contrast: Contrast, line: dict) -> Iterator[str]:
        """A note where Welch's test and permutation, if it can, fall on two sides of the level."""
        permuted, least = line["p_permutation"], smallest_p(*contrast.weakest)
        if math.isnan(permuted) or least > self.level:
            return
        if (permuted <= self.level) != (line["p"] <= self.level):
            yield f"permutation says otherwise, p {permuted:.2g}"

    def permuted(self, contrast: Contrast) -> float:
        """Exact permutation beside Welch's test; of kinds that it has no test for, NaN."""
        bounds = {"direction": 0.0, "at_least": -contrast.margin}
        if contrast.kind not in bounds or contrast.estimate is None:
            return math.nan
        return permutation_p(*contrast.weakest, bounds[contrast.kind])

    def decision(self, one: Tested, verdict: str, scaled: bool, claims: int) -> dict:
        """What would decide an undecided claim: replicates, the next look, its command and cost."""
        contrast, level = given(one.contrast), self.level / claims
        if verdict != UNDECIDED or contrast.estimate is None:
            return {}
        target = self.target(contrast, scaled)
        cells = sum(not isinstance(sample, float) for sample in contrast.weakest)
        distance, test = target, POWERS.get(contrast.kind, power)
        if contrast.kind == "at_least":
            distance = target + contrast.margin
        elif contrast.kind == "equivalent":
            distance = contrast.margin
        line: dict = {"target": distance}
        if distance > 0 and contrast.deviation[0] > 0:
            found = needed(distance, *contrast.deviation, level, cells, test)
            line |= {
                "needed": found.replicates,
                "needed_low": found.low,
                "needed_high": found.high,
            }
        later = [look for look in self.looks if look > contrast.replicates]
        if later:
            wanted = line.get("needed", math.inf)
            look = next((look for look in later if look >= wanted), later[-1])
            line["command"] = self.command(look, given(one.claim.table))
            line["core_hours"] = self.hours(one, contrast.replicates) * (look - contrast.replicates)
        return line

    def target(self, contrast: Contrast, scaled: bool) -> float:
        """The difference that should show: the published one, or the smallest that matters."""
        if not scaled and contrast.published is not None:
            return contrast.published
        return 0.0 if contrast.kind == "at_least" else contrast.margin

    def command(self, replicates: int, table: str) -> str:
        """What makes the verdicts of a table with so many replicates."""
        study = copy.copy(self.study)
        study.replicates = replicates
        return snakemake_command(study, f"results/claims/{table}.csv")

    def hours(self, one: Tested, replicates: int) -> float:
        """Core hours of one more replicate of the rows, by what those there are took."""
        config, claim = self.study.config, one.claim
        table = config.tables[given(claim.table)]
        rows = [row for row in table.rows if row.id in claim.rows]
        cells = [cell for row in rows for cell in config.row_cells(row)]
        tasks = [
            given(column.task)
            for column in table.score_columns
            if column.name in {*claim.columns, *claim.against}
        ]
        jobs = [*self.study.pretrain_jobs(cells), *self.study.score_jobs(cells, tasks)]
        runs = Runs(self.study)
        runs.add(jobs)
        trainings = [run for run in runs.runs.values() if run["stage"] in TRAININGS]
        return spent(self.study, trainings).core_hours / len(config.seeds.pretraining)


def too_few(replicates: int, looks: Sequence[int]) -> str:
    """Why so many replicates give no verdict."""
    if replicates < 2:
        return "one replicate: how another pre-training would come out was not measured"
    planned = ", ".join(map(str, looks))
    return f"{replicates} replicates; verdicts are planned at {planned}"


def claims_frame(study: Study, table: str = "") -> pd.DataFrame:
    """The lines of all claims of a study, or of those of one table, with COLUMNS."""
    frame = pd.DataFrame(list(Claims(study, table).lines()), columns=COLUMNS)
    # Also where nothing is published, or all is decided, columns of numbers are such.
    numbers = {*NUMBERS, *DECISION} - {"command"}
    return frame.astype({name: "Int64" if name in COUNTS else float for name in numbers})


def claims_files(study: Study, table: str) -> tuple[str, str]:
    """The claims of a study, or of one of its tables, as CSV and Markdown."""
    frame = claims_frame(study, table)
    return csv_text(frame.round(5)), to_markdown(study, frame)


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.claims`."""
    result_command(arguments, "table_claims", claims_files, "table with claims", whole="claims")


if __name__ == "__main__":
    run_command(main)
