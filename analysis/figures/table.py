"""A table of the paper as a figure: a panel per score column, a line per row, every seed a mark.

`python -m analysis.figures.table table2` reads the scores that the table reads. A small scale may
lie 40 points below the published values; on one axis they would squeeze our seeds into a dot. Where
that would happen, a panel's axis holds our values only and the published ones stand as numbers in a
shaded margin beside it.
"""

import math
from dataclasses import dataclass
from itertools import chain, pairwise

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.command import result_command
from analysis.figures import style
from analysis.figures.style import (
    LETTER,
    LINE,
    WIDTH,
    figure_files,
    grid_of,
    new_figure,
    panels_of,
    styled,
    wrapped,
)
from analysis.medians import replicate_values
from analysis.minimal_pairs import spread_groups
from analysis.shown import Entry, ShownRow, read_rows
from analysis.values import metric_name
from study.command import run_command
from study.errors import StudyError
from study.graph import Study
from study.tables import Row

PANEL = 1.2  # inches that a panel is wide at least
LABEL = 1.3  # inches that a row's label is wide at most, unless a word is wider
# The published values share our axis if our values still fill this part of it.
OUR_SHARE = 0.5
LEAST_SPAN = 1.0  # points; equal scores are not blown up to noise
PADDING = 0.09  # of the span, on both sides
EDGE = 0.16  # of the span: room for crosses at the lower end
MARGIN = 0.8  # width of the shaded margin, in spans
LANE = 0.19  # rows between replicates and their fine-tuning seeds


@dataclass(frozen=True)
class Scale:
    """The horizontal axis of a panel in points: our values, and where published values stand.

    `margin` is None where they share the axis, else the limits of the margin beside it.
    """

    low: float
    high: float
    margin: tuple[float, float] | None

    @property
    def limits(self) -> tuple[float, float]:
        """The axis with its margin."""
        ends = (self.low, self.high, *(self.margin or ()))
        return min(ends), max(ends)


def scale_of(ours: list[float], published: list[float], crosses: bool = False) -> Scale:
    """The axis that shows `ours` legibly; a published value far off goes to a margin.

    With `crosses` its lower end has room for them.
    """
    if not ours:
        ours, published = published or [0.0, 100.0], []
    middle = (min(ours) + max(ours)) / 2
    half = max(max(ours) - min(ours), LEAST_SPAN) / 2
    low, high = middle - half, middle + half
    ends = min(low, *published, high), max(low, *published, high)
    shared = high - low >= OUR_SHARE * (ends[1] - ends[0])
    if shared:
        low, high = ends
    pad = PADDING * (high - low)
    low, high = low - pad - crosses * EDGE * (high - low), high + pad
    if shared:
        return Scale(low, high, None)
    width = MARGIN * (high - low)
    if sum(published) / len(published) < middle:
        return Scale(low, high, (low - width, low))
    return Scale(low, high, (high, high + width))


def is_cross(scores: pd.DataFrame) -> pd.Series:
    """Scores that are drawn as a cross at the edge: diverged, or no number at all."""
    return scores["diverged"].astype(bool) | scores["value"].isna()


def has_several_seeds(scores: pd.DataFrame) -> bool:
    """Whether a pre-training has several fine-tuning seeds."""
    return scores["pretraining_seed"].duplicated().any()


def draw_row(axes: Axes, scale: Scale, y: int, scores: pd.DataFrame, median: float) -> None:
    """One row of one panel: replicates, their fine-tuning seeds, the median, crosses."""
    crosses = is_cross(scores)
    sound = scores[~crosses]
    single = not has_several_seeds(scores)
    if not single:
        axes.plot(sound["value"], [y + LANE] * len(sound), **style.SEED)
    replicates = replicate_values(scores, ())
    replicates = replicates[replicates.index.isin(sound["pretraining_seed"])].dropna()
    if not pd.isna(median):
        axes.plot([median], [y], **style.MEDIAN)
    axes.plot(replicates, [y if single else y - LANE] * len(replicates), **style.REPLICATE)
    if crosses.any():
        span = scale.high - scale.low
        axes.plot([scale.low + 0.04 * span], [y], **style.DIVERGED)
        if crosses.sum() > 1:
            count = "all" if crosses.all() else f"{crosses.sum()}"
            axes.text(scale.low + 0.08 * span, y, count, va="center")


def draw_published(axes: Axes, scale: Scale, y: int, value: float) -> None:
    """The published value: on the axis, or as a number in the margin with where it lies."""
    if scale.margin is None:
        axes.plot([value], [y], **style.PUBLISHED)
        return
    left, right = scale.margin
    axes.plot([left + 0.12 * (right - left)], [y], **style.PUBLISHED)
    arrow = " →" if value > scale.high else " ←" if value < scale.low else ""
    text = f"{value:.1f}{arrow}"
    axes.text(left + 0.24 * (right - left), y, text, va="center")


def finish_panel(axes: Axes, scale: Scale, rows: list[Row]) -> None:
    """Limits, ticks on our part of the axis only, lines per row, the shaded margin."""
    axes.set_xlim(*scale.limits)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    ticks = MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(scale.low, scale.high)
    axes.set_xticks([tick for tick in ticks if scale.low <= tick <= scale.high])
    axes.grid(axis="both")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if scale.margin is not None:
        axes.axvspan(*scale.margin, color=style.LIGHT, zorder=1.5, lw=0)
        centre = sum(scale.margin) / 2
        axes.text(centre, -0.53, "published", ha="center", va="bottom")
        axes.spines["bottom"].set_bounds(scale.low, scale.high)
    for y, (row, below) in enumerate(pairwise(rows)):
        if row.ours != below.ours:
            axes.axhline(y + 0.5, color=style.GREY, lw=0.6)


def draw_panel(axes: Axes, rows: list[Row], entries: list[Entry]) -> None:
    """One column of a table: an entry per row, each with its scores and its published value."""
    crosses = any(is_cross(entry.scores).any() for entry in entries)
    printed = [entry.published for entry in entries if entry.published is not None]
    ours = [entry.statistics["median"] for entry in entries if entry.statistics]
    for entry in entries:
        ours += entry.scores["value"][~is_cross(entry.scores)].tolist()
    ours = [value for value in ours if not pd.isna(value)]
    scale = scale_of(ours, printed, crosses)
    for y, entry in enumerate(entries):
        if entry.statistics:
            draw_row(axes, scale, y, entry.scores, entry.statistics["median"])
        if entry.published is not None:
            draw_published(axes, scale, y, entry.published)
    finish_panel(axes, scale, rows)


def legend_of(entries: list[Entry], published: bool) -> list[Line2D]:
    """Legend entries of the marks that a figure of these entries has."""
    several = any(has_several_seeds(entry.scores) for entry in entries)
    crosses = any(is_cross(entry.scores).any() for entry in entries)
    marks = [
        (several, "fine-tuning seed", style.SEED),
        (True, "replicate (a pre-training seed)", style.REPLICATE),
        (True, "median of the replicates", {**style.MEDIAN, "ms": 8}),
        (published, "published", style.PUBLISHED),
        (crosses, "diverged or failed, how many", style.DIVERGED),
    ]
    return [Line2D([], [], label=label, **mark) for drawn, label, mark in marks if drawn]


def runs_text(study: Study) -> str:
    """How many replicates and fine-tuning seeds stand behind every number."""
    count, finetuning = len(study.config.seeds.pretraining), study.config.seeds.finetuning
    noun = "replicate" if count == 1 else "replicates"
    if finetuning == "own":
        return f"{count} full {noun} (a pre-training and a fine-tuning seed each)"
    return f"{count} {noun} x {len(finetuning)} fine-tuning seeds"


@styled
def table_figure(study: Study, name: str, rows: list[ShownRow]) -> Figure:
    """The figure of a table from its `rows`, scores in percent.

    Raises StudyError if the table has no column of scores.
    """
    table = study.config.tables[name]
    columns = table.scored_columns
    if not columns:
        raise StudyError(f"{name}: no column of it is a score, so it has no figure")
    labels = [wrapped(row.label, LABEL) for row in table.rows]
    beside = WIDTH - LETTER * max(len(line) for label in labels for line in label.split("\n"))
    across, down = grid_of(len(columns), max(1, int(beside / PANEL)))
    across = math.ceil(len(columns) / down)  # the last line is about as full as the others
    names = [wrapped(f"{metric_name(column)} (%)", beside / across) for column in columns]
    rows_high = sum(0.09 + LINE * (label.count("\n") + 1) for label in labels)
    below = LINE * max(name.count("\n") + 1 for name in names)
    told = f"Scale {study.scale} ({study.config.about}); {runs_text(study)}; development sets."
    entries = [[entry for entry in row.entries if entry.column.scored] for row in rows]
    marks = legend_of(list(chain.from_iterable(entries)), bool(study.published(name)))
    figure = new_figure(down * (0.75 + rows_high + below), told, marks)
    panels = panels_of(figure, len(columns), across, share_y=True)
    by_column = zip(columns, names, zip(*entries, strict=True), strict=True)
    for axes, (column, name_of_metric, shown) in zip(panels, by_column, strict=True):
        draw_panel(axes, table.rows, list(shown))
        axes.set_title(wrapped(column.label, beside / across), pad=14)
        axes.set_xlabel(name_of_metric)
    panels[0].set_yticks(range(len(table.rows)), labels)
    return figure


def files(study: Study, name: str) -> list[bytes]:
    """The figure of a table as PNG and PDF."""
    study = spread_groups(study, name)
    rows = read_rows(study, name, f"results/figures/{name}.png")
    return figure_files(table_figure(study, name, rows))


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.figures.table`."""
    result_command(arguments, "table_figure", files)


if __name__ == "__main__":
    run_command(main)
