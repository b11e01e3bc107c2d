"""The judgement of a gap, made once from what the BN layers do and from the figures; whoever shows it only shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from compare.gap.records import METRICS, Metric
from compare.spec import Behaviour
from compare.verdict import sentence
from compare.verdict.cures import Cure, cures
from compare.verdict.figures import Beside, Explained, Figures, worse
from compare.verdict.finding import Finding, Source, finding, source_of
from compare.words import Span

NOTHING = Explained()


@dataclass(frozen=True)
class Judgement:
    """What a gap comes to.

    Attributes:
        figures: what it was made from.
        finding: whether there is a gap; ``hidden`` where BN makes one and something else makes up for it.
        metric: the metric that the finding is made in, and the gap is of.
        gap: evaluate minus fit in that metric: averaged over the epochs, or in the last one where it shows only there.
        late: whether it shows in the last epoch alone.
        source: where a BN gap could come from, by what the layers do.
        cause: the term that it comes from; empty where there is none, or where no terms are measured.
        why: the cause in a few words; empty where there is no gap or no cause is known.
        sentence: finding, cause and figures.
        more: further sentences: the worst layer, what a cure was measured to bring, what it costs.
        cures: what to do, the first first; empty where nothing is wrong or nothing helps.
        measured: whether the terms of the gap are; if not, its cause is inferred from what the layers do.
    """

    figures: Figures
    finding: Finding
    metric: Metric
    gap: float
    source: Source
    late: bool = False
    cause: str = ""
    why: str = ""
    sentence: tuple[Span, ...] = ()
    more: tuple[str, ...] = ()
    cures: tuple[Cure, ...] = ()
    measured: bool = False


def judge(
    behaviour: Behaviour | None,
    figures: Figures,
    last: Explained = NOTHING,
    best: Explained = NOTHING,
    beside: Beside | None = None,
    whose: str = "the pretrained data's",
) -> Judgement:
    """Judge the gap of a model.

    Args:
        behaviour: what its BN layers do; None where it has none.
        figures: what it reported.
        last: why the gap is there in the last epoch; nothing where that isn't known.
        best: the same in the best epoch, for a gap that the last one hasn't any more.
        beside: a training to compare with, for what the figures alone can't tell.
        whose: the data that the moving statistics came from, as a possessive.
    """
    source = source_of(behaviour)
    found, metric = finding(source, figures, last, beside)
    late = found == "gap" and not figures.parting({metric: figures.mean_gap(metric)})
    gap = figures.gap(metric) if late else figures.mean_gap(metric)
    judgement = Judgement(figures, found, metric, gap, source, late, measured=bool(last))
    if last:
        return _by_terms(judgement, behaviour, last, best, beside, whose)
    why = sentence.inferred(source, behaviour, whose)
    text = sentence.without_terms(found, metric, figures, source, why, beside)
    return replace(judgement, why="" if found == "none" else why, sentence=text)


def _by_terms(
    judgement: Judgement,
    behaviour: Behaviour | None,
    last: Explained,
    best: Explained,
    beside: Beside | None,
    whose: str,
) -> Judgement:
    """Add the cause that the terms show, and what follows from it."""
    figures, found, source = judgement.figures, judgement.finding, judgement.source
    if found == "none":
        return replace(judgement, sentence=sentence.calm(source, last, whose))
    explained, closed = last, ""
    if found == "gap" and not figures.parting(_gaps(last)):
        explained, closed = best, sentence.closed(judgement.metric, last)
        if not best or not figures.parting(_gaps(best)):
            return replace(judgement, sentence=sentence.unexplained(judgement.metric, judgement.gap, closed))
    metric = "loss" if found == "hidden" else figures.parting(_gaps(explained))[0]
    cause = _cause(explained, found, metric)
    why = sentence.meaning(source, cause, explained, whose)
    told = sentence.hidden if found == "hidden" else sentence.with_terms
    help_there_is = cures(behaviour, cause, explained)
    return replace(
        judgement,
        cause=cause,
        why=why,
        sentence=told(metric, cause, why, explained, figures, closed),
        more=sentence.more(cause, explained, figures, beside if help_there_is else None, help_there_is),
        cures=help_there_is,
    )


def _gaps(explained: Explained) -> Mapping[Metric, float]:
    return {metric: explained.gap(metric) for metric in METRICS}


def _cause(explained: Explained, found: Finding, metric: Metric) -> str:
    """The term that makes evaluate worse by most; of a hidden gap, BN's."""
    names = explained.of_bn if found == "hidden" else explained.terms
    return max(names, key=lambda name: worse(explained.term(name, metric), metric))
