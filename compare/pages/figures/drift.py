"""The figure of drift: how far each BN layer's moving statistics lie from the data's, over the depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from compare.pages.figures.drawing import INK, MUTED, PAPER, STYLE, WIDTH

LEVELS = (0, 0.05, 0.1, 0.2, 0.5, 1, 2, 4)
# grows darker all the way, for the colour-blind and in grey
COLOURS = ListedColormap(
    ["#f1f0ee", *(colormaps["YlOrBr"](share) for share in (0.12, 0.28, 0.42, 0.56, 0.7, 0.85, 1.0))]
)
PANELS = {
    "mean_drift": "means, off by standard deviations",
    "log_variance_ratio": "variances, off by ln of the ratio",
}
# inches
ROW, TOP, BOTTOM = 0.17, 0.62, 0.62


class Layer(Protocol):
    """A BN layer: its place, and how far its moving statistics are from the data's."""

    @property
    def stage(self) -> str:
        """The part of the network that it is in."""

    @property
    def mean_drift(self) -> float:
        """Distance of the means, in standard deviations."""

    @property
    def log_variance_ratio(self) -> float:
        """Natural logarithm of the variances' ratio."""


@dataclass(frozen=True)
class Strip:
    """A row of the figure.

    Attributes:
        block: rows of one block stand together; a line parts them from the next one's.
        name: what stands beside it.
        layers: from the first to the last.
    """

    block: str
    name: str
    layers: Sequence[Layer]


def drift(strips: Sequence[Strip], over: str = "median over a layer's channels") -> Figure:
    """Draw a row for each strip and a column for each layer: means on the left, variances on the right.

    Args:
        strips: a row each.
        over: how a layer's channels became one figure.
    """
    height = TOP + ROW * len(strips) + BOTTOM
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(WIDTH, height), facecolor=PAPER)
        panels = figure.subplots(
            1, 2, sharey=True,
            gridspec_kw={
                "left": 0.33, "right": 0.985, "top": 1 - TOP / height, "bottom": BOTTOM / height, "wspace": 0.06,
            },
        )  # fmt: skip
        borders = [place - 0.5 for place in range(1, len(strips)) if _parts(strips, place)]
        for axes, (measure, title) in zip(panels, PANELS.items(), strict=True):
            image = panel(axes, [strip.layers for strip in strips], measure)
            axes.set_title(title, loc="left", fontsize=9, pad=18)
            axes.hlines(borders, *axes.get_xlim(), color=PAPER, linewidth=2.5)
        panels[0].set_yticks(range(len(strips)), [strip.name for strip in strips], fontsize=7, color=INK)
        bar = figure.add_axes((0.33, 0.3 / height, 0.655, 0.1 / height))
        figure.colorbar(image, cax=bar, orientation="horizontal", extend="max", ticks=LEVELS)
        bar.tick_params(length=0, labelsize=8)
        bar.xaxis.set_major_formatter("{x:g}")
        bar.set_xlabel(over, fontsize=8, labelpad=1)
    return figure


def _parts(strips: Sequence[Strip], place: int) -> bool:
    """Whether a block begins at this place."""
    return strips[place].block != strips[place - 1].block


def panel(axes: Axes, rows: Sequence[Sequence[Layer]], measure: str):
    """Draw one half of the figure; a row shorter than the longest has no drift at its end."""
    norm = BoundaryNorm(LEVELS, len(LEVELS), extend="max")
    width = max(map(len, rows))
    values = [[abs(getattr(layer, measure)) for layer in row] + [0.0] * (width - len(row)) for row in rows]
    image = axes.imshow(values, COLOURS, norm, aspect="auto", interpolation="none")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    start, names, places = 0, [], []
    longest = next(row for row in rows if len(row) == width)
    for stage, layers in groupby(longest, key=lambda layer: layer.stage):
        size = len(list(layers))
        if start:
            axes.axvline(start - 0.5, color=PAPER, linewidth=1)
        names.append(stage if size > 2 else "")  # a name needs the room of three layers
        places.append(start + (size - 1) / 2)
        start += size
    axes.set_xticks(places, names, fontsize=7, color=MUTED)
    axes.xaxis.tick_top()
    return image
