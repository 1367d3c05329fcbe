"""The look of all figures, and how they become files whose bytes depend on nothing but the data.

Figures have the size at which they are printed: WIDTH across, as a page's column of text, and
letters of TEXT points. A title is the business of their caption in a paper; a line at the foot says
what scale was run.
Every mark is told apart by its shape and fill, so that a figure reads in black and white; the
colours are those of Okabe and Ito, which colour-blind readers can tell apart. The fonts are the
ones that matplotlib brings along, embedded as TrueType.
"""

import functools
import io
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

BLACK, BLUE, ORANGE, GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
GREY, LIGHT = "#6b6b6b", "#f2f2f2"
LINE_COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", BLACK, "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
LINE_MARKERS = ("o", "s", "^", "D", "v", "P", "*", "h")

Look = dict[str, Any]  # how something is drawn, as keyword arguments of matplotlib
# Marks that mean the same in every figure; a plot adds colours only where these have none.
SEED: Look = {"marker": "o", "ms": 4, "mfc": "none", "mec": BLUE, "mew": 0.9, "ls": ""}
REPLICATE: Look = {"marker": "o", "ms": 4.2, "mfc": BLUE, "mec": "white", "mew": 0.4, "ls": ""}
MEDIAN: Look = {"marker": "|", "ms": 17, "mec": BLACK, "mew": 2, "ls": "", "zorder": 1.9}
PUBLISHED: Look = {"marker": "D", "ms": 5, "mfc": "none", "mec": ORANGE, "mew": 1.2, "ls": ""}
TRANSITION: Look = {"marker": "o", "ms": 5.5, "mec": "white", "mew": 0.5, "ls": "", "zorder": 3}
DIVERGED: Look = {"marker": "x", "ms": 5, "mec": BLACK, "mew": 1.3, "ls": ""}

WIDTH = 5.5  # inches
TEXT = 8  # points
LINE = 0.145  # inches of height that a line of such text takes
LETTER = 0.06  # inches that a letter of it takes, most words fewer
DPI = 200
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.labelcolor": BLACK,
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": TEXT,
    "axes.titleweight": "bold",
    "figure.constrained_layout.h_pad": 0.05,
    "figure.constrained_layout.w_pad": 0.04,
    "figure.dpi": DPI,
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.5,
    "legend.fontsize": TEXT,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "pdf.fonttype": 42,
    # Labels come from the study file and are no formulas: a dollar sign is a dollar sign.
    "text.parse_math": False,
    "xtick.color": GREY,
    "xtick.labelcolor": BLACK,
    "xtick.labelsize": TEXT,
    "ytick.color": GREY,
    "ytick.labelcolor": BLACK,
    "ytick.labelsize": TEXT,
}
# What PDF and PNG would say of the time and of the program.
NO_METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def styled(draw: Callable) -> Callable:
    """Decorator: `draw` runs in this style, whatever a user's matplotlibrc says."""

    @functools.wraps(draw)
    def drawn(*arguments: Any, **named: Any) -> Any:
        with matplotlib.style.context(["default", STYLE]):
            return draw(*arguments, **named)

    return drawn


def wrapped(text: str, width: float) -> str:
    """A text in lines that are so many inches wide, words whole."""
    return textwrap.fill(text, max(1, int(width / LETTER)), break_long_words=False)


def new_figure(height: float, told: str, marks: Sequence[Artist] = ()) -> Figure:
    """An empty figure whose panels take `height` inches, above a legend of `marks` and a text."""
    told = wrapped(told, WIDTH)
    foot = 0.06 + LINE * (told.count("\n") + 1)
    across = 1
    if marks:
        longest = max(len(str(mark.get_label())) for mark in marks)
        across = max(1, min(len(marks), int(WIDTH / (0.45 + LETTER * longest))))
    legend = (LINE + 0.03) * math.ceil(len(marks) / across)
    height += foot + legend
    layout = ConstrainedLayoutEngine()
    figure = Figure(figsize=(WIDTH, height), layout=layout)
    FigureCanvasAgg(figure)
    figure.text(0.01, 0.06 / height, told, va="bottom", color=GREY)
    if marks:
        place: Look = {
            "loc": "lower left",
            "bbox_to_anchor": (0, foot / height),
            "borderaxespad": 0.2,
        }
        figure.legend(handles=list(marks), ncols=across, **place)
    foot = (foot + legend) / height
    layout.set(rect=(0, foot, 1, 1 - foot))
    return figure


def grid_of(count: int, most: int) -> tuple[int, int]:
    """How many panels stand in a line, at most `most`, and how many lines `count` panels take."""
    across = min(count, most)
    return across, math.ceil(count / across)


def panels_of(figure: Figure, count: int, across: int, share_y: bool = False) -> list[Axes]:
    """The panels of a figure, `across` in a line; what is left of the last line stays empty."""
    grid = figure.subplots(math.ceil(count / across), across, squeeze=False, sharey=share_y)
    panels = grid.flatten().tolist()
    for axes in panels[count:]:
        axes.set_visible(False)
    return panels[:count]


def freeze_layout(figure: Figure) -> None:
    """Lay the figure out for good, at rounded places.

    The solver behind the layout sums in an order that memory addresses decide: the last bits of a
    place differ between two equal figures, and a PDF would show them.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = axes.get_position(original=True).bounds
        axes.set_position((round(left, 6), round(bottom, 6), round(width, 6), round(height, 6)))
    for text in figure.texts:
        x, y = text.get_position()
        text.set_position((round(x, 6), round(y, 6)))


@styled
def figure_files(figure: Figure) -> list[bytes]:
    """The figure as PNG and as PDF; equal figures give equal bytes."""
    freeze_layout(figure)
    contents = []
    for kind, metadata in NO_METADATA.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
        contents.append(buffer.getvalue())
    return contents
