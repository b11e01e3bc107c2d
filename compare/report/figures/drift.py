"""The figure of drift: how far each BN layer's moving statistics lie from the data's, over the depth."""

from __future__ import annotations

from itertools import groupby

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from compare.report.figures.drawing import INK, MUTED, PAPER, STYLE, WIDTH
from compare.spec import NAMES
from compare.verdict.explained import Explained
from compare.verdict.figures import Group

LEVELS = (0, 0.05, 0.1, 0.2, 0.5, 1, 2, 4)
# grows darker all the way, for the colour-blind and in grey
COLOURS = ListedColormap(
    ["#f1f0ee", *(colormaps["YlOrBr"](share) for share in (0.12, 0.28, 0.42, 0.56, 0.7, 0.85, 1.0))]
)
PANELS = {
    "mean_drift": "means, off by standard deviations",
    "log_variance_ratio": "variances, off by ln of the ratio",
}
ROW, TOP, BOTTOM = 0.17, 0.62, 0.62  # inches


def drift(group: Group) -> Figure | None:
    """Draw a row for each policy, framework and explained epoch, first and last; None where no layer drifts."""
    rows = _rows(group)
    if not rows:
        return None
    height = TOP + ROW * len(rows) + BOTTOM
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(WIDTH, height), facecolor=PAPER)
        panels = figure.subplots(
            1, 2, sharey=True,
            gridspec_kw={
                "left": 0.33, "right": 0.985, "top": 1 - TOP / height, "bottom": BOTTOM / height, "wspace": 0.06,
            },
        )  # fmt: skip
        for axes, (figure_name, title) in zip(panels, PANELS.items(), strict=True):
            image = _panel(axes, [explained.layers for explained in rows.values()], figure_name)
            axes.set_title(title, loc="left", fontsize=9, pad=18)
            axes.hlines(_borders(list(rows)), *axes.get_xlim(), color=PAPER, linewidth=2.5)
        panels[0].set_yticks(range(len(rows)), list(rows), fontsize=7, color=INK)
        bar = figure.add_axes((0.33, 0.3 / height, 0.655, 0.1 / height))
        figure.colorbar(image, cax=bar, orientation="horizontal", extend="max", ticks=LEVELS)
        bar.tick_params(length=0, labelsize=8)
        bar.xaxis.set_major_formatter("{x:g}")
        bar.set_xlabel("median over a layer's channels", fontsize=8, labelpad=1)
    return figure


def _rows(group: Group) -> dict[str, Explained]:
    rows = {}
    for policy, row in group.rows.items():
        for framework in group.frameworks:
            if framework not in row:
                continue
            first, last = row[framework].first_explained, row[framework].last_explained
            for explained in (first, last) if first != last else (last,):
                if explained and explained.layers:
                    rows[f"{policy} · {NAMES[framework]} · {_epochs(explained)}"] = explained
    return rows


def _borders(names: list[str]) -> list[float]:
    """Where one policy's rows end and the next one's begin."""
    policies = [name.split(" · ")[0] for name in names]
    return [place - 0.5 for place in range(1, len(names)) if policies[place] != policies[place - 1]]


def _epochs(explained: Explained) -> str:
    low, high = min(explained.epochs), max(explained.epochs)
    return f"epoch {low}" if low == high else f"epochs {low}-{high}"


def _panel(axes: Axes, rows: list[list[dict]], name: str):
    norm = BoundaryNorm(LEVELS, len(LEVELS), extend="max")
    width = max(map(len, rows))
    values = [[abs(layer[name]) for layer in row] + [0.0] * (width - len(row)) for row in rows]
    image = axes.imshow(values, COLOURS, norm, aspect="auto", interpolation="none")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    start, names, places = 0, [], []
    longest = next(row for row in rows if len(row) == width)
    for stage, layers in groupby(longest, key=lambda layer: layer["stage"]):
        size = len(list(layers))
        if start:
            axes.axvline(start - 0.5, color=PAPER, linewidth=1)
        names.append(stage if size > 2 else "")  # a name needs the room of three layers
        places.append(start + (size - 1) / 2)
        start += size
    axes.set_xticks(places, names, fontsize=7, color=MUTED)
    axes.xaxis.tick_top()
    return image
