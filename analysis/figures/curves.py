"""Held-out loss over tokens seen, a panel per table: `results/figures/curves.png|.pdf`.

A panel has all cells of its table, so that those of different batch sizes stand together; a table
has none where those before it show all its cells. A cell's line is the median over its pre-training
seeds, each seed a thin line beside it. Losses are in nats per masked token, on one fixed set of
masks; they can be compared where vocabulary and format agree. A dotted line is the loss of word
frequencies alone, a full dot where a cell left the plateau under it (`analysis.plateau`).
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from analysis.command import result_command
from analysis.figures import style
from analysis.figures.style import figure_files, grid_of, new_figure, panels_of, styled
from analysis.plateau import FALL, curve_of, read_runs, transition
from study.command import run_command
from study.errors import StudyError
from study.graph import Study
from study.manifest import MAYBE_NUMBER, NUMBER

PANELS_A_LINE = 2
UNITS = ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands"), (1, ""))
PANEL_SHARE = 0.6  # of a panel's height that its axes have at least
LABEL_POINTS = 9.5  # height of a line of text at the end of a curve


def read_curves(study: Study) -> pd.DataFrame:
    """One line per held-out evaluation of every pre-training that a table shows.

    Columns: cell, pretraining_seed, step, tokens (seen until then), heldout_loss (nats per masked
    token, missing where it was not finite), diverged (of the run), unigram_entropy and transition
    (of the run, `analysis.plateau`). A run without any evaluation has one line without a loss.
    Raises StudyError for a manifest of another recipe.
    """
    rows = []
    for job, run, entropy in read_runs(study):
        of_run = {
            "cell": job.names["cell"],
            "pretraining_seed": job.names["seed"],
            "diverged": run.figure("diverged", kind=MAYBE_NUMBER) is not None,
            "unigram_entropy": entropy,
            "transition": transition(run, entropy),
        }
        end = (run.figure("steps", kind=NUMBER), run.figure("tokens", kind=NUMBER), None)
        for point in curve_of(run) or [end]:
            rows.append(of_run | dict(zip(("step", "tokens", "heldout_loss"), point, strict=True)))
    return pd.DataFrame(rows).astype({"heldout_loss": float})


def unit_of(tokens: float) -> tuple[float, str]:
    """A divisor for axis labels, and its name."""
    return next((unit for unit in UNITS if tokens >= unit[0]), UNITS[-1])


def spread(heights: list[float], gap: float) -> list[float]:
    """Heights moved apart to at least `gap`, in their order and as little as can be."""
    order = np.argsort(heights, kind="stable")
    gaps = gap * np.arange(len(heights))
    placed = np.empty(len(heights))
    # Wishes without the gaps must rise; where they fall, neighbours share their mean.
    placed[order] = isotonic_regression(np.array(heights)[order] - gaps).x + gaps
    return placed.tolist()


def look_of(number: int) -> dict:
    """Colour, dashes and marker of the cell of this number: no two of a panel agree in all."""
    return {
        "color": style.LINE_COLOURS[number % len(style.LINE_COLOURS)],
        "ls": style.LINE_STYLES[number % len(style.LINE_STYLES)],
        "marker": style.LINE_MARKERS[number % len(style.LINE_MARKERS)],
        "ms": 3.5,
        "mfc": "white",
        "mew": 0.8,
    }


def draw_cell(axes: Axes, look: dict, frame: pd.DataFrame, unit: float) -> tuple | None:
    """The curves of one cell; the end (x, y) of its median line, None if it has no loss at all.

    A diverged run has a cross at the upper edge where its last evaluation lies.
    """
    seeds = frame.groupby("pretraining_seed", sort=False)
    if seeds.ngroups > 1:
        for _, run in seeds:
            known = run.dropna(subset=["heldout_loss"])
            thin = {"color": look["color"], "lw": 0.5, "alpha": 0.6}
            axes.plot(known["tokens"] / unit, known["heldout_loss"], **thin)
    broken = frame[is_broken(frame)].groupby("pretraining_seed")["tokens"].max() / unit
    if len(broken):  # an empty line that is not clipped has no bounds, and spoils the layout
        edge = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        cross = {**style.DIVERGED, "mec": look["color"]}
        axes.plot(broken, [1.0] * len(broken), **cross, **edge)
    medians = frame.groupby("step")[["tokens", "heldout_loss"]].median().dropna()
    if medians.empty:
        return None
    axes.plot(medians["tokens"] / unit, medians["heldout_loss"], **look)
    reached = of_runs(frame)["transition"].dropna().median()
    if np.isfinite(reached):
        goal = frame["unigram_entropy"].iloc[0] - FALL
        axes.plot([reached / unit], [goal], **style.TRANSITION, color=look["color"])
    last = medians.iloc[-1]
    return last["tokens"] / unit, last["heldout_loss"]


def of_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """The first line of every run: what all its lines agree in."""
    return frame.groupby(["cell", "pretraining_seed"], sort=False).first()


def draw_frequencies(axes: Axes, frame: pd.DataFrame) -> None:
    """A dotted line at the loss of word frequencies alone, for each text and vocabulary."""
    for entropy in frame["unigram_entropy"].dropna().unique():
        axes.axhline(entropy, color=style.GREY, ls=(0, (1, 2)), lw=0.9)


def label_of(cell: str, frame: pd.DataFrame) -> str:
    """A cell's name, with how many of its pre-trainings diverged or stayed on the plateau."""
    runs = of_runs(frame)
    told = []
    for word, hit in (
        ("diverged", runs["diverged"]),
        ("on the plateau", runs["transition"] == np.inf),
    ):
        told += [f"{hit.sum()} of {len(runs)} {word}"] if hit.any() else []
    return f"{cell} ({', '.join(told)})" if told else cell


def is_broken(frame: pd.DataFrame) -> pd.Series:
    """Evaluations of runs that diverged, or whose loss is no number."""
    return frame["diverged"] | frame["heldout_loss"].isna()


def draw_labels(axes: Axes, ends: dict[str, tuple | None], frame: pd.DataFrame) -> None:
    """Each cell's mark and name at the right of its curve, apart where curves end close."""
    known = {cell: end for cell, end in ends.items() if end is not None}
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    axes.set(xlim=(left, right), ylim=(low, high))
    rows = axes.get_gridspec().nrows
    gap = (high - low) * LABEL_POINTS / (72 * PANEL_SHARE * axes.figure.get_figheight() / rows)
    places = spread([y for _, y in known.values()], gap)
    for (cell, (x, y)), place in zip(known.items(), places, strict=True):
        told = label_of(cell, frame[frame["cell"] == cell])
        edge = right + 0.04 * (right - left)
        axes.plot([x, edge], [y, place], color=style.GREY, lw=0.4, clip_on=False, zorder=1)
        axes.plot([edge], [place], clip_on=False, **look_of(list(ends).index(cell)))
        axes.text(edge, place, f"  {told}", va="center", fontsize=7)
    failed = [cell for cell, end in ends.items() if end is None]
    if failed:
        told = "no finite loss: " + ", ".join(failed)
        axes.text(0.02, 0.02, told, transform=axes.transAxes, fontsize=7)


@styled
def curves_figure(frame: pd.DataFrame, groups: dict[str, list[str]], about: str) -> Figure:
    """The figure of `frame` (columns of `read_curves`); `groups` are the cells of each panel.

    `about` says for the caption what scale this is. Raises StudyError if there is nothing to draw.
    """
    if not groups:
        raise StudyError("no table shows a cell of ours, so there are no curves")
    across, down = grid_of(len(groups), PANELS_A_LINE)
    most = max(len(cells) for cells in groups.values())
    seeds = frame.groupby("cell")["pretraining_seed"].nunique().max()
    crosses = "; crosses: diverged" if is_broken(frame).any() else ""
    lines = f"median of {seeds} pre-training seeds, thin: each seed" if seeds > 1 else "one seed"
    caption = (
        f"{about}; lines: {lines}{crosses}. Losses on held-out documents; comparable "
        "between cells of one vocabulary and one input format. Dotted: word frequencies alone; "
        f"full dots: {FALL:g} nat under them, where the plateau is left."
    )
    height = down * max(2.4, 0.6 + most * 1.3 * LABEL_POINTS / 72) + 0.7
    figure = new_figure(4.8 * across, height, "Held-out loss along pre-training", caption)
    panels = panels_of(figure, len(groups), across)
    unit, word = unit_of(frame["tokens"].max())
    for axes, (name, cells) in zip(panels, groups.items(), strict=True):
        mine = frame[frame["cell"].isin(cells)]
        ends = {
            cell: draw_cell(axes, look_of(number), mine[mine["cell"] == cell], unit)
            for number, cell in enumerate(cells)
        }
        draw_frequencies(axes, mine)
        axes.set_xlim(left=0)
        draw_labels(axes, ends, mine)
        axes.grid(axis="y")
        axes.set_title(name, loc="left", pad=10)
        axes.set_xlabel(f"tokens seen ({word})" if word else "tokens seen")
        axes.set_ylabel("loss (nats per masked token)")
    return figure


def files(study: Study, _: str) -> list[bytes]:
    """The figure of the study as PNG and PDF."""
    about = f"Scale {study.scale} ({study.config.about})"
    figure = curves_figure(read_curves(study), study.cells_of_tables(), about)
    return figure_files(figure)


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.figures.curves`."""
    result_command(arguments, "curves", files)


if __name__ == "__main__":
    run_command(main)
