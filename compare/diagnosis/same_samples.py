"""Evaluation's data that are fit's own samples: in other batches, averaged otherwise, or with other weights."""

from __future__ import annotations

import numpy as np

from compare.diagnosis.case import Case, figure
from compare.diagnosis.finding import find
from compare.diagnosis.looking import Look
from compare.spec import some


def judge(case: Case, ours: Look, theirs: Look, value: float) -> None:
    """Name what the same samples cost where evaluation has them.

    Args:
        case: gets a term, and a finding where that matters.
        ours, theirs: what fit's and evaluation's data show.
        value: evaluation's loss on its own data, minus that on fit's.
    """
    if not case.matters(value):
        case.add("samples" if ours.weighted == theirs.weighted else "objective", value)
    elif ours.weighted == theirs.weighted and _together(case):
        _find_by_batch(case, value)
    elif ours.weighted or theirs.weighted:
        _find_weights(case, value)
    else:
        _find_average(case, ours, theirs, value)


def _by_batch(case: Case) -> list[str]:
    """The layers that normalise with the batch in evaluation."""
    rows = [row for row in case.measured.layers if row.role == "normalisation" and row.evaluate == "batch"]
    return [row.name for row in rows]


def _together(case: Case) -> bool:
    """Whether what a sample's outputs are depends on its batch.

    An arithmetic of a person's own that keeps nothing has no row, but a sample's outputs show what it does.
    """
    return bool(_by_batch(case)) or case.measured.probed.alone == "differs"


def _find_by_batch(case: Case, value: float) -> None:
    names = _by_batch(case)
    what = f"{some(names)} normalises" if names else "the model computes"
    evidence = (
        f"Both data sets hold the same samples, in other batches; {what} with the batch in evaluation, too: the loss is"
        f" {figure(case.evaluated_elsewhere)} and not {figure(case.evaluated)}."
    )
    case.add("mode-in-evaluation", value)
    # what no mode would make another is meant so
    meant = not any(row.override for row in case.measured.layers if row.name in names)
    detail = "by-batch" if meant else ""
    find(case, "mode-in-evaluation", case.costs(abs(value)), value, tuple(names), evidence, detail)


def _find_weights(case: Case, value: float) -> None:
    evidence = "The samples are the same in both; their weights aren't."
    unweighted = [step.unweighted for step in case.measured.evaluate.steps if step.unweighted is not None]
    if unweighted:
        evidence += f" Without weights fit's data evaluate to {figure(float(np.mean(unweighted)))}."
    case.add("objective", value)
    find(case, "objective", False, value, (), evidence, "weights")


def _find_average(case: Case, ours: Look, theirs: Look, value: float) -> None:
    """Batches of other sizes, of a loss that is no mean; not where two evaluations of the same differ anyway."""
    for unsteady in ("random-evaluation", "evaluation-changes-state"):
        if case.has(unsteady):
            case.add(unsteady, value)
            return
    sizes = f" of {max(ours.batches)} and of {max(theirs.batches)} samples"
    evidence = (
        f"Both data sets hold the same samples, in other batches{sizes if ours.batches != theirs.batches else ''}, and"
        f" the loss is no mean over samples: it is {figure(case.evaluated)} in fit's batches,"
        f" {figure(case.evaluated_elsewhere)} in evaluation's."
    )
    case.add("aggregation", value)
    find(case, "aggregation", False, value, (), evidence)
