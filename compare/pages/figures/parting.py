"""The figure of parting: how far two trainings that run free are apart, beside a twin that began a rounding away."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from compare.pages.figures.drawing import ABOVE, BELOW, PAPER, STYLE, WIDTH

HEIGHT = 2.3  # inches
LEAST = 1e-17  # what is drawn for no distance at all, which has no place on a logarithmic axis


def parting(steps: Sequence[int], apart: Sequence[float], twin: Sequence[float]) -> Figure:
    """Draw both relative distances over the steps, logarithmically.

    Args:
        steps: their numbers.
        apart: of the two frameworks; what isn't a number isn't drawn.
        twin: of a training and its twin.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), facecolor=PAPER)
        axes = figure.add_axes((0.1, 0.2, 0.885, 0.62))
        for values, colour, style, label in (
            (apart, ABOVE, "o-", "the two frameworks"),
            (twin, BELOW, "s--", "a twin, one rounding away"),
        ):
            shown = [max(value, LEAST) for value in values]
            axes.plot(steps, shown, style, color=colour, markersize=4, linewidth=1.2, label=label)
        axes.set_yscale("log")
        axes.tick_params(length=0)
        axes.minorticks_off()
        axes.set_xlabel("step")
        axes.set_ylabel("relative distance")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        figure.legend(frameon=False, fontsize=8, ncols=2, loc="upper left", bbox_to_anchor=(0.07, 1))
    return figure
