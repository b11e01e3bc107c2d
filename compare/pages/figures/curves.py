"""The figure of fit, evaluate and validation over the epochs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from compare.pages.figures.drawing import ABOVE, BELOW, HATCH, INK, MUTED, PAPER, STYLE, WIDTH
from compare.words import signed

LINES: dict[str, dict] = {
    "fit": {"color": INK, "linestyle": (0, (4, 1.6)), "linewidth": 1.3, "marker": "o", "markersize": 2.6},
    "evaluate": {"color": INK, "linestyle": "-", "linewidth": 1.6, "marker": "s", "markersize": 2.6},
    "val": {"color": MUTED, "linestyle": (0, (1, 1.6)), "linewidth": 0.9, "marker": ".", "markersize": 2},
}
LABELS = {"fit": "fit", "evaluate": "evaluate", "val": "validation"}

# inches
ROW, TOP, BOTTOM = 1.42, 0.84, 0.44
# a row's loss axis shows at least this much, so that flat curves look flat
SPAN = 0.3


@dataclass(frozen=True)
class Course:
    """The losses of one training.

    Attributes:
        epochs: their numbers.
        losses: ``fit``, ``evaluate`` or ``val`` -> the loss of each epoch.
    """

    epochs: Sequence[int]
    losses: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Panel:
    """What one panel of the figure shows.

    Attributes:
        finished: the trainings that came to their end; the thick lines are their mean.
        broken: those that didn't.
        mean_gap: evaluate minus fit in loss, averaged over the epochs; None where nothing finished.
        worse: whether that is more than chance makes it.
        failure: why some didn't finish; empty where all did.
    """

    finished: Sequence[Course] = field(default_factory=list)
    broken: Sequence[Course] = field(default_factory=list)
    mean_gap: float | None = None
    worse: bool = False
    failure: str = ""


def curves(rows: Mapping[str, Mapping[str, Panel]], columns: Sequence[str]) -> Figure:
    """Draw loss over epochs, a row for each of ``rows`` and a column for each of ``columns``, the gap shaded."""
    height = TOP + ROW * len(rows) + BOTTOM
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), facecolor=PAPER)
        grid = figure.subplots(
            len(rows), len(columns), squeeze=False, sharex=True, sharey="row",
            gridspec_kw={
                "left": 0.085, "right": 0.985, "top": 1 - TOP / height, "bottom": BOTTOM / height,
                "hspace": 0.42, "wspace": 0.09,
            },
        )  # fmt: skip
        for axes, (name, row) in zip(grid, rows.items(), strict=True):
            for panel, column in zip(axes, columns, strict=True):
                _draw(panel, row.get(column))
            axes[0].set_title(name, loc="left", fontsize=9, fontweight="bold", pad=5)
            _scale(axes[0], row)
        for panel, column in zip(grid[0], columns, strict=True):
            panel.annotate(column, (0, 1), (0, 20), "axes fraction", "offset points", fontsize=11)
        for panel in grid[-1]:
            panel.set_xlabel("epoch")
            panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        figure.supylabel("loss (cross-entropy, nats)", x=0.003, fontsize=9)
        _legend(figure)
    return figure


def _draw(axes: Axes, panel: Panel | None) -> None:
    """Draw the mean over the seeds thick, each of several seeds thin, and say what there is none of."""
    axes.tick_params(length=0)
    if panel is None:
        _say(axes, "not run")
        return
    runs = panel.finished
    for course in [*(runs if len(runs) > 1 else []), *panel.broken]:
        for part, style in LINES.items():
            thin = style | {"marker": None, "linewidth": 0.6, "alpha": 0.45}
            axes.plot(course.epochs, _losses([course], part), **thin)
    if panel.mean_gap is None:
        _say(axes, panel.failure)
        return
    _shade(axes, runs)
    for part, style in LINES.items():
        axes.plot(_epochs(runs), _losses(runs, part), **style)
    title = axes.set_title(f"mean gap {signed(panel.mean_gap)}", loc="right", fontsize=8, pad=5)
    if panel.worse:
        title.set(color=ABOVE, fontweight="bold")
    if panel.failure:
        axes.text(
            0.99, 0.96, _wrap(panel.failure), transform=axes.transAxes, ha="right", va="top", fontsize=7
        )


def _shade(axes: Axes, runs: Sequence[Course]) -> None:
    epochs = _epochs(runs)
    fit, evaluate = _losses(runs, "fit"), _losses(runs, "evaluate")
    for colour, hatch, sign in ((ABOVE, HATCH, 1), (BELOW, None, -1)):
        where = [sign * (up - low) >= 0 for up, low in zip(evaluate, fit, strict=True)]
        area: dict[str, Any] = {"where": where, "interpolate": True, "linewidth": 0}
        axes.fill_between(epochs, fit, evaluate, facecolor=colour, alpha=0.3, **area)
        if hatch:  # on its own, so that the filling's transparency isn't the hatching's
            axes.fill_between(epochs, fit, evaluate, facecolor="none", edgecolor=colour, hatch=hatch, **area)
        if len(epochs) == 1 and all(where):
            axes.vlines(epochs, fit, evaluate, color=colour, alpha=0.5, linewidth=6)


def _epochs(runs: Sequence[Course]) -> Sequence[int]:
    """The epochs as far as all of the runs go."""
    return min((course.epochs for course in runs), key=len)


def _losses(runs: Sequence[Course], part: str) -> list[float]:
    """Average over the seeds, as far as all of them go; NaN, which isn't drawn, for what isn't finite."""
    means = map(fmean, zip(*(course.losses[part] for course in runs)))  # noqa: B905
    return [mean if math.isfinite(mean) else math.nan for mean in means]


def _scale(axes: Axes, row: Mapping[str, Panel]) -> None:
    courses = [course for panel in row.values() for course in (*panel.finished, *panel.broken)]
    losses = [loss for course in courses for part in LINES for loss in course.losses[part]]
    finite = [loss for loss in losses if math.isfinite(loss)] or [0.0, 1.0]
    middle, half = (max(finite) + min(finite)) / 2, 0.56 * max(SPAN, max(finite) - min(finite))
    axes.set_ylim(max(middle - half, 0), max(middle - half, 0) + 2 * half)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    epochs = [epoch for course in courses for epoch in course.epochs] or [1]
    axes.set_xlim(min(axes.get_xlim()[0], 0.7), max(axes.get_xlim()[1], max(epochs) + 0.3))


def _say(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, _wrap(words), transform=axes.transAxes, ha="center", va="center", color=MUTED)


def _wrap(words: str) -> str:
    return "\n".join(textwrap.wrap(words, 36))


def _legend(figure: Figure) -> None:
    hatched = Patch(facecolor="none", edgecolor=ABOVE, hatch=HATCH, linewidth=0)
    handles: list[Any] = [Line2D([], [], **style) for style in LINES.values()]
    handles += [(Patch(facecolor=ABOVE, alpha=0.3), hatched), Patch(facecolor=BELOW, alpha=0.3)]
    labels = [*LABELS.values(), "evaluate above fit", "evaluate below fit"]
    place: dict[str, Any] = {
        "loc": "upper left",
        "bbox_to_anchor": (0.07, 1),
        "ncols": 5,
        "columnspacing": 1.2,
    }
    figure.legend(handles, labels, frameon=False, fontsize=8, handlelength=2.2, **place)
