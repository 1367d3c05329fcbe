"""A table of the paper as a figure: a panel per score column, a line per row, every seed a mark.

`python -m analysis.figures.table table2` reads the scores that the table reads. A small scale may
lie 40 points below the published values; on one axis they would squeeze our seeds into a dot. Where
that would happen, a panel's axis holds our values only and the published ones stand as numbers in a
shaded margin beside it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.ensembles import ensemble_scores
from analysis.figures import style
from analysis.figures.style import new_figure, styled, write_figure
from analysis.medians import replicate_values, summarise
from analysis.scores import add_study_arguments, asked_study, read_scores
from analysis.selection import shown_cell
from analysis.settings import choose_settings, compare_settings
from study.command import command_parser, run_command
from study.errors import StudyError
from study.graph import Study
from study.record import recorded
from study.tables import Column, Row

METRICS = {
    "f1": "F1 (%)",
    "em": "exact match (%)",
    "accuracy": "accuracy (%)",
    "matthews": "Matthews correlation (%)",
    "pearson": "Pearson correlation (%)",
    "spearman": "Spearman correlation (%)",
}
PANELS_A_LINE = 5
# The published values share our axis if our values still fill this part of it.
OUR_SHARE = 0.5
LEAST_SPAN = 1.0  # points; equal scores are not blown up to noise
PADDING = 0.09  # of the span, on both sides
EDGE = 0.16  # of the span: room for crosses at the lower end
MARGIN = 0.62  # width of the shaded margin, in spans
LANE = 0.19  # rows between replicates and their fine-tuning seeds
NO_SCORES = pd.DataFrame(
    {
        **dict.fromkeys(("cell", "task", "metric"), pd.Series(dtype=str)),
        "pretraining_seed": pd.Series(dtype=int),
        "value": pd.Series(dtype=float),
        "diverged": pd.Series(dtype=bool),
    }
)


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


def draw_row(axes: Axes, scale: Scale, y: int, scores: pd.DataFrame, median: float) -> None:
    """One row of one panel: replicates, their fine-tuning seeds, the median, crosses."""
    crosses = is_cross(scores)
    sound = scores[~crosses]
    single = scores.groupby("pretraining_seed").size().max() == 1
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
            axes.text(scale.low + 0.08 * span, y, count, va="center", fontsize=6.5)


def draw_published(axes: Axes, scale: Scale, y: int, value: float) -> None:
    """The published value: on the axis, or as a number in the margin with where it lies."""
    if scale.margin is None:
        axes.plot([value], [y], **style.PUBLISHED)
        return
    left, right = scale.margin
    axes.plot([left + 0.18 * (right - left)], [y], **style.PUBLISHED)
    arrow = " →" if value > scale.high else " ←" if value < scale.low else ""
    text = f"{value:.1f}{arrow}"
    axes.text(left + 0.3 * (right - left), y, text, va="center", fontsize=6.5)


def finish_panel(axes: Axes, scale: Scale, rows: list[Row]) -> None:
    """Limits, ticks on our part of the axis only, lines per row, the shaded margin."""
    axes.set_xlim(*scale.limits)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    ticks = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(scale.low, scale.high)
    axes.set_xticks([tick for tick in ticks if scale.low <= tick <= scale.high])
    axes.grid(axis="both")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if scale.margin is not None:
        axes.axvspan(*scale.margin, color=style.LIGHT, zorder=1.5, lw=0)
        centre = sum(scale.margin) / 2
        axes.text(centre, -0.53, "published", ha="center", va="bottom", fontsize=6.5)
        axes.spines["bottom"].set_bounds(scale.low, scale.high)
    for y, (row, below) in enumerate(pairwise(rows)):
        if row.ours != below.ours:
            axes.axhline(y + 0.5, color=style.GREY, lw=0.6)


def together(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All scores in one frame."""
    return pd.concat(found) if (found := list(frames)) else NO_SCORES


def draw_panel(
    axes: Axes, rows: list[Row], shown: dict[str, pd.DataFrame], published: dict[str, float | None]
) -> None:
    """One column of a table: the scores of each row that has any, `published` by row."""
    medians = {row: summarise(scores)["median"].item() for row, scores in shown.items()}
    every = together(shown.values())
    crosses = is_cross(every)
    printed = [value for value in published.values() if value is not None]
    ours = [*every[~crosses]["value"], *(one for one in medians.values() if not pd.isna(one))]
    scale = scale_of(ours, printed, crosses.any())
    for y, row in enumerate(rows):
        if row.id in shown:
            draw_row(axes, scale, y, shown[row.id], medians[row.id])
        if published.get(row.id) is not None:
            draw_published(axes, scale, y, published[row.id])
    finish_panel(axes, scale, rows)


def legend_of(scores: pd.DataFrame, published: bool) -> list[Line2D]:
    """Legend entries of the marks that a figure of these scores has."""
    several = scores.groupby(["cell", "task", "metric", "pretraining_seed"]).size().max() > 1
    entries = [
        *([("fine-tuning seed", style.SEED)] if several else []),
        ("replicate (a pre-training seed)", style.REPLICATE),
        ("median of the replicates", {**style.MEDIAN, "ms": 8}),
        *([("published", style.PUBLISHED)] if published else []),
        *([("diverged or failed, how many", style.DIVERGED)] if is_cross(scores).any() else []),
    ]
    return [Line2D([], [], label=label, **mark) for label, mark in entries]


def runs_text(study: Study) -> str:
    """How many replicates and fine-tuning seeds stand behind every number."""
    count, finetuning = len(study.config.seeds.pretraining), study.config.seeds.finetuning
    noun = "replicate" if count == 1 else "replicates"
    if finetuning == "own":
        return f"{count} full {noun} (a pre-training and a fine-tuning seed each)"
    return f"{count} {noun} x {len(finetuning)} fine-tuning seeds"


def shown_scores(
    study: Study, rows: list[Row], column: Column, scores: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """What a column of the table shows, by row: a cell's scores at the setting that counts.

    Of an ensemble the score of each, as a replicate.
    """
    settings, chosen = compare_settings(study, scores), choose_settings(study, scores)
    chosen = chosen[(chosen["task"] == column.task) & (chosen["metric"] == column.metric)]
    shown = {}
    for row in rows:
        cell = shown_cell(study, row)
        if row.ensemble:
            found = ensemble_scores(study, row, column, settings)
            found = found.assign(cell=row.id, task=column.task, metric=column.metric)
        else:
            found = chosen[chosen["cell"] == cell]
        if len(found):
            shown[row.id] = found[list(NO_SCORES)]
    return shown


@styled
def table_figure(study: Study, name: str, scores: pd.DataFrame) -> Figure:
    """The figure of a table from `scores` with the columns of `analysis.scores`, in percent.

    Scores of settings that were not selected, and of cells that no row shows, are left out.

    Raises StudyError if the table has no column of scores.
    """
    table, published = study.config.tables[name], study.published(name)
    columns = table.score_columns
    if not columns:
        raise StudyError(f"{name}: no column of it is a score, so it has no figure")
    across = min(len(columns), PANELS_A_LINE)
    down = -(-len(columns) // across)
    caption = f"Scale {study.scale} ({study.config.about}); {runs_text(study)}; development sets."
    height = down * (0.72 + 0.3 * len(table.rows)) + 0.85
    width = max(6.4, 0.5 + 0.065 * max(len(row.label) for row in table.rows) + 1.6 * across)
    shown = [shown_scores(study, table.rows, column, scores) for column in columns]
    every = together(found for panel in shown for found in panel.values())
    marks = legend_of(every, bool(published))
    figure = new_figure(width, height, table.caption, caption, marks)
    panels = figure.subplots(down, across, squeeze=False, sharey=True).flatten()
    for axes, column, panel in zip(panels, columns, shown, strict=False):
        printed = {row.id: published.get(row.id, {}).get(column.name) for row in table.rows}
        draw_panel(axes, table.rows, panel, printed)
        axes.set_title(column.label, pad=12)
        axes.set_xlabel(METRICS.get(column.metric, f"{column.metric} (%)"))
    panels[0].set_yticks(range(len(table.rows)), [row.label for row in table.rows])
    for axes in panels[len(columns) :]:
        axes.set_visible(False)
    return figure


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.figures.table`."""
    parser = command_parser(
        "analysis.figures.table",
        "Draw a table of the paper with all its seeds, as PNG and PDF.",
        "python -m analysis.figures.table table2 --scale laptop "
        "--output results/figures/table2.png",
    )
    parser.add_argument("table", help="a table of config/study.yaml")
    add_study_arguments(parser, "PNG")
    parsed = parser.parse_args(arguments)
    files = style.figure_paths(parsed.output)
    study = asked_study(parsed)
    if parsed.table not in study.config.tables:
        known = ", ".join(study.config.tables)
        raise StudyError(f"{parsed.table}: no such table; known: {known}")
    result = f"figures/{parsed.table}"
    with recorded(study, result, *files):
        scores = read_scores(study, study.table_jobs(parsed.table), f"results/{result}.png")
        write_figure(table_figure(study, parsed.table, scores), parsed.output)


if __name__ == "__main__":
    run_command(main)
