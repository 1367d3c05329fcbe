"""Verdicts on claims for reading: Markdown, a table per table of the paper."""

import math

import pandas as pd

from analysis.render import DASH, duration, markdown_table
from analysis.statistics.looks import ALPHA, look_level
from analysis.statistics.power import MOST
from analysis.statistics.verdicts import NOT_TESTABLE, UNDECIDED
from study.fields import given
from study.graph import Study

HEADER = ["", "what", "difference", "published", "dev sets", "p", "verdict"]
PLACES = {"points": "{:+.1f}", "nats": "{:+.3f}", "bits": "{:+.3f}"}


def to_markdown(study: Study, frame: pd.DataFrame) -> str:
    """The lines of `analysis.claims` as tables, each claim above what its columns say."""
    blocks = []
    for table, lines in frame.groupby("table", sort=False, dropna=False):
        known, labels = study.config.tables.get(table), labels_of(study, table)
        rows = [HEADER, *(row_of(line, labels) for line in lines.to_dict("records"))]
        caption = known.caption if known else "Claims that no table here can test"
        blocks.append(markdown_table(f"Claims. {caption}", rows, decisions(lines)))
    return "\n".join([*blocks, *(f"- {note}" for note in notes(study)), ""])


def labels_of(study: Study, table: str) -> dict[str, str]:
    """What a reader sees of the rows and columns of a table, by their names."""
    known = study.config.tables.get(table)
    if known is None:
        return {}
    rows = {row.id: row.label for row in known.rows}
    return rows | {column.name: column.label for column in known.columns}


def row_of(line: dict, labels: dict[str, str]) -> list[str]:
    """A claim, or beneath it a column of it; `labels` are those of rows and columns."""
    if line["verdict"] == NOT_TESTABLE:
        reason = f"{NOT_TESTABLE}: {line['reason']}"
        return [line["claim"], line["statement"], *[DASH] * (len(HEADER) - 3), reason]
    show = PLACES[line["unit"]].format
    if line["column"]:
        what = labels[line["column"]]
    else:
        rows = " ".join(labels.get(word, word) for word in line["rows"].split())
        what = f"{line['statement']} {rows}"
    return [
        "" if line["column"] else line["claim"],
        what,
        interval(line, show),
        DASH if math.isnan(line["published"]) else show(line["published"]),
        DASH if math.isnan(line["dev_set_se"]) else f"± {line['dev_set_se']:.1f}",
        p_text(line["p_adjusted"]),
        line["verdict"] + (f" ({line['reason']})" if line["reason"] else ""),
    ]


def interval(line: dict, show) -> str:
    """`+1.2 [-0.3, +2.7] points`; a dash where a replicate has no score."""
    if math.isnan(line["difference"]):
        return DASH
    value, low, high = (show(line[name]) for name in ("difference", "low", "high"))
    return f"{value} [{low}, {high}] {line['unit']}"


def p_text(p: float) -> str:
    """`0.03`, `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def decisions(lines: pd.DataFrame) -> list[str]:
    """What would decide the undecided claims of a table."""
    told = []
    for line in lines[(lines["verdict"] == UNDECIDED) & (lines["column"] == "")].to_dict("records"):
        said = f"{line['claim']}: "
        if math.isnan(line["needed"]):
            said += "nothing tells how many replicates would decide it"
        else:
            size, equal = f"{line['target']:.2g} {line['unit']}", ("at_least", "equivalent")
            told_apart = f"a difference of {size} shows"
            alike = f"rows that are equal are told to be within {size}"
            what = alike if line["kind"] in equal else told_apart
            said += f"{what} with {replicates_text(line)}"
        if isinstance(line["command"], str):
            took = duration(line["core_hours"])
            said += f"; next look, {took} of processor time: `{line['command']}`"
        else:
            said += "; no planned look is left"
        told.append(f"{said}.")
    return told


def replicates_text(line: dict) -> str:
    """`about 6 replicates (4 to 16)`; none above MOST is counted."""
    if math.isinf(line["needed"]):
        return f"more than {MOST} replicates"
    high = f"over {MOST}" if math.isinf(line["needed_high"]) else f"{line['needed_high']:.0f}"
    return f"about {line['needed']:.0f} replicates ({line['needed_low']:.0f} to {high})"


def notes(study: Study) -> list[str]:
    """What a reader must know beside the verdicts."""
    looks = given(study.config.verdicts).looks
    level = look_level(tuple(looks))
    return [
        f"Scale: {study.scale} ({study.config.about}).",
        "A replicate is a pre-training seed, its value the median over its fine-tuning seeds. "
        "Positive differences speak for the claim, [..] is their 95 % interval (Welch), not "
        "adjusted. Of several columns the claim is tested on their mean; columns beneath.",
        f"p: Welch's, adjusted over the claims of a table, or the columns of a claim (Holm). "
        f"Verdicts are planned at {', '.join(map(str, looks))} replicates; each look is at "
        f"{100 * level:.2g} %, so that all together err in {100 * ALPHA:.0f} %.",
        "Dev sets: the standard error of the difference from which examples they happen to hold.",
    ]
