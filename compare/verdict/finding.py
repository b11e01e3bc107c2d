"""Whether fit and evaluate part, by the figures alone, and where a BN gap could come from."""

from __future__ import annotations

from typing import Literal

from compare.gap.records import METRICS, Metric
from compare.spec import Behaviour
from compare.verdict.figures import Beside, Explained, Figures

Finding = Literal["gap", "hidden", "none"]
Source = Literal["no BN", "same", "re-estimated", "lagging", "foreign"]

# A gap can hide behind dropout's own effect. The terms show it. Without them evaluation is that much less below fit
# than where a model normalises alike in both: a difference of two trainings, less sure, hence wider.
HIDDEN = 0.05


def source_of(behaviour: Behaviour | None) -> Source:
    """Where a BN gap could come from, by what the BN layers do; None is a model without them."""
    if behaviour is None:
        return "no BN"
    if behaviour.fit_statistics == behaviour.evaluate_statistics:
        return "same"
    if behaviour.reestimated:
        return "re-estimated"
    return "lagging" if behaviour.updates else "foreign"


def finding(
    source: Source, figures: Figures, explained: Explained, beside: Beside | None
) -> tuple[Finding, Metric]:
    """Whether there is a gap, averaged over the epochs, and in which metric.

    One that BN makes and something else hides is ``hidden``; one that shows by the last epoch is a ``gap``.
    """
    found = figures.parting({metric: figures.mean_gap(metric) for metric in figures.metrics})
    if found:
        return "gap", found[0]
    if not explained:
        apart = excess(source, figures, beside) > max(HIDDEN, figures.least)
        return ("hidden" if apart else "none"), "loss"
    if not bn_part(explained) > figures.least:
        return "none", "loss"
    now = figures.parting({metric: explained.gap(metric) for metric in METRICS})
    return ("gap", now[0]) if now else ("hidden", "loss")


def bn_part(explained: Explained) -> float:
    """How much BN raises evaluate's loss over fit's, at least: what is uncertain of it taken off."""
    return sum(explained.term(name) - explained.uncertainty(name) for name in explained.of_bn)


def excess(source: Source, figures: Figures, beside: Beside | None) -> float:
    """How much further up the loss's gap is than beside; 0 where fit and evaluate normalise alike anyhow."""
    if beside is None or source not in ("lagging", "foreign"):
        return 0.0
    return figures.mean_gap() - beside.figures.mean_gap()
