"""Classes that evaluation's data number otherwise than fit's, as folders do that are listed in another order."""

from __future__ import annotations

import numpy as np

from compare.diagnosis.by_class import labelled
from compare.diagnosis.case import Case
from compare.diagnosis.side import Pass
from compare.spec import some

# samples a class that show how a network takes them
ENOUGH = 8
# of a class's samples: how many must be taken for one and the same other class
MOST = 0.5
# of the accuracy on fit's data: what another numbering must come to on evaluation's
LIKE = 0.75


def renumbered(case: Case) -> tuple[str, str] | None:
    """Say how evaluation's labels are numbered, where a network that is right on fit's data shows that it is otherwise.

    Returns:
        The evidence, and fit's numbers as a list, by evaluation's; None where both number alike, or nobody can tell.
    """
    theirs = case.measured.elsewhere
    counts, known = (None if one is None else _counts(one) for one in (theirs, case.measured.evaluate))
    if counts is None or known is None or counts.shape != known.shape:
        return None
    classes, total = len(counts), counts.sum()
    right, taken = np.trace(known) / known.sum(), counts.argmax(1)
    if right < 0.5 + 0.5 / classes or len(set(taken)) < classes or (taken == np.arange(classes)).all():
        return None
    each, most = counts.sum(1), counts.max(1)
    if each.min() < ENOUGH or (most < MOST * each).any() or most.sum() < LIKE * right * total:
        return None
    moved = tuple(f"{label} for {other}" for label, other in enumerate(taken) if label != other)
    evidence = (
        f"The network takes evaluation's classes for one another: {some(moved)}. With their labels numbered so"
        f" {most.sum() / total:.0%} are right, like fit's, and as they are {np.trace(counts) / total:.0%}: the two data"
        " sets number their classes otherwise."
    )
    return evidence, str(taken.tolist())


def _counts(one: Pass) -> np.ndarray | None:
    """How many samples of each class (a row) are taken for each (a column), ``(K, K)``; None without classes."""
    found = None
    for step in one.steps:
        rows = labelled(step.outputs, step.targets)
        if rows is None:
            return None
        labels, forms = rows
        logs = forms.get("probabilities", forms["logits"])
        classes = logs.shape[1]
        counts = np.zeros((classes, classes), int)
        np.add.at(counts, (labels, logs.argmax(1)), 1)
        found = counts if found is None else found + counts
    return found
