"""The probes: are two evaluations the same, does one change the model, does a sample depend on its neighbours?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compare.diagnosis.records import Answer
from compare.diagnosis.side import Batch, Pass, Subject

# samples that are evaluated alone: so many, and where they come out otherwise so many in all
ALONE, MOST_ALONE = 2, 4
# what a module remembers in its attributes, such as the last state of a recurrent layer
MEMORY = ("memory",)
# relative to the outputs' own size: kernels differ by the number of samples, in rounding only
ROUNDING = {"float64": 1e-9, "float32": 1e-4, "float16": 2e-2, "bfloat16": 5e-2}
# of that, where there are only losses to compare: a loss is a mean, and noise is less in it than in outputs
OF_LOSSES = 0.1


@dataclass
class Probed:
    """What the probes showed.

    Attributes:
        twice, alone, state: the answers.
        losses: of several evaluations with other random numbers each.
        in_a_row: losses of evaluations one after the other, nothing put back.
        changed: what an evaluation changed: ``part:name``.
        by_itself: mean loss of the samples alone, and in their batch; None where not asked.
    """

    twice: Answer = "not asked"
    alone: Answer = "not asked"
    state: Answer = "not asked"
    losses: list[float] = field(default_factory=list)
    in_a_row: list[float] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    by_itself: tuple[float, float] | None = None


def probe(subject: Subject, batches: list[Batch], precision: str) -> Probed:
    """Evaluate twice, hash the state around an evaluation, and compare samples alone with those in a batch."""
    found, most = Probed(), ROUNDING.get(precision, 1e-4)
    with subject.kept():
        before = subject.state(trained=False)
        passes = [subject.evaluate(batches, keep=True, seed=1)]
        after = subject.state(trained=False)
        found.changed = _differing(before, after, ("weights", "statistics"))
        found.in_a_row = [loss_of(passes[0])]
        if not found.changed:
            found.changed = _remembering(subject, batches, passes[0], _differing(before, after, MEMORY), most)
        if found.changed:
            found.in_a_row += [loss_of(subject.evaluate(batches, seed=1)) for _ in range(3)]
    found.state = "differs" if found.changed else "same"
    for seed in (2, 3, 1):
        with subject.kept():
            passes.append(subject.evaluate(batches, keep=True, seed=seed))
        found.twice = "same" if all(alike(passes[0], other, most) for other in passes[1:]) else "differs"
        known = all(step.outputs is not None for step in passes[0].steps)
        if found.twice == "same" and known:  # two losses may be near one another by chance
            break
    found.losses = [loss_of(one) for one in passes]
    _alone(subject, batches[0], passes[0], found, most)
    return found


def _differing(before: dict[str, str], after: dict[str, str], parts: tuple[str, ...]) -> list[str]:
    return sorted(
        name
        for name in before.keys() | after.keys()
        if name.split(":")[0] in parts and before.get(name) != after.get(name)
    )


def _remembering(
    subject: Subject, batches: list[Batch], first: Pass, changed: list[str], most: float
) -> list[str]:
    """Of what an evaluation leaves in a model's attributes, what the next one comes out otherwise by."""
    if not changed or alike(first, subject.evaluate(batches, keep=True, seed=1), most):
        return []
    return changed


def loss_of(one: Pass) -> float:
    """A pass's loss."""
    return one.figures["loss"]


def _alone(subject: Subject, batch: Batch, together: Pass, found: Probed, most: float) -> None:
    outputs = together.steps[0].outputs
    if batch.size < 2 or outputs is None:
        return
    losses: list[float] = []
    same = True
    with subject.kept():
        for i in range(min(MOST_ALONE, batch.size)):
            if i >= ALONE and same:
                break
            try:
                one = subject.join([batch], np.array([i]))
            except ValueError:
                return
            try:
                step = subject.evaluate([one], keep=True, seed=1).steps[0]
            except Exception:  # batch statistics of a single value, for one
                same, losses = False, []
                break
            losses.append(step.loss)
            same &= step.outputs is not None and _near(_flat(step.outputs), _flat(outputs, i), most)
    if found.twice == "same" and not found.changed:
        found.alone = "same" if same else "differs"
    if not same and losses:
        found.by_itself = (float(np.mean(losses)), together.steps[0].loss)


def alike(one: Pass, other: Pass, most: float) -> bool:
    """Whether two evaluations gave the same outputs, or the same losses where outputs aren't known.

    Of the very same outputs the losses must be the same, too: a loss may draw by itself. ``most`` is how much they may
    differ by, of the largest output.
    """
    for a, b in zip(one.steps, other.steps, strict=True):
        if a.outputs is not None and b.outputs is not None:
            these, those = _flat(a.outputs), _flat(b.outputs)
            if not _near(these, those, most):
                return False
            if not np.array_equal(these, those):
                continue
        if not _near(np.array([a.loss]), np.array([b.loss]), most * OF_LOSSES):
            return False
    return True


def _near(a: np.ndarray, b: np.ndarray, most: float) -> bool:
    if a.shape != b.shape:
        return True  # nothing to compare: outputs that aren't sample by sample
    finite = a[np.isfinite(a)]
    scale = float(np.abs(finite).max()) if finite.size else 0.0
    return bool(np.allclose(a, b, rtol=0, atol=most * scale + 1e-12, equal_nan=True))


def _flat(outputs: Any, at: int | None = None) -> np.ndarray:
    """All values of some outputs in a row, of one sample where it is asked for."""
    parts = outputs if isinstance(outputs, list | tuple) else [outputs]
    rows = [np.asarray(part) for part in _arrays(parts)]
    if at is not None:
        rows = [row[at : at + 1] if row.ndim else row for row in rows]
    flat = [row.astype(np.float64).ravel() for row in rows if row.dtype.kind in "fiub"]
    return np.concatenate(flat) if flat else np.zeros(0)


def _arrays(parts: Any) -> Any:
    for part in parts:
        if isinstance(part, list | tuple):
            yield from _arrays(part)
        elif isinstance(part, dict):
            yield from _arrays(part.values())
        elif part is not None:
            yield part
