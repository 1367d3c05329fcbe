"""Held-out perplexity over the peak learning rate, a panel per family of cells (Table 3).

A *family* holds cells that differ in their peak learning rate alone, as one batch size does; the
member with the lowest median perplexity stands for it (`analysis.choices`). Families whose choice
is not made yet are named, not drawn.
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.command import result_command, snakemake_command
from analysis.figures import style
from analysis.figures.style import LINE, figure_files, grid_of, new_figure, panels_of, styled
from analysis.listings import read_learning_rates
from study.command import run_command
from study.errors import StudyError
from study.graph import Study

COLUMNS = ("family", "learning_rate", "pretraining_seed", "selected", "heldout_perplexity")
WINNER: style.Look = {
    "marker": "o",
    "ms": 11,
    "mfc": "none",
    "mec": style.ORANGE,
    "mew": 1.4,
    "ls": "",
}
PANELS_A_LINE = 3
LOG_FROM = 4.0  # largest over smallest perplexity


def rate_text(rate: float) -> str:
    """A learning rate as papers write it: `3e-4`."""
    digits, exponent = f"{rate:.6e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def scale_perplexity(axes: Axes, values: pd.Series) -> None:
    """The perplexity axis of all panels: logarithmic where a bad rate would hide the others."""
    if values.isna().all():
        axes.set_yticks([])
    elif values.max() > LOG_FROM * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())


def draw_family(axes: Axes, frame: pd.DataFrame) -> None:
    """One family: a mark per pre-training seed, the medians as a line, a ring on the winner."""
    axes.set_xscale("log")
    rates = sorted(frame["learning_rate"].unique())
    axes.set_xticks(rates, [rate_text(rate) for rate in rates])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(rates[0] / 1.3, rates[-1] * 1.3)
    # As in the selection, a diverged seed counts as infinite; such a median has no place here.
    medians = frame.fillna({"heldout_perplexity": math.inf}).groupby("learning_rate")
    medians = medians["heldout_perplexity"].median().replace(math.inf, math.nan)
    axes.plot(medians.index, medians, color=style.BLACK, lw=1)
    axes.plot(frame["learning_rate"], frame["heldout_perplexity"], **style.REPLICATE)
    best = frame.loc[frame["selected"], "learning_rate"].unique()
    axes.plot(best, medians[best], **WINNER)
    failed = frame[frame["heldout_perplexity"].isna()].groupby("learning_rate").size()
    edge: style.Look = {"transform": axes.get_xaxis_transform(), "clip_on": False}
    for rate, count in failed.items():
        axes.plot([rate], [1.0], **style.DIVERGED, **edge)
        if count > 1:
            axes.text(rate, 1.0, f"   {count}", va="center", **edge)
    axes.grid(axis="y")


@styled
def learning_rate_figure(frame: pd.DataFrame, about: str, missing: str = "") -> Figure:
    """The figure of `frame`, a line per pre-training with COLUMNS as in `analysis.listings`.

    A missing perplexity stands for a diverged run; `about` says what scale this is, `missing` which
    families are not finished. Families stand in the order of `frame`. Raises StudyError if a column
    or every line is missing.
    """
    lacking = [name for name in COLUMNS if name not in frame]
    if lacking or frame.empty:
        nothing = "no runs: the study has no family"
        raise StudyError(f"learning rates: {'no column ' + lacking[0] if lacking else nothing}")
    frame = frame.astype({"heldout_perplexity": float, "learning_rate": float})
    families = list(frame["family"].unique())
    across, down = grid_of(len(families), PANELS_A_LINE)
    seeds = frame["pretraining_seed"].nunique()
    told = (
        f"{about}; {seeds} pre-training seed{'s' if seeds > 1 else ''}; per masked "
        "token of held-out documents; the winner has the lowest median, where a diverged seed "
        "counts as infinite."
        f"{f' Not finished: {missing}.' if missing else ''}"
    )
    marks = [
        Line2D([], [], label="pre-training seed", **style.REPLICATE),
        Line2D([], [], label="median", color=style.BLACK, lw=1),
        Line2D([], [], label="winner", **{**WINNER, "ms": 8}),
    ]
    if frame["heldout_perplexity"].isna().any():
        marks.append(Line2D([], [], label="diverged, how many", **style.DIVERGED))
    figure = new_figure(down * (1.45 + 4 * LINE), told, marks)
    panels = panels_of(figure, len(families), across, share_y=True)
    for axes, family in zip(panels, families, strict=True):
        draw_family(axes, frame[frame["family"] == family])
        axes.set_title(family, loc="left", pad=8)
        axes.set_xlabel("peak learning rate")
    scale_perplexity(panels[0], frame["heldout_perplexity"])
    for axes in panels[::across]:
        axes.set_ylabel("held-out perplexity")
    return figure


def files(study: Study, _: str) -> list[bytes]:
    """The figure of the study as PNG and PDF."""
    about = f"Scale {study.scale} ({study.config.about})"
    there = set(study.finished(study.selection_jobs()))
    made = [name for name in study.config.families if study.jobs.selection(name) in there]
    missing = [name for name in study.config.families if name not in made]
    if missing and not made:
        command = snakemake_command(study, study.jobs.selection(missing[0]).path)
        raise StudyError(f"no family is finished; one is made by: {command}")
    frame = read_learning_rates(study, made)
    return figure_files(learning_rate_figure(frame, about, ", ".join(missing)))


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.figures.learning_rate`."""
    result_command(arguments, "learning_rate_figure", files)


if __name__ == "__main__":
    run_command(main)
