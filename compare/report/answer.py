"""What a table comes to: the sentence that a person came with, and then which policies part and which don't."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from compare.frameworks import FRAMEWORKS
from compare.gap.records import Metric, Part
from compare.report.rows import Entry, Table
from compare.spec import DECAY, NAMES, POLICIES
from compare.verdict.cures import HARMLESS, Cure
from compare.verdict.figures import label, worse
from compare.verdict.judge import Judgement
from compare.verdict.seeds import Difference
from compare.words import Span, difference, join, points

CALM = "No policy evaluates worse than it fits on the same images."
NOTHING = "No cell finished, so there is nothing to compare."
FAR = 3  # times the smaller of two gaps, from which on the larger one is another story

# of one policy: framework -> judgement
Judgements = dict[str, Judgement]


@dataclass(frozen=True)
class Headline:
    """One framework's figures under the policy whose gap is the largest.

    Attributes:
        says: what fit and evaluate say.
        why: from what, and what mends it; empty where there is no gap.
    """

    says: tuple[Span, ...]
    why: str = ""


def headlines(table: Table) -> list[Headline]:
    """Say what a person came with: a short sentence a framework."""
    gaps = _foremost_first(table)
    if not gaps or gaps[0][2].finding != "gap":
        return [Headline((Span(CALM, "well") if gaps else Span(NOTHING),))]
    policy, first, worst = gaps[0]
    row = table.rows[policy]
    order = (first, *(name for name in table.frameworks if name != first and name in row))
    last = worst.metric in worst.figures.parts_at_last
    return [
        _headline(policy, table.labels[name], row[name], worst.metric, last)
        for name in order
        if row[name].finished
    ]


def cures(table: Table) -> list[tuple[Cure, dict[str, list[str]]]]:
    """What to do, the headline's cure first: each, and the policies whose figures support it -> in which frameworks."""
    found: dict[str, tuple[Cure, dict[str, list[str]]]] = {}
    for policy, framework, judgement in _foremost_first(table):
        for cure in judgement.cures:
            own = found.setdefault(cure.what, (cure, {}))[1].setdefault(policy, [])
            own.append(framework)
            own.sort(key=table.frameworks.index)
    return list(found.values())


def _foremost_first(table: Table) -> list[tuple[str, str, Judgement]]:
    """Policy, framework and judgement, those with the gaps that matter most first."""
    found = [
        (policy, framework, entry.judgement) for policy, framework, entry in table.entries if entry.judgement
    ]
    return sorted(found, key=lambda judged: _size(judged[2]), reverse=True)


def _size(judgement: Judgement) -> tuple[bool, bool, bool, float]:
    """How much a gap matters: one at all, no mere effect of dropout, in loss, large in the last epoch."""
    by = worse(judgement.figures.gap(judgement.metric), judgement.metric)
    harmless = judgement.cause in HARMLESS
    size = math.inf if math.isnan(by) else by
    return judgement.finding == "gap", not harmless, judgement.metric == "loss", size


def _headline(policy: str, called: str, entry: Entry, metric: Metric, last: bool) -> Headline:
    fit, evaluate = _level(entry, "fit", metric, last), _level(entry, "evaluate", metric, last)
    judgement = entry.judgement
    has_gap = judgement is not None and judgement.finding == "gap"
    says = (
        Span(f"{called}, {policy}: "),
        Span(f"fit says {fit}, evaluate says {evaluate}", "worse" if has_gap else ""),
        Span(f" on the same images ({metric}{'' if last else ', averaged over the epochs'})."),
    )
    if judgement is None or not has_gap or not judgement.why:
        return Headline(says)
    cure = f"; cure: {judgement.cures[0].what}" if judgement.cures else ""
    return Headline(says, f"Why: {judgement.why}{cure}.")


def _level(entry: Entry, part: Part, metric: Metric, last: bool) -> str:
    value = entry.ending(part, metric) if last else entry.average(part, metric)
    return f"{value:.2f}" if metric == "loss" else f"{points(value):.0f} %"


def answer(table: Table) -> list[str]:
    """Answer in three sentences: which policies part, which don't, and where the frameworks differ."""
    found: dict[str, Judgements] = {}
    for policy, framework, entry in table.entries:
        if entry.judgement:
            found.setdefault(policy, {})[framework] = entry.judgement
    if not found:
        return [NOTHING]
    return [_parting(found, table.labels), _closing(table, found), _differing(table, found), *_failing(table)]


def _having(row: Judgements, finding: str) -> Judgements:
    return {framework: own for framework, own in row.items() if own.finding == finding}


def _parting(found: dict[str, Judgements], labels: Mapping[str, str]) -> str:
    parts = {name: own for name, row in found.items() if (own := _having(row, "gap"))}
    if parts:
        what = "evaluates worse than it fits" if len(parts) == 1 else "evaluate worse than they fit"
        listed = join(f"{name} ({_gaps(own, labels)})" for name, own in parts.items())
        text = f"{listed} {what} on the same samples (evaluate minus fit, averaged over the epochs)."
    else:
        text = "No policy evaluates worse than it fits on the same samples."
    hidden = {name: own for name, row in found.items() if (own := _having(row, "hidden"))}
    hiding = [
        name if len(own) == len(found[name]) else f"{name} in {join(labels[key] for key in own)}"
        for name, own in hidden.items()
    ]
    if hiding:
        text = f"{text[:-1]}; other effects hide a gap under {join(hiding)}."
    causes = _causes(found)
    if len(causes) == 1:
        text = f"{text[:-1]}; the largest term is {next(iter(causes))}."
    elif causes:
        largest = join(f"{name} in {join(own)}" for name, own in causes.items())
        text = f"{text[:-1]}; the largest term is {largest}."
    return text


def _gaps(row: Judgements, labels: Mapping[str, str]) -> str:
    """The gaps that there are, each in the metric that it is one in."""
    return ", ".join(
        f"{labels[name]} {_in(own.gap, own.metric)}{' in the last epoch' if own.late else ''}"
        for name, own in row.items()
    )


def _in(value: float, metric: Metric) -> str:
    return f"{'loss' if metric == 'loss' else 'accuracy'} {difference(value, metric)}"


def _causes(found: dict[str, Judgements]) -> dict[str, list[str]]:
    """The causes that the terms show -> the policies whose gap they make."""
    causes: dict[str, dict[str, None]] = {}
    for name, row in found.items():
        for own in row.values():
            if own.cause:
                causes.setdefault(label(own.cause), {})[name] = None
    return {cause: list(own) for cause, own in causes.items()}


def _closing(table: Table, found: dict[str, Judgements]) -> str:
    """Say which policies close the gap, and what the best of them costs in validation accuracy."""
    if not table.has_bn:
        return f"{NAMES[table.backbone]} has no BN, so no policy can make a BN gap here."
    closed = [
        name
        for name, row in found.items()
        if row.keys() == table.rows[name].keys() and len(_having(row, "none")) == len(row)
    ]
    if not closed:
        return "None of the policies run closes the gap in every framework."
    accuracy = {
        (policy, framework): points(entry.ending("val", "accuracy"))
        for policy, framework, entry in table.entries
        if entry.finished
    }
    best = max((pair for pair in accuracy if pair[0] in closed), key=accuracy.__getitem__)
    text = f"{join(closed)} {'show' if len(closed) > 1 else 'shows'} no gap"
    text += f"; {_at(table, *best)} validates best of them, at {accuracy[best]:.1f} %"
    parting = [(name, key) for name, key in accuracy if key not in _having(found[name], "none")]
    if not parting:
        return f"{text}."
    other = max(parting, key=accuracy.__getitem__)
    return f"{text}, {_apart(accuracy[best] - accuracy[other])} the best with a gap ({_at(table, *other)})."


def _apart(by: float) -> str:
    text = f"{abs(by):.1f}"
    return "level with" if text == "0.0" else f"{text} points {'above' if by > 0 else 'below'}"


def _at(table: Table, policy: str, framework: str) -> str:
    return f"{policy} in {table.labels[framework]}"


def _differing(table: Table, found: dict[str, Judgements]) -> str:
    whom = join(table.labels.values())
    if len(table.frameworks) == 1:
        return f"Only {whom} was run, so frameworks can't be compared."
    both = {name: row for name, row in found.items() if len(row) == len(table.frameworks)}
    apart = {name: metric for name, row in both.items() if (metric := _differs_in(row))}
    if not apart:
        every = "both frameworks" if len(table.frameworks) == 2 else "all frameworks"
        return f"{whom} agree on every policy." if both else f"No policy finished in {every}."
    tests = _tests(table, both, {name: metric for name, metric in apart.items() if not _late(both[name])})
    told = {name: _told(table, name, both[name], metric, tests.get(name)) for name, metric in apart.items()}
    unsure = [name for name in apart if name in tests and tests[name].p >= 0.05]
    sure = {name: both[name] for name in apart if name not in unsure}
    if not sure:
        return f"{whom} differ in {join(told[name] for name in unsure)}, but that may be chance."
    text = f"{whom} differ in {join(told[name] for name in sure)}{_why(table, sure)}"
    if unsure:
        text += f"; in {join(told[name] for name in unsure)} it may be chance"
    if not tests:
        text += "; one seed can't say how much of that is chance"
    return text + "."


def _tests(table: Table, rows: dict[str, Judgements], policies: dict[str, Metric]) -> dict[str, Difference]:
    """The test of the two frameworks that are furthest apart, of each policy in its metric; none of one seed."""
    found = {}
    for name, metric in policies.items():
        gaps = _same_kind(rows[name], metric)
        furthest = {min(gaps, key=gaps.__getitem__), max(gaps, key=gaps.__getitem__)}
        for test in table.tests(metric)[0]:
            if test.within == name and {test.a, test.b} == furthest:
                found[name] = test
    return found


def _differs_in(row: Judgements) -> Metric | None:
    """The metric in which one framework has a gap and another has none or a far smaller one, and not by a hair."""
    found = [judgement for judgement in row.values() if judgement.finding != "none"]
    if not found:
        return None
    metric = found[0].metric
    gaps = _same_kind(row, metric).values()
    sizes = sorted(map(abs, gaps))
    if len({judgement.finding for judgement in row.values()}) == 1 and sizes[-1] < FAR * sizes[0]:
        return None
    bar = max(judgement.figures.least for judgement in row.values())
    return None if max(gaps) - min(gaps) <= bar else metric


def _same_kind(row: Judgements, metric: Metric) -> dict[str, float]:
    """The frameworks' gaps: over the epochs, or all in the last one where one of them shows only there."""
    late = _late(row)
    return {
        name: own.figures.gap(metric) if late else own.figures.mean_gap(metric) for name, own in row.items()
    }


def _late(row: Judgements) -> bool:
    return any(judgement.late for judgement in row.values())


def _told(table: Table, name: str, row: Judgements, metric: Metric, test: Difference | None) -> str:
    """Name a policy with its gaps in the frameworks, and with the p-value where there is a test."""
    told = [f"{table.labels[key]} {_in(gap, metric)}" for key, gap in _same_kind(row, metric).items()]
    if _late(row):
        told.append("in the last epoch")
    elif test:
        told.append("p < 0.001" if test.p < 0.001 else f"p = {test.p:.3f}")
    return f"{name} ({', '.join(told)})"


def _why(table: Table, rows: dict[str, Judgements]) -> str:
    """Why frameworks may differ: by how much of lagging moving statistics a step keeps, or by rounding."""
    decays = DECAY[table.numerics]
    if table.numerics == "matched" and any(POLICIES[name].behaviour.body_trains for name in rows):
        return ": where the backbone trains, one rounding in float32 is enough for that"
    lags = any(own.source == "lagging" for row in rows.values() for own in row.values())
    sides = {FRAMEWORKS[name].side for name in table.frameworks}
    if not lags or len({decays[side] for side in sides}) == 1:
        return ""
    return ": a step keeps {keras} of the old moving statistics in Keras and {torch} in PyTorch".format(
        **decays
    )


def _failing(table: Table) -> list[str]:
    cells = [entry for row in table.rows.values() for entry in row.values()]
    failed, total = (
        sum(len(f.failed) for f in cells),
        sum(len(f.failed) + len(f.finished) for f in cells),
    )
    return [f"{failed} of {total} cells failed."] if failed else []
