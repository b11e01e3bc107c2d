"""A case before the judge, made up: figures of passes, layers with what they have stored, data of a few batches."""

from types import SimpleNamespace

import numpy as np

from compare.diagnosis.case import Case
from compare.diagnosis.measured import Measured
from compare.diagnosis.probes import Probed
from compare.diagnosis.reported import read
from compare.diagnosis.side import Batch, Facts, Layer, Pass, Seen, Step

NORMALISATION = frozenset({"normalisation"})
# what reaches each layer: means and variances of three channels
MEAN, VARIANCE = np.array([1.0, -2.0, 0.5]), np.array([4.0, 0.25, 9.0])


def passed(losses, size=16, **step):
    """A pass over batches of one size, of these losses."""
    losses = [losses] * 4 if isinstance(losses, float) else losses
    steps = [Step(loss, size, size, shuffled=3.0, **step) for loss in losses]
    return Pass(steps, {"loss": float(np.mean(losses))})


def norm(name, **changes):
    """A normalisation that has stored what reaches it; ``changes`` are of its record."""
    known = {
        "kind": "BatchNorm1d", "role": "normalisation", "switch": True, "trains": True, "fit": "batch",
        "evaluate": "moving", "flag_fit": "batch", "flag_evaluate": "moving", "moves": True, "calls": 1, "decay": 0.9,
        "steps": 100, "mean": MEAN, "variance": VARIANCE,
    }  # fmt: skip
    return Layer(name, **(known | changes))


def reached():
    """What reached a normalisation: the same in every batch."""
    zero = np.zeros(3)
    return Seen(64, MEAN, VARIANCE, MEAN, VARIANCE, zero, zero + 1, 4, 16)


class Made(SimpleNamespace):
    """A person's data, of which only the first batch is there."""

    def __iter__(self):
        x = np.zeros((16, 3))
        return iter([Batch((x, x), x, x, size=16)])

    def some(self, most):
        return [SimpleNamespace(size=size) for size in self.look.batches]


def data(size=64, batch=16, look=None, **changes):
    """A person's data, as far as they are asked for."""
    look = look or SimpleNamespace(batches=[batch] * (size // batch), size=size, mean=np.zeros(0))
    return Made(**({"look": look, "limit": 320, "dealt": True, "prepared": True, "twice": True} | changes))


def case(
    fit=0.5, evaluate=0.5, layers=(), averages=None, framework="torch", facts=None, reported=None, **changes
):
    """A case of a network with normalisation: its losses as in training, in evaluation, and under batches' means."""
    one = passed(fit)
    seen = {row.name: reached() for row in layers if row.role == "normalisation"}
    one = Pass(one.steps, one.figures, seen)
    measured = Measured(list(layers), facts or Facts(parameters=10), Probed("same", "same", "same"), NORMALISATION,
                        passed(evaluate), fit=one)  # fmt: skip
    measured.standing = {NORMALISATION: one, frozenset(): passed(fit)}
    measured.averaged = dict.fromkeys(seen, (MEAN, VARIANCE))
    measured.under_averages = passed(fit if averages is None else averages)
    for name, value in changes.items():
        setattr(measured, name, value)
    return Case(framework, SimpleNamespace(name="net"), measured, read(reported), data(), None, 320, 16)


def found(of):
    """Cause -> whether it is harmful, of a case's findings."""
    return {finding.cause: finding.harmful for finding in of.findings}
