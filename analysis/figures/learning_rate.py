"""Held-out perplexity over the peak learning rate, a panel per family of cells (Table 3).

A *family* holds cells that differ in their peak learning rate alone, as one batch size does; the
member with the lowest median perplexity stands for it (`analysis.choices`).
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.command import result_command
from analysis.figures import style
from analysis.figures.style import figure_files, grid_of, new_figure, panels_of, styled
from analysis.listings import read_learning_rates
from study.command import run_command
from study.errors import StudyError
from study.graph import Study

COLUMNS = ("family", "learning_rate", "pretraining_seed", "selected", "heldout_perplexity")
WINNER = {"marker": "o", "ms": 11, "mfc": "none", "mec": style.ORANGE, "mew": 1.4, "ls": ""}
PANELS_A_LINE = 4
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
    edge = {"transform": axes.get_xaxis_transform(), "clip_on": False}
    for rate, count in failed.items():
        axes.plot([rate], [1.0], **style.DIVERGED, **edge)
        if count > 1:
            axes.text(rate, 1.0, f"   {count}", va="center", fontsize=6.5, **edge)
    axes.grid(axis="y")


@styled
def learning_rate_figure(frame: pd.DataFrame, about: str) -> Figure:
    """The figure of `frame`, a line per pre-training with COLUMNS as in `analysis.listings`.

    A missing perplexity stands for a diverged run; `about` tells the caption what scale this is.
    Families stand in the order of `frame`. Raises StudyError if a column or every line is missing.
    """
    missing = [name for name in COLUMNS if name not in frame]
    if missing or frame.empty:
        nothing = "no runs: the study has no family"
        raise StudyError(f"learning rates: {'no column ' + missing[0] if missing else nothing}")
    frame = frame.astype({"heldout_perplexity": float, "learning_rate": float})
    families = list(frame["family"].unique())
    across, down = grid_of(len(families), PANELS_A_LINE)
    seeds = frame["pretraining_seed"].nunique()
    caption = (
        f"{about}; {seeds} pre-training seed{'s' if seeds > 1 else ''}; held-out documents; "
        "the winner has the lowest median, a diverged seed counting as infinite."
    )
    marks = [
        Line2D([], [], label="pre-training seed", **style.REPLICATE),
        Line2D([], [], label="median", color=style.BLACK, lw=1),
        Line2D([], [], label="winner", **{**WINNER, "ms": 8}),
    ]
    if frame["heldout_perplexity"].isna().any():
        marks.append(Line2D([], [], label="diverged, how many", **style.DIVERGED))
    title = "Held-out perplexity by peak learning rate"
    figure = new_figure(0.6 + 2.2 * max(across, 2), 2.3 * down + 0.9, title, caption, marks)
    panels = panels_of(figure, len(families), across, share_y=True)
    for axes, family in zip(panels, families, strict=True):
        draw_family(axes, frame[frame["family"] == family])
        axes.set_title(family, loc="left", pad=10)
        axes.set_xlabel("peak learning rate")
    scale_perplexity(panels[0], frame["heldout_perplexity"])
    for axes in panels[::across]:
        axes.set_ylabel("perplexity (per masked token)")
    return figure


def files(study: Study, _: str) -> list[bytes]:
    """The figure of the study as PNG and PDF."""
    about = f"Scale {study.scale} ({study.config.about})"
    return figure_files(learning_rate_figure(read_learning_rates(study), about))


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.figures.learning_rate`."""
    result_command(arguments, "learning_rate_figure", files)


if __name__ == "__main__":
    run_command(main)
