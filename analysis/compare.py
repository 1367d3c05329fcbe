"""Two results folders side by side: `python -m analysis.compare A B`.

Of another machine, library version or scale, or of a collaborator. What is read, and what a
difference beyond noise is, stands in `analysis.comparison` and docs/comparing.md.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.command import csv_text
from analysis.comparison.folder import Folder, read_folder
from analysis.comparison.numbers import (
    BEYOND,
    CHOSEN,
    EQUAL,
    UNJUDGED,
    WITHIN,
    Number,
    compare_numbers,
)
from analysis.comparison.recipes import Change, Changes
from analysis.render import markdown_rows
from study.command import command_parser, run_command
from study.errors import StudyError
from study.fields import given
from study.manifest import check_place, write_atomic

NAMED = 4  # runs that are named of those with one change, numbers that one study lacks
LISTED = 20  # numbers that moved within noise
DIFFERENT = 1  # exit status


def named(words: Sequence[str], most: int = NAMED) -> str:
    """A list in text, cut after the first: `a, b and 3 more`."""
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")


def heading_rows(first: Folder, second: Folder) -> str:
    """What the studies are and how they were computed: always the first rows, else what differs."""
    told = [
        {
            "folder": str(one.path),
            "scale": one.scale,
            "pre-training seeds": one.seeds(),
            **one.facts(),
        }
        for one in (first, second)
    ]
    names = dict.fromkeys([*told[0], *told[1]])
    rows = [[name, *(one.get(name, "unknown") for one in told)] for name in names]
    always = len(("folder", "scale", "seeds", "code"))
    kept = [row for place, row in enumerate(rows) if place < always or row[1] != row[2]]
    return markdown_rows([["", "A", "B"], *kept])


def recipe_lines(found: dict[Change, set[str]]) -> list[str]:
    """A line per stage, key and pair of values, with the runs that have them."""
    return [
        f"- {stage} of {named(sorted(labels))}: {key} {ours} → {theirs}"
        for (stage, key, ours, theirs), labels in found.items()
    ]


def number_rows(numbers: Sequence[Number]) -> str:
    """Numbers with their means, the difference, its interval and p-value, as a Markdown table."""
    rows = [["number", "A", "B", "difference", "95 % interval", "p", "replicates"]]
    for one in numbers:
        label = " ".join(one.place) + (" (nats)" if one.apart and in_nats(one) else "")
        means = [number_text(value) for value in one.means]
        sizes = " / ".join(str(len(sample)) for sample in one.replicates)
        if not one.apart:
            rows.append([label, *means, "", "", "", sizes if any(one.replicates) else ""])
            continue
        low, high = one.apart.estimate.interval()
        difference = f"{one.apart.estimate.value:+.4g}"
        paired = f"{sizes}, paired" if one.apart.paired else sizes
        rows.append([label, *means, difference, f"[{low:+.4g}, {high:+.4g}]", p_text(one), paired])
    return markdown_rows(rows)


def in_nats(number: Number) -> bool:
    """Whether replicates are losses: those of a perplexity."""
    return number.place[2].partition(".")[0] == "perplexity"


def number_text(value: float | None) -> str:
    """A number with up to six digits, or a dash."""
    return "–" if value is None else f"{value:.6g}"


def p_text(number: Number) -> str:
    """A p-value with two digits."""
    return f"{given(number.apart).p:.2g}"


def missing_lines(first: Folder, second: Folder) -> list[str]:
    """What only one of the studies has, and runs that do not tell what made them."""
    lines = []
    for name, one, other in (("A", first, second), ("B", second, first)):
        tables = [table for table in one.tables if table not in other.tables]
        shared = [place for place in one.numbers if place[0] not in tables]
        alone = [" ".join(place) for place in shared if place not in other.numbers]
        untold = sum(run.environment is None for run in one.runs.values())
        lines += [f"- only in {name}: {', '.join(tables)}"] if tables else []
        lines += [f"- only in {name}: {named(alone)}"] if alone else []
        lines += [f"- {untold} runs of {name} do not tell their machine"] if untold else []
    return lines


def comparison_text(
    first: Folder, second: Folder, numbers: Sequence[Number], changes: dict[Change, set[str]]
) -> str:
    """The whole comparison as Markdown."""
    outcomes = (EQUAL, WITHIN, BEYOND, *UNJUDGED)
    by_outcome = {word: [one for one in numbers if one.outcome == word] for word in outcomes}
    counts = ", ".join(f"{len(found)} {word}" for word, found in by_outcome.items() if found)
    blocks = [
        "# Two studies compared",
        heading_rows(first, second),
        "## Recipes",
        "\n".join(recipe_lines(changes)) or "The same.",
        "## Numbers",
        f"{len(numbers)} in both: {counts}.",
    ]
    if any(by_outcome[word] for word in (BEYOND, WITHIN)):
        blocks.append(
            "Differences are B - A, of means over replicates. Intervals are of each number alone; "
            "p is adjusted for all of them."
        )
    for outcome in (BEYOND, *UNJUDGED, WITHIN):
        found = sorted(by_outcome[outcome], key=lambda one: one.apart.p if one.apart else 1)
        if found:
            listed = found if outcome == BEYOND else found[:LISTED]
            told = "" if listed == found else f", the first {LISTED} of {len(found)}"
            blocks += [f"Moved, {outcome}{told}:", number_rows(listed)]
    if missing := missing_lines(first, second):
        blocks += ["## Missing", "\n".join(missing)]
    return "\n\n".join(blocks) + "\n"


def number_frame(numbers: Sequence[Number]) -> pd.DataFrame:
    """A line per number of both studies; what is judged is empty where nothing could be."""
    rows = []
    for one in numbers:
        row: dict[str, Any] = dict(zip(("table", "row", "column"), one.place, strict=True))
        row |= {"cell_a": one.first.cell, "cell_b": one.second.cell}
        row |= {"shown_a": one.first.number, "shown_b": one.second.number}
        row |= dict(zip(("replicates_a", "replicates_b"), map(len, one.replicates), strict=True))
        if one.apart:
            low, high = one.apart.estimate.interval()
            row |= dict(zip(("mean_a", "mean_b"), one.means, strict=True))
            row |= {"difference": one.apart.estimate.value, "low": low, "high": high}
            row |= {"paired": one.apart.paired, "p_adjusted": one.apart.p}
        rows.append(row | {"outcome": one.outcome})
    return pd.DataFrame(rows)


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.compare`."""
    parser = command_parser(
        "analysis.compare",
        "Compare two results folders: which recipes differ and in which keys, which numbers moved\n"
        "and whether beyond noise, what they were computed with. Read is provenance.json, or the\n"
        "files of provenance/ where it is not there; a file can be named as well, or an archive\n"
        "that `python -m study.pack` wrote.\n\n"
        "exit status: 0 no recipe differs and no number beyond noise, 1 one does, 2 nothing to\n"
        "compare (one line says why)",
        "python -m analysis.compare results/scales/demo theirs/results --output results/moved.csv\n"
        "  python -m analysis.compare results theirs.zip",
    )
    parser.add_argument(
        "first", type=Path, metavar="A", help="results folder, its provenance, or a packed study"
    )
    parser.add_argument("second", type=Path, metavar="B", help="the other one")
    parser.add_argument("--output", type=Path, metavar="CSV", help="also write all numbers there")
    parsed = parser.parse_args(arguments)
    if parsed.output:
        check_place(parsed.output)
    first, second = read_folder(parsed.first), read_folder(parsed.second)
    numbers = compare_numbers(first, second)
    if not numbers:
        raise StudyError(f"{parsed.first}, {parsed.second}: no table has a number in both")
    changes = Changes(first.runs, second.runs)
    for number in numbers:
        if number.outcome != CHOSEN:
            changes.add(number.first, number.second)
    if parsed.output:
        write_atomic(parsed.output, csv_text(number_frame(numbers)))
    print(comparison_text(first, second, numbers, changes.found), end="")
    if changes.found or any(number.outcome == BEYOND for number in numbers):
        sys.exit(DIFFERENT)


if __name__ == "__main__":
    run_command(main)
