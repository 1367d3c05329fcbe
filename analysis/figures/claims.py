"""The claims of the paper as a forest plot: `results/figures/claims.png|.pdf`.

A line per claim that is testable: the difference between its rows with Welch's 95 % interval,
positive where it speaks for the claim, and the verdict on it. A panel has what is in one unit:
points of scores, nats of held-out losses. It shows the tables that are finished.
"""

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.claims import claims_frame
from analysis.command import result_command
from analysis.figures import style
from analysis.figures.style import LINE, figure_files, new_figure, styled, wrapped
from analysis.statistics.power import MOST
from analysis.statistics.verdicts import (
    CONTRADICTED,
    EQUIVALENT,
    NOT_TESTABLE,
    REPLICATED,
    UNDECIDED,
)
from study.command import run_command
from study.graph import Study

# Told apart by shape and fill, without colours too.
MARKS: dict[str, style.Look] = {
    REPLICATED: {"marker": "o", "mfc": style.BLUE, "mec": style.BLUE},
    CONTRADICTED: {"marker": "s", "mfc": style.BLACK, "mec": style.BLACK},
    EQUIVALENT: {"marker": "^", "mfc": style.GREEN, "mec": style.GREEN},
    UNDECIDED: {"marker": "o", "mfc": "white", "mec": style.BLUE},
}
MARK: style.Look = {"ms": 5, "mew": 1, "ls": ""}
MARGIN: style.Look = {"color": "#d0d0d0", "lw": 5, "solid_capstyle": "butt", "zorder": 0.5}
LABEL = 2.1  # inches that a claim's label is wide at most
SPREAD = 3.0  # a published difference farther off than so many times ours is only named


def label_of(line: Mapping, labels: Mapping[str, str]) -> str:
    """`C03 SEGMENT-PAIR > SENTENCE-PAIR`; `labels` are those of the rows of its table."""
    rows = " ".join(labels.get(word, word) for word in line["rows"].split())
    return wrapped(f"{line['claim']}  {rows}", LABEL)


def verdict_of(line: Mapping) -> str:
    """The verdict; in brackets the replicates that would decide what is undecided."""
    needed = line["needed"]
    if pd.isna(needed):
        return line["verdict"]
    return f"{line['verdict']} ({f'>{MOST}' if math.isinf(needed) else f'{needed:.0f}'})"


def draw_claim(axes: Axes, y: int, line: Mapping, reach: float) -> None:
    """One claim: its margin, interval and difference, the published one, the verdict.

    Published differences beyond `reach` are numbers at the edge.
    """
    if line["kind"] in ("at_least", "equivalent"):
        axes.plot([-line["margin"], line["margin"]], [y, y], **MARGIN)
    axes.plot([line["low"], line["high"]], [y, y], color=style.BLACK, lw=1)
    published = line["published"]
    if abs(published) <= reach:
        axes.plot([published], [y], **style.PUBLISHED)
    elif not pd.isna(published):
        place, side = (1.0, "right") if published > 0 else (0.0, "left")
        edge: style.Look = {"transform": axes.get_yaxis_transform(), "color": style.ORANGE}
        axes.text(place, y, f"{published:+.3g}", va="center", ha=side, **edge)
    axes.plot([line["difference"]], [y], **MARK, **MARKS[line["verdict"]])
    axes.text(1.02, y, verdict_of(line), va="center", transform=axes.get_yaxis_transform())


def draw_panel(axes: Axes, frame: pd.DataFrame, labels: list[str]) -> None:
    """The claims of one unit, from top to bottom."""
    reach = SPREAD * max(frame[["low", "high", "difference"]].abs().max())
    axes.axvline(0, color=style.GREY, lw=0.8)
    for y, line in enumerate(frame.to_dict("records")):
        draw_claim(axes, y, line, reach)
    axes.set_ylim(len(frame) - 0.5, -0.5)
    axes.set_yticks(range(len(frame)), labels)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel(f"difference ({frame['unit'].iloc[0]}); right of 0 speaks for the claim")


def legend_of(frame: pd.DataFrame) -> list[Line2D]:
    """Legend entries of the marks that a figure of these claims has."""
    marks = [
        Line2D([], [], label=verdict, **MARK, **mark)
        for verdict, mark in MARKS.items()
        if (frame["verdict"] == verdict).any()
    ]
    if frame["published"].notna().any():
        marks.append(Line2D([], [], label="published", **style.PUBLISHED))
    if frame["kind"].isin(["at_least", "equivalent"]).any():
        marks.append(Line2D([], [], label="margin", **MARGIN))
    return marks


@styled
def claims_figure(frame: pd.DataFrame, labels: Mapping[str, Mapping], about: str) -> Figure:
    """The figure of `frame` (columns of `analysis.claims`).

    `labels` are those of each table's rows, `about` says what scale this is.
    """
    claims = frame[frame["column"] == ""]
    testable = claims[(claims["verdict"] != NOT_TESTABLE) & claims["difference"].notna()]
    others = claims[~claims.index.isin(testable.index)]["claim"]
    told = f"{about}; 95 % intervals of Welch, over replicates."
    if (testable["verdict"] == UNDECIDED).any():
        told += " In brackets: replicates that would decide it in 80 % of studies."
    if len(others):
        told += f" Not drawn, as results/claims.md explains: {', '.join(others)}."
    groups = [group for _, group in testable.groupby("unit", sort=False)]
    names = [
        [label_of(line, labels.get(line["table"], {})) for line in group.to_dict("records")]
        for group in groups
    ]
    heights = [sum(LINE * (name.count("\n") + 1) + 0.08 for name in group) for group in names]
    figure = new_figure(sum(heights) + 0.55 * len(groups) + 0.1, told, legend_of(testable))
    if groups:
        grid = figure.subplots(len(groups), squeeze=False, height_ratios=heights)
        for axes, group, shown in zip(grid.flatten(), groups, names, strict=True):
            draw_panel(axes, group, shown)
    return figure


def files(study: Study, _: str) -> list[bytes]:
    """The figure of the study as PNG and PDF."""
    labels = {
        name: {row.id: row.label for row in table.rows}
        for name, table in study.config.tables.items()
    }
    about = f"Scale {study.scale} ({study.config.about})"
    return figure_files(claims_figure(claims_frame(study), labels, about))


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.figures.claims`."""
    result_command(arguments, "claims_figure", files)


if __name__ == "__main__":
    run_command(main)
