"""The figure of the terms: bars that start at nothing and end at the gap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from compare.pages.figures.drawing import ABOVE, INK, MUTED, PAPER, STYLE, WIDTH
from compare.words import signed

LOOKS: dict[str, dict[str, Any]] = {
    "weights-moved": {"facecolor": "#56b4e9", "hatch": "-----"},
    "dropout": {"facecolor": "#009e73", "hatch": None},
    "batch-noise": {"facecolor": "#e69f00", "hatch": "\\\\\\\\\\\\"},
    "stale-statistics": {"facecolor": ABOVE, "hatch": "//////"},
    "foreign-statistics": {"facecolor": ABOVE, "hatch": None},
    "not-frozen": {"facecolor": ABOVE, "hatch": "......"},
}
LOOKS |= dict.fromkeys(("decay", "shared-layer"), LOOKS["stale-statistics"])
LOOKS |= {"augmentation": LOOKS["dropout"], "unmixed-batches": LOOKS["batch-noise"]}
# a term that only some explanations have
OTHER = {"facecolor": "#cc79a7", "hatch": "xxxx"}
# of a row's height: what lowers evaluate's loss above, what raises it below
LANE = 0.3
# A row may be this many times as long as all others; a longer one would leave nothing of them, and is cut.
LONGEST = 3.0
# inches
ROW, TOP, BOTTOM = 0.46, 0.66, 0.5


@dataclass(frozen=True)
class Bar:
    """A gap, and the terms that it is the sum of.

    Attributes:
        terms: a term's name -> its value, in loss; empty where they aren't known.
        gap: evaluate minus fit, in loss.
        half: half the width of its 95 % interval; None for one training.
        worse: whether it is more than chance makes it.
    """

    terms: Mapping[str, float]
    gap: float
    half: float | None
    worse: bool


def bars(
    rows: Mapping[str, Mapping[str, Bar | str]],
    columns: Sequence[str],
    labels: Mapping[str, str] | None,
    unit: str = "cross-entropy, nats",
) -> Figure:
    """Draw a row of bars for each of ``rows`` and a column for each of ``columns``.

    Args:
        rows: a row's name -> a column -> its bar, or what to say in its place.
        columns: what stands above them.
        labels: a term's name -> what the legend calls it; None where no legend is needed.
        unit: of the loss; empty where nobody knows it.
    """
    most = _most(list(rows.values()))
    top = TOP if labels is not None else TOP / 3
    height = top + ROW * len(rows) + BOTTOM
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), facecolor=PAPER)
        grid = figure.subplots(
            1, len(columns), squeeze=False, sharex=True, sharey=True,
            gridspec_kw={
                "left": 0.24, "right": 0.985, "top": 1 - top / height, "bottom": BOTTOM / height, "wspace": 0.07,
            },
        )[0]  # fmt: skip
        for panel, column in zip(grid, columns, strict=True):
            panel.annotate(column, (0, 1), (0, 6), "axes fraction", "offset points", fontsize=11)
            panel.axvline(0, color=MUTED, linewidth=0.8)
            panel.grid(axis="y", visible=False)
            panel.tick_params(length=0)
            for place, row in enumerate(rows.values()):
                _row(panel, place, row.get(column, "not run"), most)
            panel.margins(x=0.03)
        low, high = grid[0].get_xlim()
        high = min(high, most)
        grid[0].set_xlim(low, high + 0.25 * (high - low))  # room for the figures
        grid[0].set_yticks(range(len(rows)), list(rows), color=INK, fontsize=9)
        grid[0].set_ylim(len(rows) - 0.45, -0.55)
        cut = "; an arrow: the bar goes on to its figure" if most < math.inf else ""
        figure.supxlabel(f"evaluate minus fit, loss{f' ({unit})' if unit else ''}{cut}", y=0.01, fontsize=9)
        if labels is not None:
            shown = [bar for row in rows.values() for bar in row.values() if isinstance(bar, Bar)]
            _legend(figure, shown, labels)
    return figure


def _most(rows: Sequence[Mapping[str, Bar | str]]) -> float:
    """Tell where bars are cut, so that those of the other rows can be read; infinity where none is that long."""
    ends = sorted(
        max([_end(bar) for bar in row.values() if isinstance(bar, Bar)], default=0.0) for row in rows
    )
    if len(ends) < 2 or ends[-2] <= 0 or ends[-1] <= LONGEST * ends[-2]:
        return math.inf
    return LONGEST * ends[-2]


def _end(bar: Bar) -> float:
    """How far to the right a bar is drawn."""
    low = sum(value for value in bar.terms.values() if value < 0)
    ends = (bar.gap + (bar.half or 0.0), low + sum(value for value in bar.terms.values() if value > 0))
    return max([end for end in ends if math.isfinite(end)], default=0.0)


def _row(axes: Axes, place: int, bar: Bar | str, most: float) -> None:
    if isinstance(bar, str):
        axes.text(0, place, f" {bar}", va="center", color=MUTED, fontsize=8)
        return
    gap, half = bar.gap, bar.half
    low = _lane(axes, place - LANE, 0.0, {name: value for name, value in bar.terms.items() if value < 0})
    _lane(axes, place, low, {name: value for name, value in bar.terms.items() if value > 0})
    if not math.isfinite(gap):
        axes.text(0, place, f" {gap}", va="center", color=ABOVE, fontsize=8)
        return
    if half is not None:
        axes.plot(
            [gap - half, gap + half], [place, place], color=INK, linewidth=0.9, marker="|", markersize=5
        )
    axes.plot(
        [gap, gap],
        [place - LANE - 0.06, place + LANE + 0.06],
        color=INK,
        linewidth=1.8,
        solid_capstyle="butt",
    )
    text: dict[str, Any] = {
        "color": ABOVE if bar.worse else INK,
        "fontweight": "bold" if bar.worse else "normal",
        "fontsize": 8,
    }
    if gap > most:
        paper = {"facecolor": PAPER, "edgecolor": "none", "pad": 2}
        axes.annotate(
            f"\u2192 {signed(gap)}", (1, place - LANE / 2), (-2, 0), ("axes fraction", "data"), "offset points",
            va="center", ha="right", bbox=paper, zorder=5, **text,
        )  # fmt: skip
        return
    end = max(gap + (half or 0.0), low, 0.0)
    axes.annotate(signed(gap), (end, place), (5, 0), "data", "offset points", va="center", **text)


def _lane(axes: Axes, top: float, start: float, terms: dict[str, float]) -> float:
    """Draw terms of one sign, each from where the one before it ended, and return where the last ends."""
    for name, value in terms.items():
        look = LOOKS.get(name, OTHER)
        axes.barh(top, value, LANE, left=start, align="edge", edgecolor=PAPER, linewidth=0.5, **look)
        start += value
    return start


def _legend(figure: Figure, shown: Sequence[Bar], labels: Mapping[str, str]) -> None:
    terms = list(dict.fromkeys(name for bar in shown for name in bar.terms))
    handles: list[Any] = [Patch(edgecolor=PAPER, linewidth=0.5, **LOOKS.get(name, OTHER)) for name in terms]
    handles.append(Line2D([], [], color=INK, linewidth=1.8))
    gap = "the gap, 95 % interval" if any(bar.half is not None for bar in shown) else "the gap"
    figure.legend(
        handles, [*(labels[name] for name in terms), gap], loc="upper left", bbox_to_anchor=(0.0, 1),
        ncols=6, columnspacing=1.2, handlelength=1.8, frameon=False, fontsize=8,
    )  # fmt: skip
