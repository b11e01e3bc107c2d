"""Are the inputs what the network was trained on? Known preprocessings are tried, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from compare.diagnosis.case import Case, figure, rounding
from compare.diagnosis.finding import find
from compare.diagnosis.side import Batch, Layer, Seen

# of the step that a change of the inputs must close, and of the first layer's distance
CLOSED = 0.6
# of the first layer's distance that may be left for a change to be the one, and of the step that it must close then
THERE, PART = 0.1, 0.3
# what other inputs must do to the variances for their share in stored ones to be told from one of the initial values;
# the least and the most of it that may be stored, and how alike over the channels the initial values' share would be
LARGER, LEAST, MOST, ALIKE = 100.0, 0.05, 2.0, 0.05
# relative, for a figure that is recomputed from inputs that were changed: of one written coarsely, of another
NEAR, EXACT = 0.01, 1e-3
# samples that are tried first, how far their loss may lie from that of all (the logarithm of a factor of 100), and how
# many changes are tried on all
TRIED, MAGNITUDE, BEST = 32, 4.6, 3
# largest absolute value of inputs that may be scaled to about 1 already, and that may have a deviation taken off twice
SMALL, MIDDLE = 4.0, 16.0


@dataclass(frozen=True)
class Change:
    """A change of inputs.

    Attributes:
        name: what is wrong with the inputs if it helps.
        code: what the change is, to paste.
        apply: arrays with channels last -> the same, changed.
        torch: the code in PyTorch, where three channels, which stand first there, make it another one.
        least, most: the largest absolute value of inputs that may need it.
    """

    name: str
    code: str
    apply: Callable[[np.ndarray], np.ndarray]
    torch: str = ""
    least: float = 0.0
    most: float = np.inf

    @property
    def colours(self) -> bool:
        """Whether it needs three channels."""
        return bool(self.torch)

    def written(self, framework: str) -> str:
        """The code in a framework."""
        return self.torch if framework == "torch" and self.torch else self.code


CAFFE = [103.939, 116.779, 123.68]
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def _vector(values: list[float]) -> str:
    """Three numbers beside PyTorch's images."""
    return f"torch.tensor({values})[:, None, None]"


CHANGES = (
    Change("the inputs are 255 times too small, as if scaled twice", "x * 255", lambda x: x * 255, most=MIDDLE),
    Change("the inputs are 255 times too large: not scaled to 0..1", "x / 255", lambda x: x / 255, least=SMALL),
    Change("the inputs aren't scaled from 0..255 to -1..1", "x / 127.5 - 1", lambda x: x / 127.5 - 1, least=SMALL),
    Change("the inputs are scaled to -1..1 and shouldn't be", "(x + 1) * 127.5", lambda x: (x + 1) * 127.5,
           most=SMALL),
    Change("the inputs aren't scaled from 0..1 to -1..1", "x * 2 - 1", lambda x: x * 2 - 1, most=SMALL),
    Change("the inputs are -1..1 and should be 0..1", "(x + 1) / 2", lambda x: (x + 1) / 2, most=SMALL),
    Change("the channels are in the other order, RGB for BGR", "x[..., ::-1]", lambda x: x[..., ::-1], "x.flip(1)"),
    Change("the inputs lack the Caffe preprocessing", f"x[..., ::-1] - {CAFFE}", lambda x: x[..., ::-1] - CAFFE,
           f"x.flip(1) - {_vector(CAFFE)}", least=SMALL),
    Change("the inputs lack ImageNet's mean and deviation", f"(x - {MEAN}) / {DEVIATION}",
           lambda x: (x - MEAN) / DEVIATION, f"(x - {_vector(MEAN)}) / {_vector(DEVIATION)}", most=SMALL),
    Change("ImageNet's mean and deviation are taken off twice", f"x * {DEVIATION} + {MEAN}",
           lambda x: x * DEVIATION + MEAN, f"x * {_vector(DEVIATION)} + {_vector(MEAN)}", most=MIDDLE),
    Change("the inputs lack the scaling to 0..1 and ImageNet's mean", f"(x / 255 - {MEAN}) / {DEVIATION}",
           lambda x: (x / 255 - MEAN) / DEVIATION, f"(x / 255 - {_vector(MEAN)}) / {_vector(DEVIATION)}",
           least=SMALL),
)  # fmt: skip


def changed_inputs(case: Case) -> bool:
    """Say whether the inputs need one of the known changes, and find ``input-scale``.

    One is needed that makes evaluation nearly as good as training, or whose inputs a moving average still holds.
    """
    batches, first = _some(case.fit.some(case.limit)), _first(case)
    needed = _closing(case, batches, first) or _stored(case, batches, first)
    if needed is None:
        return False
    change, evidence = needed
    code = change.written(case.framework)
    evidence = f"{change.name[0].upper()}{change.name[1:]}: {evidence}"
    find(case, "input-scale", True, case.evaluated - case.as_in_fit, (), evidence, "changed", code)
    return True


def _closing(case: Case, batches: list[Batch], first: Layer | None) -> tuple[Change, str] | None:
    """The change that closes most of the gap, of those that bring the first layer nearer to what it has stored."""
    aim = case.said_in_fit if "loss" in case.reported.fit else case.as_in_fit
    base = case.subject.run(batches, frozenset()).figures["loss"]
    before = _distance(first, _reaching(case, first, batches))
    best: tuple[Change, float] | None = None
    for change in _possible(case):
        changed = [case.subject.scaled(batch, change.apply) for batch in batches]
        distance = _distance(first, _reaching(case, first, changed))
        closer = before is None or (distance is not None and distance < min((1 - CLOSED) * before, 1.5))
        if not closer:
            continue
        now = case.subject.run(changed, frozenset()).figures["loss"]
        # what reaches the first layer is as it was: the rest is what later layers have learned since
        there = before is not None and distance is not None and distance < min(THERE * before, 0.5)
        closed = base - now > (PART if there else CLOSED) * (base - aim)
        if closed and (best is None or now < best[1]):
            best = (change, now)
    if best is None:
        return None
    change, now = best
    return change, (
        f"with {change.written(case.framework)} an evaluation of {sum(b.size for b in batches)} samples has a loss of"
        f" {figure(now)} instead of {figure(base)}."
    )


def _stored(case: Case, batches: list[Batch], first: Layer | None) -> tuple[Change, str] | None:
    """The change whose inputs have a share in what the first layer has stored; of several the nearest to that."""
    unchanged = _reaching(case, first, batches)
    best: tuple[Change, float, float] | None = None
    for change in _possible(case):
        changed = [case.subject.scaled(batch, change.apply) for batch in batches]
        reached = _reaching(case, first, changed)
        distance, share = _distance(first, reached), _share(first, unchanged, reached)
        if share is not None and distance is not None and (best is None or distance < best[2]):
            best = (change, share, distance)
    if best is None or first is None:
        return None
    change, share, _ = best
    return change, (
        f"the variances that {first.name} has stored are {share:.2g} times those of what reaches it with"
        f" {change.written(case.framework)}, in all channels, and far from those of what reaches it now. The moving"
        " average is on its way from the one to the other."
    )


def evaluated_as(case: Case, said: float) -> str | None:
    """The code of a change of the inputs with which evaluation gives a figure; some samples tell which to try.

    Few samples can be far from all of them, where a loss is large on some alone: they tell its order of magnitude.
    """
    data = case.elsewhere or case.fit
    some = _spread(case, data.some(case.limit))

    def given(change: Change, of: Iterable[Batch]) -> tuple[float, float]:
        found = case.subject.run((case.subject.scaled(batch, change.apply) for batch in of), frozenset())
        return found.figures["loss"], float(np.mean([step.loss for step in found.steps]))

    def times(change: Change) -> float:
        return min(abs(float(np.log(max(abs(value / said), 1e-30)))) for value in given(change, some))

    # few other inputs evaluate better than the right ones: there a coarse figure fits by chance
    coarse = rounding(said) / abs(said) if said > case.evaluated_elsewhere else 0.0
    near = min(NEAR, EXACT + coarse) * abs(said)
    changes = [change for change in CHANGES if not change.colours or len(case.fit.look.mean) == 3]
    magnitudes = {change.code: times(change) for change in changes}
    for change in sorted(changes, key=lambda change: magnitudes[change.code])[:BEST]:
        if magnitudes[change.code] < MAGNITUDE and any(
            abs(value - said) < near for value in given(change, data)
        ):
            return change.written(case.framework)
    return None


def _possible(case: Case) -> list[Change]:
    """The changes that inputs of this size can be in need of."""
    look = case.fit.look
    if not look.mean.size:  # no float inputs, whose size nobody has looked at
        return [change for change in CHANGES if not change.colours]
    size = float(max(np.abs(look.low).max(initial=0.0), np.abs(look.high).max(initial=0.0)))
    return [
        change
        for change in CHANGES
        if (len(look.mean) == 3 or not change.colours) and change.least <= size <= change.most
    ]


def _some(batches: list[Batch]) -> list[Batch]:
    """As many batches as are tried."""
    found: list[Batch] = []
    for batch in batches:
        if sum(b.size for b in found) < TRIED:
            found.append(batch)
    return found


def _spread(case: Case, batches: list[Batch]) -> list[Batch]:
    """As many samples as are tried, of all batches alike; whole batches where they can't be dealt anew."""
    count = sum(batch.size for batch in batches)
    at = np.linspace(0, count - 1, min(TRIED, count)).round().astype(int)
    try:
        return [case.subject.join(batches, at)]
    except Exception:  # whatever the data say to being taken apart
        return _some(batches)


def _first(case: Case) -> Layer | None:
    """The first normalisation that stands on stored statistics in evaluation; None where there is none."""
    return next((row for row in case.normalisations() if row.name in case.measured.seen), None)


def _reaching(case: Case, first: Layer | None, batches: list[Batch]) -> Seen | None:
    """What reaches the first normalisation in evaluation."""
    return None if first is None else case.subject.reaching(batches, first.name)


def _distance(first: Layer | None, now: Seen | None) -> float | None:
    """How far what reaches the first normalisation lies from what it has stored, of means and log variances."""
    if first is None or first.mean is None or first.variance is None:
        return None
    stored = np.maximum(first.variance, 1e-12)
    if now is None or not np.isfinite(stored).all():
        return None
    means = np.sqrt(np.mean((now.mean - first.mean) ** 2 / stored))
    return float(means + np.sqrt(np.mean(np.log(np.maximum(now.variance, 1e-12) / stored) ** 2)))


def _share(first: Layer | None, now: Seen | None, changed: Seen | None) -> float | None:
    """The share of other, much larger inputs in stored variances that move, the same in all channels; None for none."""
    if first is None or first.variance is None or now is None or changed is None:
        return None
    if not first.moves or first.virgin or not np.isfinite(first.variance).all():
        return None
    alive = changed.variance > 1e-12 * np.max(changed.variance, initial=1e-30)
    stored, small, large = (v[alive] for v in (first.variance, now.variance, changed.variance))
    if not alive.any() or np.median(large / np.maximum(small, 1e-30)) < LARGER:
        return None
    initial = (stored - small) / (1 - small)
    shares = stored / large
    if np.std(initial) < ALIKE * abs(np.mean(initial)) or not ((shares > LEAST) & (shares < MOST)).all():
        return None
    return float(np.median(shares))
