"""Held-out loss over tokens seen: `results/figures/curves.png|.pdf`, a panel per table, and
`results/figures/curves/<table>.png|.pdf`, the panel of one.

It shows the pre-trainings that are finished, and says which are not. A panel has all cells of its
table, so that those of different batch sizes stand together; a table has none where those before it
show all its cells. A cell's line is the median over its pre-training seeds, each seed a thin line
beside it. Losses are in nats per masked token, on one fixed set of masks; they can be compared
where vocabulary and format agree. A dotted line is the loss of word frequencies alone, a full dot
where a cell left the plateau under it (`analysis.plateau`).
"""

from collections import Counter

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.command import result_command, snakemake_command
from analysis.figures import style
from analysis.figures.style import LINE, figure_files, grid_of, new_figure, panels_of, styled
from analysis.plateau import FALL, curve_of, read_runs, transition
from study.command import run_command
from study.errors import StudyError
from study.graph import Study
from study.jobs import Job
from study.manifest import MAYBE_NUMBER, NUMBER

PANELS_A_LINE = 2
UNITS = ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands"), (1, ""))
# Inches of height of a panel's axes, also where it stands alone, and of what stands around them.
AXES, ALONE, AROUND = 1.15, 2.2, 0.62


def read_curves(study: Study, table: str = "") -> pd.DataFrame:
    """One line per held-out evaluation of every finished pre-training of a table, or of all.

    Columns: cell, pretraining_seed, step, tokens (seen until then), heldout_loss (nats per masked
    token, missing where it was not finite), diverged (of the run), unigram_entropy and transition
    (of the run, `analysis.plateau`). A run without any evaluation has one line without a loss.
    Raises StudyError for a manifest of another recipe, and where nothing is finished.
    """
    rows = []
    for job, run, entropy in read_runs(study, study.finished(pretrainings(study, table))):
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
    if not rows:
        table = table or next(iter(study.cells_of_tables()), "")
        if not table:
            raise StudyError("no table shows a cell of ours, so there are no curves")
        command = snakemake_command(study, f"results/{table}.csv")
        raise StudyError(f"no pre-training is finished; some are made by: {command}")
    return pd.DataFrame(rows).astype({"heldout_loss": float})


def pretrainings(study: Study, table: str) -> list[Job]:
    """The pre-trainings of a table's cells, or of all that tables show."""
    return study.pretrain_jobs(study.table_cells(table) if table else None)


def unfinished(study: Study, table: str = "") -> str:
    """Which of these pre-trainings are missing: `batch-8k (2 of 5)`; empty where none is."""
    jobs = pretrainings(study, table)
    known, wanted = set(study.finished(jobs)), Counter(job.names["cell"] for job in jobs)
    missing = Counter(job.names["cell"] for job in jobs if job not in known)
    return ", ".join(f"{cell} ({count} of {wanted[cell]})" for cell, count in missing.items())


def unit_of(tokens: float) -> tuple[float, str]:
    """A divisor for axis labels, and its name."""
    return next((unit for unit in UNITS if tokens >= unit[0]), UNITS[-1])


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


def draw_cell(axes: Axes, look: dict, frame: pd.DataFrame, unit: float) -> bool:
    """The curves of one cell, and whether it has any loss to draw.

    A diverged run has a cross at the upper edge where its last evaluation lies.
    """
    seeds = frame.groupby("pretraining_seed", sort=False)
    if seeds.ngroups > 1:
        for _, run in seeds:
            known = run.dropna(subset=["heldout_loss"])
            thin: style.Look = {"color": look["color"], "lw": 0.5, "alpha": 0.6}
            axes.plot(known["tokens"] / unit, known["heldout_loss"], **thin)
    broken = frame[is_broken(frame)].groupby("pretraining_seed")["tokens"].max() / unit
    if len(broken):  # an empty line that is not clipped has no bounds, and spoils the layout
        edge: style.Look = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        cross = {**style.DIVERGED, "mec": look["color"]}
        axes.plot(broken, [1.0] * len(broken), **cross, **edge)
    medians = frame.groupby("step")[["tokens", "heldout_loss"]].median().dropna()
    if medians.empty:
        return False
    axes.plot(medians["tokens"] / unit, medians["heldout_loss"], **look)
    reached = of_runs(frame)["transition"].dropna().median()
    if np.isfinite(reached):
        goal = frame["unigram_entropy"].iloc[0] - FALL
        axes.plot([reached / unit], [goal], **style.TRANSITION, color=look["color"])
    return True


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


def draw_panel(axes: Axes, cells: list[str], frame: pd.DataFrame, unit: float) -> None:
    """The curves of a table's cells, those that are in `frame`, and their names below."""
    marks = []
    for number, cell in enumerate(cells):
        mine = frame[frame["cell"] == cell]
        if mine.empty:
            continue
        drawn, look = draw_cell(axes, look_of(number), mine, unit), look_of(number)
        label = label_of(cell, mine)
        if not drawn:
            look, label = {"ls": ""}, f"{label}: no finite loss"
        marks.append(Line2D([], [], label=label, **look))
    draw_frequencies(axes, frame)
    axes.set_xlim(left=0)
    axes.grid(axis="y")
    place: style.Look = {"loc": "upper left", "bbox_to_anchor": (-0.1, -0.3), "borderaxespad": 0}
    axes.legend(handles=marks, handlelength=2.4, labelspacing=0.25, **place)


@styled
def curves_figure(
    frame: pd.DataFrame, groups: dict[str, list[str]], about: str, missing: str = ""
) -> Figure:
    """The figure of `frame` (columns of `read_curves`); `groups` are the cells of each panel.

    `about` says what scale this is, `missing` what is not finished. A panel without any finished
    cell is left out.
    """
    there = set(frame["cell"])
    groups = {name: cells for name, cells in groups.items() if there & set(cells)}
    across, down = grid_of(len(groups), PANELS_A_LINE)
    seeds = frame.groupby("cell")["pretraining_seed"].nunique().max()
    lines = f"median of {seeds} pre-training seeds, thin: each seed" if seeds > 1 else "one seed"
    told = (
        f"{about}; lines: {lines}{'; crosses: diverged' if is_broken(frame).any() else ''}. Losses "
        "on held-out documents; comparable between cells of one vocabulary and one input format. "
        f"Dotted: word frequencies alone; full dots: {FALL:g} nat under them, where the plateau is "
        f"left.{f' Not finished: {missing}.' if missing else ''}"
    )
    sizes = [len(there & set(cells)) for cells in groups.values()]
    most = [max(sizes[start : start + across]) for start in range(0, len(sizes), across)]
    height = AXES if len(groups) > 1 else ALONE
    figure = new_figure(down * (height + AROUND) + LINE * sum(most), told)
    unit, word = unit_of(frame["tokens"].max())
    for axes, (name, cells) in zip(
        panels_of(figure, len(groups), across), groups.items(), strict=True
    ):
        draw_panel(axes, cells, frame[frame["cell"].isin(cells)], unit)
        axes.set_title(name if len(groups) > 1 else "", loc="left")
        axes.set_xlabel(f"tokens seen ({word})" if word else "tokens seen")
        axes.set_ylabel("nats per masked token")
    return figure


def files(study: Study, table: str) -> list[bytes]:
    """The figure of a table's cells, or of all of the study, as PNG and PDF."""
    about = f"Scale {study.scale} ({study.config.about})"
    frame, groups = read_curves(study, table), study.cells_of_tables(table)
    return figure_files(curves_figure(frame, groups, about, unfinished(study, table)))


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.figures.curves`."""
    result_command(arguments, "table_curves", files, whole="curves")


if __name__ == "__main__":
    run_command(main)
