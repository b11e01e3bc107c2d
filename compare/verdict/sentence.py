"""The prose of a judgement: finding, cause and figures in plain sentences, and which of their words say what."""

from __future__ import annotations

import math
from collections.abc import Callable

from compare.diagnosis.records import STORED
from compare.gap.records import Metric
from compare.spec import Behaviour
from compare.verdict.cures import REESTIMATE, Cure
from compare.verdict.figures import Beside, Explained, Figures, label
from compare.verdict.finding import Finding, Source, excess
from compare.verdict.seeds import estimate
from compare.words import Span, difference, points, signed

# what it means that the largest term comes from what is stored, by where a BN gap could come from
CAUSES: dict[Source, str] = {
    "lagging": "moving statistics that lag behind{lag}",
    "foreign": "{whose} moving statistics",
    "re-estimated": "moving statistics, though re-estimated: on too few of the images",
}
ANYWHERE = {
    "batch-noise": "batch noise: a batch's own statistics aren't the population's",
    "dropout": "dropout, which is harmless",
    "weights-moved": "weights that moved within the epoch, which is harmless",
}
# what there is to say where nothing parts
CALM: dict[Source, tuple[str, str]] = {
    "no BN": ("no BN, no BN gap", ""),
    "same": ("no gap", ": fit and evaluate normalise alike"),
    "re-estimated": ("no gap", ": the statistics are re-estimated before evaluate"),
    "lagging": ("no gap", ": moving statistics count for {moving}"),
    "foreign": ("no gap measured", ": {whose} moving statistics count for {moving}"),
}
# where no terms are measured: a cause that follows from what the layers do
INFERRED: dict[Source, str] = {
    "no BN": "not BN's: the model has none",
    "same": "not BN's: fit and evaluate both use the {statistics} statistics",
    "re-estimated": "the cause is unknown, for the statistics are re-estimated before evaluate",
    "lagging": "the moving statistics lag behind{decay}",
    "foreign": "it evaluates with {whose} statistics what it trained with the batch's",
}
# the same where nothing parts
INFERRED_CALM: dict[Source, tuple[str, str]] = {
    "no BN": ("no BN, no BN gap", ": {level}"),
    "same": ("no gap", ": {level}"),
    "re-estimated": ("no gap", ": the statistics are re-estimated before evaluate"),
    "lagging": ("no gap", ": the moving statistics keep up"),
    "foreign": ("no gap measured", ", though {why}"),
}

# of the term: a stage that makes less isn't worth a sentence
PART = 0.2

Sentence = tuple[Span, ...]


def named(value: float, metric: Metric) -> str:
    """A difference with its sign, its unit and its metric."""
    return f"{difference(value, metric)} in {metric}"


def meaning(source: Source, cause: str, explained: Explained, whose: str) -> str:
    """The largest term in words."""
    text = CAUSES.get(source) if cause in STORED else ANYWHERE.get(cause)
    text = text or label(cause)
    return text.format(lag=_lag(explained), whose=whose)


def inferred(source: Source, behaviour: Behaviour | None, whose: str) -> str:
    """A cause that follows from what the layers do, in words."""
    decay = behaviour.decay if behaviour else None
    return INFERRED[source].format(
        whose=whose,
        decay="" if decay is None else f" (decay {decay:g})",
        statistics=behaviour.fit_statistics if behaviour else "",
    )


def with_terms(
    metric: Metric, cause: str, why: str, explained: Explained, figures: Figures, closed: str
) -> Sentence:
    """A gap, the share that its largest term has in it, and the other metric."""
    value, total = explained.term(cause, metric), explained.gap(metric)
    share = f"{100 * value / total:.0f} % of it"
    if abs(value) > abs(total):  # other terms take something off
        share = f"more than all of it ({difference(value, metric)})"
    gap = _gap(total, metric, list(explained.gaps(metric).values()), _other(metric, explained.gap, figures))
    return Span("gap", "worse"), Span(f"{gap}, {share} from {why}{closed}")


def hidden(
    metric: Metric, cause: str, why: str, explained: Explained, figures: Figures, closed: str
) -> Sentence:
    """A gap that BN makes, and the term that makes up for it."""
    cover = min(explained.terms, key=explained.term)
    under = f"hidden by {label(cover)} ({signed(explained.term(cover))})"
    rest = f" {named(explained.term(cause, metric), metric)}: {why}; {under}{closed}"
    return Span("hidden gap", "worse"), Span(rest)


def calm(source: Source, explained: Explained, whose: str) -> Sentence:
    """There is no gap, and what BN counts for."""
    head, rest = CALM[source]
    moving = signed(explained.stored())
    return Span(head, "well"), Span(rest.format(moving=moving, whose=whose))


def closed(metric: Metric, last: Explained) -> str:
    """A gap was there and isn't any more; with the last epoch's figure where there is one to tell."""
    text = difference(last.gap(metric), metric)
    return "; closed by the last epoch" + (f" ({text})" if text[0] in "+-" else "")


def unexplained(metric: Metric, gap: float, closed: str) -> Sentence:
    """A gap over the epochs that no explained epoch has."""
    return Span("gap", "worse"), Span(f" {named(gap, metric)} over the epochs{closed}")


def without_terms(
    found: Finding, metric: Metric, figures: Figures, source: Source, why: str, beside: Beside | None
) -> Sentence:
    """What the figures alone say, and what follows from what the layers do."""
    if found == "none":
        head, rest = INFERRED_CALM[source]
        return Span(head, "well"), Span(rest.format(level=_level(figures), why=why))
    if found == "hidden":
        less = f"evaluate gains {excess(source, figures, beside):.2f} less on fit than under a frozen BN"
        return Span("hidden gap", "worse"), Span(f": {less}; {why}")
    seeds = list(figures.mean_gaps[metric].values())
    gap = _gap(figures.mean_gap(metric), metric, seeds, _other(metric, figures.mean_gap, figures))
    gone = metric not in figures.parts_at_last
    ends = "; closed by the last epoch" if gone else ""
    joint = ", but " if source in ("no BN", "same") else ": "
    return Span("gap", "worse"), Span(f"{gap}{joint}{why}{ends}")


def more(
    cause: str, explained: Explained, figures: Figures, beside: Beside | None, cures: tuple[Cure, ...]
) -> tuple[str, ...]:
    """Further sentences."""
    lines = _whereabouts(explained) if cause in STORED else []
    if REESTIMATE in cures:
        lines.append(
            f"With statistics re-estimated on these samples, evaluate's loss is {explained.population():.2f}"
            f" instead of {explained.evaluate():.2f}."
        )
    if explained.penalty:
        lines.append(
            f"{explained.penalty:.2g} of both losses is a penalty on the weights, no part of the gap."
        )
    if beside and beside.figures.validation is not None and figures.validation is not None:
        here, there = points(figures.validation), points(beside.figures.validation)
        lines.append(
            f"As {beside.name}, which normalises alike in fit and evaluate,"
            f" it validates at {there:.1f} % (here {here:.1f} %)."
        )
    return tuple(lines)


def _gap(value: float, metric: Metric, seeds: list[float], other: str) -> str:
    """A gap with its metric; of several seeds with how far their mean may be off, and whether it may be chance."""
    found, half, notes = estimate(seeds), "", [other]
    if found.half is not None:
        digits = signed(found.half) if metric == "loss" else signed(points(found.half), 0)
        half = f" ± {digits.lstrip('+')}"
        notes = [*(["it may be chance"] if found.half >= abs(found.mean) else []), other]
    told = "; ".join(filter(None, notes))
    return f" {difference(value, metric)}{half} in {metric}" + (f" ({told})" if told else "")


def _other(metric: Metric, gap: Callable[[Metric], float], figures: Figures) -> str:
    """What the other metric says, where it says something."""
    if "accuracy" not in figures.metrics:
        return ""
    of: Metric = "accuracy" if metric == "loss" else "loss"
    change = gap(of)
    heard = figures.tone(change, of)
    if metric == "loss":
        by = difference(abs(change), "accuracy").lstrip("+")
        return f"accuracy {by} {'lower' if change < 0 else 'higher'}" if heard else ""
    return f"though the loss is {abs(change):.2f} lower" if heard == "well" else "the loss is level"


def _level(figures: Figures) -> str:
    below = figures.tone(figures.mean_gap(), "loss") == "well"
    return (
        "evaluate's loss is below fit's (no dropout in it)"
        if below
        else "evaluate's loss is level with fit's"
    )


def _lag(explained: Explained) -> str:
    if late := explained.late:
        return f" ({late.steps} steps at decay {late.decay:g}, {late.steps_needed} needed)"
    worst = explained.worst
    return f" (decay {worst.decay:g})" if worst and worst.decay is not None else ""


def _whereabouts(explained: Explained) -> list[str]:
    """Name the layer that is furthest off, and the stage that makes most of the term."""
    lines = []
    if worst := explained.worst:
        factor = math.exp(min(worst.log_variance_ratio, 99))
        lines.append(
            f"The worst layer is {worst.layer}: half of its channels have a moving mean more than"
            f" {worst.mean_drift:.2g} standard deviations off, and a moving variance off by a factor of more than"
            f" {factor:.2g}."
        )
    stages, term = explained.stages(), explained.stored()
    name = max(stages, key=lambda name: stages[name], default="")
    if name and stages[name] > PART * term > 0:
        lines.append(
            f"Of the stages {name} matters most: population statistics there alone take away {stages[name]:.2f}."
        )
    return lines
