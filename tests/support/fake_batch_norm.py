"""A batch normalisation layer in numpy that does what a row of facts says: a framework with any behaviour."""

import numpy as np

from compare.semantics.experiment import STATE

EPSILON = 1e-3


class FakeSubject:
    """A subject that behaves as its facts say.

    Args:
        facts: as in a record's row.
    """

    epsilon, tolerance = EPSILON, 1e-6

    def __init__(self, facts):
        self.facts = facts
        self.ordeals = tuple(o for o, kept in facts["survives"].items() if kept is not None)
        self.state = {name: array.copy() for name, array in STATE.items()}
        self.steps, self.shadow = 0, {"moving_mean": 0.0, "moving_variance": 0.0}

    def arrays(self):
        return {name: array.copy() for name, array in self.state.items()}

    def set(self, arrays):
        self.state = {name: array.copy() for name, array in arrays.items()}

    def fit(self, batches):
        if self.facts["fit"] == "raises":
            raise ValueError("no training here")
        return [(self._step(x, y), self.arrays()) for x, y in batches]

    def gradient(self):
        return self.facts["gamma_beta_gradient"]

    def evaluate(self, x, y):
        if self.facts["evaluate"] == "raises":
            raise TypeError("no model left")
        loss = self._loss(x, y, self.facts["evaluate"])
        if self.facts.get("evaluate_updates"):
            self.state["moving_mean"] += 0.01
        return loss

    def after(self, ordeal):
        kept = self.facts["survives"][ordeal]
        return FakeSubject(self.facts if kept else flipped(self.facts, "fit"))

    def _step(self, x, y):
        loss = self._loss(x, y, self.facts["fit"])
        self.steps += 1
        if self.facts["updates"] == "yes":
            self._update(x, **self.facts["rule"])
        if self.facts["gamma_beta_change"]:
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


def cells(facts):
    """The facts of a row that a flip can be seen in: names, those of the rule and of survival among them."""
    raises = facts["fit"] == "raises"
    names = ["fit"] if raises else ["fit", "updates", "gamma_beta_gradient", "gamma_beta_change"]
    names += ["evaluate", "evaluate_updates"] if facts["evaluate"] != "raises" else []
    if facts["rule"]:
        names += ["decay", "variance"]
        # with nothing kept of the old value there is no start at zero to divide out
        names += ["zero_debiased"] if facts["rule"]["decay"] not in (0.0, "cumulative") else []
    return names + [f"survives {name}" for name, kept in facts["survives"].items() if kept is not None]


def flipped(facts, cell):
    """The facts with one of them otherwise."""
    rule, survives = facts["rule"], facts["survives"]
    if cell.startswith("survives "):
        name = cell.removeprefix("survives ")
        return {**facts, "survives": {**survives, name: not survives[name]}}
    if cell == "updates":
        plain = {"decay": 0.99, "variance": "biased", "zero_debiased": False}
        other = "no" if facts["updates"] == "yes" else "yes"
        return {**facts, "updates": other, "rule": None if other == "no" else plain}
    if cell == "decay":
        return {**facts, "rule": {**rule, "decay": 0.95}}
    if cell == "zero_debiased":
        return {**facts, "rule": {**rule, "zero_debiased": not rule["zero_debiased"]}}
    if cell == "variance":
        return {**facts, "rule": {**rule, "variance": OTHER["variance"][rule["variance"]]}}
    if facts["fit"] == "raises" and cell == "fit":
        return {**facts, "fit": "batch", "evaluate": "moving"}
    if cell in OTHER:
        return {**facts, cell: OTHER[cell][facts[cell]]}
    return {**facts, cell: not facts.get(cell, False)}
