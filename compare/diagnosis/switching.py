"""The terms of the switches as findings: what each costs, and what shows it."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite, log, nan

from compare.diagnosis.case import Case, figure
from compare.diagnosis.finding import find
from compare.diagnosis.measuring import ALONE, shifting
from compare.diagnosis.mixing import unmixed
from compare.diagnosis.records import BETWEEN, Term
from compare.spec import some

# samples a batch that people train normalisation on without harm
LARGE = 16
# relative: two losses of the same outputs of which one is a whole multiple of the other, in float32
WHOLE = 1e-4


def named(case: Case, term: Term) -> Term:
    """The term of a switch by its cause: an objective that is a whole multiple of the other is an average."""
    return replace(term, term="aggregation") if term.term == "objective" and _multiple(case) else term


def find_switch(case: Case, term: Term) -> None:
    """Find the cause that a switch's term stands for, where it is large enough."""
    # what is harmless is named however small both losses are: a network that is sure of itself has small ones
    if term.term in ("dropout", "augmentation") and isfinite(term.value) and case.differs(term.value):
        _find_noise(case, term)
    elif term.term == "variance-shift" and case.matters(term.value):
        _find_shift(case, term)
    elif term.term == "aggregation" and case.matters(term.value):
        _find_multiple(case, term)
    elif term.term == "objective" and case.matters(term.value):
        _find_objective(case, term)
    elif term.term == "other-layers":
        _find_other(case, term)
    elif term.term in BETWEEN:
        _find_between(case, term)


def _find_noise(case: Case, term: Term) -> None:
    """Dropout, or augmentation inside the model: on in training, off in evaluation, as it should be."""
    effect = "better" if term.value < 0 else "worse"
    evidence = f"Without it the loss is {figure(abs(term.value))} {effect}; evaluation goes without."
    find(case, term.term, False, term.value, _switches(case, term.term), evidence)


def _find_multiple(case: Case, term: Term) -> None:
    """An objective that is a whole multiple of the other."""
    evidence = (
        f"In every batch evaluation's loss of the same outputs is {_multiple(case)} times training's: training's is"
        " divided, as by the number of micro-batches an update, and evaluation's isn't."
    )
    find(case, "aggregation", False, term.value, (), evidence)


def _find_objective(case: Case, term: Term) -> None:
    """Training and evaluation compute different losses of the same outputs."""
    layers = _switches(case, "objective")
    evidence = (
        f"With all layers alike the loss is {figure(abs(term.value))} {'less' if term.value < 0 else 'more'} by"
        " evaluation's objective than by training's."
    )
    # a layer that adds to the loss in training alone is named; else the steps themselves compute different losses
    of_steps = case.measured.facts.objectives and not layers and not case.stepped
    find(case, "objective", False, term.value, layers, evidence, "steps" if of_steps else "")


def _find_other(case: Case, term: Term) -> None:
    """Code of a model's own that reads its mode."""
    others = tuple(row.name for row in case.measured.layers if row.role == "other")
    # a loss that is no number is told as numerics, with the layer that it comes from
    if isfinite(term.value) and case.costs(term.value):
        evidence = (
            f"By its own code {'each of these computes' if len(others) > 1 else 'it computes'} something else in"
            f" evaluation than in training, and the loss is {figure(term.value)} more by that."
        )
        find(case, "mode-override", True, term.value, others, evidence, "own")
    elif case.matters(term.value) and case.measured.facts.objectives:
        evidence = (
            "By the model's own code training computes something else than evaluation, such as a loss of further"
            f" outputs: without it the loss is {figure(abs(term.value))} {'less' if term.value < 0 else 'more'}."
        )
        find(case, "objective", False, term.value, others, evidence)


def _find_between(case: Case, term: Term) -> None:
    """A step of normalisation between the batch's own statistics and the mean of all batches'."""
    # what it comes to in some orders of throwing the switches and not in others is no cost of its own
    if case.costs(_certain(case, term), term.term != "unmixed-batches") and _felt(case, term.term):
        layers, evidence = _normalised(case, term.term)
        by_hand = term.term == "shared-layer" and any(
            row.by_hand for row in case.measured.layers if row.name in layers
        )
        find(case, term.term, True, term.value, layers, evidence, "by-hand" if by_hand else "")
    elif term.term == "unmixed-batches":
        _find_unmixed(case, term)


def _switches(case: Case, role: str) -> tuple[str, ...]:
    """Names of the layers of a role that training and evaluation use differently."""
    return tuple(row.name for row in case.measured.layers if row.role == role and row.switch)


def find_together(case: Case) -> None:
    """Find the largest step of normalisation where none costs enough to be named, and all of them together do."""
    steps = [term for term in case.terms if term.term in (*BETWEEN, "stale-statistics") and term.value > 0]
    total = sum(term.value for term in steps)
    if len(steps) < 2 or any(finding.harmful for finding in case.findings):
        return
    if case.costs(total) and case.costs(case.evaluated - case.as_in_fit):
        # what is stored is an average of few batches: where it has arrived, what is left of that is their noise
        most = max(steps, key=lambda term: (term.term in BETWEEN, term.value))
        layers, evidence = _normalised(case, most.term)
        parts = ", ".join(f"{term.term.replace('-', ' ')} {figure(term.value)}" for term in steps)
        evidence += f" With what is stored it is {figure(case.evaluated)}: {parts} come together."
        find(case, most.term, True, most.value, layers, evidence)


def _find_unmixed(case: Case, term: Term) -> None:
    """Batches unlike one another that don't make evaluation worse: they are there, and what they do is said.

    Where they change the figures evaluation may be the better one: a batch of one class has nothing left of what sets
    that class apart.
    """
    if not case.normalisations():
        return
    layers, evidence = _normalised(case, "unmixed-batches")
    matters = case.differs(term.value) and case.differs(case.evaluated - case.as_in_fit)
    does = (
        f"Training's figure is of such batches, {figure(case.as_in_fit)}, evaluation's isn't: {figure(case.evaluated)}."
        if matters
        else "It hardly changes the loss of this network."
    )
    find(case, "unmixed-batches", matters, term.value, layers, f"{evidence} {does}")


def _find_shift(case: Case, term: Term) -> None:
    """Noise before a normalisation: what is stored is of inputs that evaluation never sees.

    Source: Li et al. 2018, https://arxiv.org/abs/1801.05134
    """
    cause = next((role for role in ("dropout", "augmentation") if role in case.measured.switches), None)
    if cause is None:
        return
    ratios = shifting(case.measured)
    layer = max(ratios, key=lambda name: abs(log(ratios[name])))
    evidence = (
        f"It is on before {some(tuple(ratios))}, whose stored variances are of such inputs: in training they are"
        f" {figure(ratios[layer])} times those of evaluation in {layer}. By that alone evaluation's loss is"
        f" {figure(abs(term.value))} {'better' if term.value < 0 else 'worse'}."
    )
    find(case, cause, False, term.value, tuple(ratios), evidence, "before-normalisation")


def _multiple(case: Case) -> int:
    """Which whole multiple of training's loss evaluation's is in every batch, 2 or more; 0 for none."""
    every, standing = case.measured.switches, case.measured.standing
    pairs = zip(standing[every].steps, standing[every - {"objective"}].steps, strict=True)
    ratios = [b.loss / a.loss if a.loss else nan for a, b in pairs]
    up = round(ratios[0]) if isfinite(ratios[0]) else 0
    return up if up > 1 and all(abs(ratio / up - 1) < WHOLE for ratio in ratios) else 0


def _felt(case: Case, cause: str) -> bool:
    """Whether evaluation is worse than training: what dropout outweighs, in batches that are large, does no harm."""
    worse = case.evaluated - case.as_in_fit
    large = cause == "batch-noise" and max(case.fit.look.batches) >= LARGE
    return case.costs(worse) if large else not worse <= 0


def _certain(case: Case, term: Term) -> float:
    """What a term costs at least: less its uncertainty, and no more than with all other switches off."""
    measured, least = case.measured, term.value - term.uncertainty
    if term.term == "shared-layer" or ALONE not in measured.standing or len(measured.switches) == 1:
        return least
    pooled = measured.unshifted or measured.under_averages or measured.standing[frozenset()]
    return min(least, pooled.figures["loss"] - measured.standing[ALONE].figures["loss"])


def _normalised(case: Case, cause: str) -> tuple[tuple[str, ...], str]:
    """Layers and evidence of a cause that lies between the batch's statistics and a moving average's."""
    if cause == "unmixed-batches":
        return _unmixed(case)
    rows = case.normalisations() or [row for row in case.measured.layers if row.role == "normalisation"]
    if cause == "shared-layer":
        shared = tuple(row.name for row in rows if row.calls > 1)
        calls = max((row.calls for row in rows), default=0)
        return (
            shared,
            f"{', '.join(shared)} is called {calls} times a pass, and stores one mean of all of them.",
        )
    return tuple(row.name for row in rows), _noisy(case)


def _unmixed(case: Case) -> tuple[tuple[str, ...], str]:
    """Layers whose batches are unlike one another, and by how much."""
    measured = case.measured
    apart = unmixed(measured)
    ratio = max(
        float((seen.between / seen.expected.clip(1e-300)).mean())
        for name, seen in measured.seen.items()
        if name in apart
    )
    text = f"The means of the batches lie {ratio**0.5:.2g} times as far apart as those of batches dealt at random."
    if measured.mixed is not None:
        before, dealt = (figure(value) for value in measured.mixed)
        text += f" As in training, but dealt anew, the loss is {dealt} instead of {before}."
    return tuple(dict.fromkeys(name.split("#")[0] for name in apart)), text


def _noisy(case: Case) -> str:
    """What the statistics of each batch come to beside those of all samples."""
    measured = case.measured
    fewest = min((seen.per_channel for seen in measured.seen.values()), default=0)
    pooled = measured.standing[frozenset()].figures["loss"]
    size = max(case.fit.look.batches)
    return (
        f"With the statistics of each batch of {'one sample' if size == 1 else f'{size} samples'} the loss is"
        f" {figure(case.as_in_fit)}, with those of all of them {figure(pooled)}; a batch has {fewest} values a channel"
        " at least."
    )
