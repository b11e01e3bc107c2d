"""One case before the judge: all that was given and measured, and what counts as a difference in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from math import isfinite, isnan, nan

import numpy as np

from compare.diagnosis.measured import Measured
from compare.diagnosis.passes import Passes
from compare.diagnosis.records import Finding, Term
from compare.diagnosis.reported import Reported
from compare.diagnosis.side import Layer, Pass, Step, Subject

# of the larger of both losses: what a term must come to to be named, and to be called harmful
NAMED, HARMFUL = 0.05, 0.10
# of the loss with targets that belong to other samples, and with outputs that are the same for all samples: what is
# nearly nothing
FLOOR, SAME = 0.02, 0.05


@dataclass
class Case:
    """All that a diagnosis is made from.

    Attributes:
        framework: ``keras`` or ``torch``.
        subject: the model, for a question that only some cases raise.
        measured, reported: the figures of both kinds.
        fit, elsewhere: the data; the latter None where evaluation's are fit's.
        limit: samples that may pass side by side.
        batch_size: of fit.
        stepped: whether a ``step`` of the person's own says what the loss is.
        terms, findings: as far as they are found.
    """

    framework: str
    subject: Subject
    measured: Measured
    reported: Reported
    fit: Passes
    elsewhere: Passes | None
    limit: int
    batch_size: int
    terms: list[Term] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    stepped: bool = False

    @property
    def as_in_fit(self) -> float:
        """Loss of a pass as in training."""
        return loss(self.measured.fit)

    @property
    def evaluated(self) -> float:
        """Loss of an evaluation of fit's data."""
        return loss(self.measured.evaluate)

    @property
    def evaluated_elsewhere(self) -> float:
        """Loss of an evaluation of evaluation's own data."""
        return self.evaluated if self.measured.elsewhere is None else loss(self.measured.elsewhere)

    @property
    def said_in_fit(self) -> float:
        """The loss that training reported; as measured where nobody said."""
        return self.reported.fit.get("loss", self.as_in_fit)

    @property
    def said_in_evaluation(self) -> float:
        """The loss that evaluation reported; as measured where nobody said."""
        return self.reported.evaluate.get("loss", self.evaluated_elsewhere)

    @property
    def gap(self) -> float:
        """Evaluate minus fit."""
        return self.said_in_evaluation - self.said_in_fit

    @property
    def floor(self) -> float:
        """A loss that is nothing beside what a network without any skill has."""
        known = [abs(step.shuffled) for step in self._steps() if step.shuffled is not None]
        if not known and self.measured.unskilled is not None and isfinite(self.measured.unskilled):
            known = [abs(self.measured.unskilled)]
        return FLOOR * float(np.mean(known)) if known else 0.0

    @property
    def trifle(self) -> float:
        """The same of a network that says always the same: less than of one that is sure of itself and wrong."""
        known = [abs(step.constant) for step in self._steps() if step.constant is not None]
        return min(self.floor, SAME * float(np.mean(known))) if known else self.floor

    def _steps(self) -> list[Step]:
        steps = (self.measured.fit or self.measured.evaluate).steps
        return [step for step in steps if step.shuffled is not None and isfinite(step.shuffled)]

    def _scale(self) -> float:
        figures = (self.as_in_fit, self.evaluated, self.said_in_fit, self.said_in_evaluation)
        return max((abs(value) for value in figures if isfinite(value)), default=0.0)

    def matters(self, value: float) -> bool:
        """Whether a term is large enough to be named."""
        return isnan(value) or abs(value) > max(NAMED * self._scale(), self.floor, 1e-9)

    def differs(self, value: float) -> bool:
        """Whether a term is a difference at all, however small both losses are."""
        return isnan(value) or abs(value) > max(NAMED * self._scale(), 1e-9)

    def costs(self, value: float, chance: bool = True, floor: float | None = None) -> bool:
        """Whether a term makes evaluation so much worse that it does harm, and not by chance.

        ``chance`` is whether the batches' own differences are: not where the batches are unlike one another;
        ``floor`` is what counts for nothing, `floor` where it isn't given.
        """
        by_chance, floor = self.chance() if chance else 0.0, self.floor if floor is None else floor
        return isnan(value) or value > max(HARMFUL * self._scale(), floor, by_chance, 1e-9)

    def chance(self) -> float:
        """Twice the standard error of evaluate minus fit, from the batches' own differences."""
        if self.measured.fit is None:
            return 0.0
        pairs = zip(self.measured.fit.steps, self.measured.evaluate.steps, strict=False)
        apart = [b.loss - a.loss for a, b in pairs if isfinite(a.loss) and isfinite(b.loss)]
        return 2 * float(np.std(apart)) / len(apart) ** 0.5 if len(apart) > 2 else 0.0

    @cached_property
    def calling(self) -> tuple[str, str]:
        """How a loop over fit's data calls the model, as code: what it unpacks a batch to, and the call."""
        if self.stepped:
            return "batch", "step(model, batch)"
        # Keras's code takes what Keras itself takes
        batch = next(iter(self.fit), None) if self.framework == "torch" else None
        if batch is None:
            return "x, *_", "model(x)"
        if hasattr(batch.raw, "keys"):
            names = list(batch.inputs) if isinstance(batch.inputs, dict) else []
            if names:
                return "batch", f"model(**{{name: batch[name] for name in {names}}})"
            name = next((name for name in batch.raw if batch.raw[name] is batch.inputs), "x")
            return "batch", f"model(batch[{name!r}])"
        several = isinstance(batch.inputs, list | tuple) and batch.inputs is batch.raw[0]
        return "x, *_", "model(*x)" if several else "model(x)"

    def draws(self) -> bool:
        """Whether a pass as in training draws random numbers, for masks or for augmentations."""
        return bool(self.measured.switches & {"dropout", "augmentation"})

    def normalisations(self) -> list[Layer]:
        """The normalisation layers whose evaluation stands on stored statistics and whose training doesn't."""
        return [
            row
            for row in self.measured.layers
            if row.role == "normalisation"
            and row.switch
            and row.evaluate == "moving"
            and row.mean is not None
        ]

    def add(self, term: str, value: float, uncertainty: float = 0.0) -> None:
        """Add a term, to the one of the same name where there is one."""
        for i, known in enumerate(self.terms):
            if known.term == term:
                self.terms[i] = Term(term, known.value + value, known.uncertainty + uncertainty)
                return
        self.terms.append(Term(term, value, uncertainty))

    def has(self, cause: str) -> bool:
        """Whether a finding of that cause was made."""
        return any(finding.cause == cause for finding in self.findings)


def loss(one: Pass | None) -> float:
    """A pass's loss; NaN without a pass."""
    return nan if one is None else one.figures["loss"]


def figure(value: float) -> str:
    """A figure as people read it."""
    return f"{value:.4g}"


def rounding(said: float) -> float:
    """Half a unit of the last digit that a figure was written with; NaN of one that is no finite number."""
    exponent = Decimal(repr(float(said))).as_tuple().exponent
    return 0.5 * 10.0**exponent if isinstance(exponent, int) else nan


def share(value: float) -> float:
    """A share that may be written in percent: 98.4 is 0.984."""
    return value / 100 if 1 < value <= 100 else value
