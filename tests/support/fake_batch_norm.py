"""A batch normalisation layer in numpy that does what a measured row says: a framework with any behaviour."""

from dataclasses import asdict, replace

import numpy as np

from compare.gap.observed import Rule
from compare.semantics.experiment import STATE

EPSILON = 1e-3


class FakeSubject:
    """A subject that does what it is told.

    Args:
        does: as in a record's row.
    """

    epsilon, tolerance = EPSILON, 1e-6

    def __init__(self, does):
        self.does = does
        self.ordeals = tuple(o for o, kept in does.survives.items() if kept is not None)
        self.state = {name: array.copy() for name, array in STATE.items()}
        self.steps, self.shadow = 0, {"moving_mean": 0.0, "moving_variance": 0.0}

    def arrays(self):
        return {name: array.copy() for name, array in self.state.items()}

    def set(self, arrays):
        self.state = {name: array.copy() for name, array in arrays.items()}

    def fit(self, batches):
        if self.does.fit == "raises":
            raise ValueError("no training here")
        return [(self._step(x, y), self.arrays()) for x, y in batches]

    def gradient(self):
        return self.does.gamma_beta_gradient

    def evaluate(self, x, y):
        if self.does.evaluate == "raises":
            raise TypeError("no model left")
        loss = self._loss(x, y, self.does.evaluate)
        if self.does.evaluate_updates:
            self.state["moving_mean"] += 0.01
        return loss

    def after(self, ordeal):
        kept = self.does.survives[ordeal]
        return FakeSubject(self.does if kept else flipped(self.does, "fit"))

    def _step(self, x, y):
        loss = self._loss(x, y, self.does.fit)
        self.steps += 1
        if self.does.updates:
            self._update(x, **asdict(self.does.rule))
        if self.does.gamma_beta_change:
            self.state["gamma"] -= 0.01
        return loss

    def _loss(self, x, y, statistics):
        axes = tuple(range(x.ndim - 1))
        of = {
            "batch": (x.mean(axes), x.var(axes)),
            "moving": (self.state["moving_mean"], self.state["moving_variance"]),
            "neither": (0.0, 1.0),
        }
        mean, variance = of[statistics]
        outputs = self.state["gamma"] * (x - mean) / np.sqrt(variance + EPSILON) + self.state["beta"]
        return float(np.mean((outputs - y) ** 2))

    def _update(self, x, decay, variance, zero_debiased):
        axes, n = tuple(range(x.ndim - 1)), x[..., 0].size
        corrected = n / (n - 1)
        factor = {"unbiased": corrected, "doubly corrected": corrected * n / (n - 1 - EPSILON)}
        kept = (self.steps - 1) / self.steps if decay == "cumulative" else decay
        new = {"moving_mean": x.mean(axes), "moving_variance": x.var(axes) * factor.get(variance, 1.0)}
        for name, value in new.items():
            deviations = variance == "of deviations" and name == "moving_variance"
            old, taken = (np.sqrt(v + EPSILON) if deviations else v for v in (self.state[name], value))
            if zero_debiased:
                self.shadow[name] = kept * self.shadow[name] + (1 - kept) * taken
                moved = self.shadow[name] / (1 - kept**self.steps)
            else:
                moved = kept * old + (1 - kept) * taken
            self.state[name] = moved**2 - EPSILON if deviations else moved


# fact -> what each of its values is flipped to
OTHER = {
    "fit": {"batch": "moving", "moving": "batch", "neither": "batch"},
    "evaluate": {"batch": "moving", "moving": "batch", "neither": "batch"},
    "variance": {
        "biased": "unbiased",
        "unbiased": "doubly corrected",
        "doubly corrected": "biased",
        "of deviations": "biased",
    },
}


def cells(does):
    """The cells of a row that a flip can be seen in: names, those of the rule and of survival among them."""
    raises = does.fit == "raises"
    names = ["fit"] if raises else ["fit", "updates", "gamma_beta_gradient", "gamma_beta_change"]
    names += ["evaluate", "evaluate_updates"] if does.evaluate != "raises" else []
    if does.rule:
        names += ["decay", "variance"]
        # with nothing kept of the old value there is no start at zero to divide out
        names += ["zero_debiased"] if does.rule.decay not in (0.0, "cumulative") else []
    return names + [f"survives {name}" for name, kept in does.survives.items() if kept is not None]


def flipped(does, cell):
    """The same row with one of its cells otherwise."""
    rule, survives = does.rule, does.survives
    if cell.startswith("survives "):
        name = cell.removeprefix("survives ")
        return replace(does, survives={**survives, name: not survives[name]})
    if cell == "updates":
        return replace(
            does, updates=not does.updates, rule=None if does.updates else Rule(0.99, "biased", False)
        )
    if cell == "decay":
        return replace(does, rule=replace(rule, decay=0.95))
    if cell == "zero_debiased":
        return replace(does, rule=replace(rule, zero_debiased=not rule.zero_debiased))
    if cell == "variance":
        return replace(does, rule=replace(rule, variance=OTHER["variance"][rule.variance]))
    if does.fit == "raises" and cell == "fit":
        return replace(does, fit="batch", evaluate="moving")
    value = getattr(does, cell)
    return replace(does, **{cell: OTHER[cell][value] if cell in OTHER else not value})
