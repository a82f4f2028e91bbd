"""What the plots of a report have in common: figures of their own, so that no state is shared, and how they look."""

import io
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

Corner = Literal["upper left", "upper right", "lower right"]

# Inches, and dots in one: 960 × 600.
SIZE, DPI = (6.4, 4.0), 150
# Letters of a name beside a bar.
LETTERS = 26
INK, GRID, OURS, OTHER = "#24292f", "#d9dde2", "#1f6feb", "#d1651a"


def bars(axes: Axes, names: list[str], values: list[float], colours: list[str]) -> None:
    """Horizontal bars, the first on top. A name is text, also where it looks like a formula."""
    axes.barh(np.arange(len(names)), values, color=colours, height=0.65)
    short = [name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…" for name in names]
    axes.set_yticks(np.arange(len(names)), short, parse_math=False)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def blank() -> Figure:
    """An empty figure that no other code knows of."""
    figure = Figure(figsize=SIZE, dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(x: str, y: str) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, named."""
    figure = blank()
    axes = figure.subplots()
    plain(axes, x, y)
    return figure, axes


def plain(axes: Axes, x: str, y: str) -> None:
    """Name axes, and leave out what is no data."""
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(colors=INK, which="both", length=0)
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(GRID)


def legend(axes: Axes, place: Corner) -> None:
    """What each line is."""
    axes.legend(loc=place, frameon=False, labelcolor=INK, fontsize=9)


def png(figure: Figure) -> bytes:
    """The figure as a PNG file's bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
