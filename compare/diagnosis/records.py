"""The records of a diagnosis, and the JSON that they are written as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

Answer = Literal["same", "differs", "not asked"]
# a cause is one of these words, here and in the JSON
CAUSES = (
    "none", "stale-statistics", "foreign-statistics", "batch-noise", "unmixed-batches", "decay", "shared-layer",
    "not-frozen", "mode-override", "mode-in-evaluation", "random-evaluation", "evaluation-changes-state", "dropout",
    "augmentation", "weights-moved", "aggregation", "objective", "metric", "input-scale", "data-differ", "samples",
    "other-weights", "numerics",
)  # fmt: skip

# those of normalisation in the order of its four positions: from the batch's own statistics to the mean of all
# batches', and from there to what is stored
BETWEEN = ("batch-noise", "unmixed-batches", "shared-layer")
STORED = (
    "stale-statistics", "foreign-statistics", "decay", "not-frozen", "other-weights", "input-scale", "numerics",
)  # fmt: skip


@dataclass(frozen=True)
class AuditRow:
    """What one layer does in training and in evaluation, as measured.

    Attributes:
        layer: path in the model.
        kind: name of its class.
        trains: whether parameters of its own train.
        fit, evaluate: what it normalises with (``batch``, ``moving``, ``sample``), or ``on`` and ``off``.
        moves: whether its statistics move in training.
        virgin: whether they are still exactly as they were made.
        calls: how often it is called in a forward pass.
        decay: share of the old moving value that a step keeps.
        epsilon: what it adds to the variance.
        role: ``normalisation``, ``dropout``, ``augmentation``, ``other`` or ``objective``.
        notes: what a reader should know of it, a short text each.
        drift, variance_drift: how far the stored means lie from the data's, in standard deviations, and the natural
            logarithm of the variances' ratio (root of the mean square over the channels); None where there is
            nothing to compare.
    """

    layer: str
    kind: str
    trains: bool
    fit: str
    evaluate: str
    moves: bool
    virgin: bool
    calls: int
    decay: float | None
    epsilon: float | None
    role: str = "normalisation"
    notes: tuple[str, ...] = ()
    drift: float | None = None
    variance_drift: float | None = None


class Shown:
    """A result that a notebook shows by itself, and that can be written as a page: an `Audit`, or a `Diagnosis`."""

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from compare.diagnosis.show import page

        assert isinstance(self, Audit | Diagnosis)
        return page.cell(self)

    def to_html(self, path: str | Path) -> Path:
        """Write a page of its own, self-contained, and return its path.

        Raises:
            OSError: it can't be written.
        """
        from compare.diagnosis.show import page

        assert isinstance(self, Audit | Diagnosis)
        return page.write(self, Path(path))


@dataclass(frozen=True, repr=False)
class Audit(Shown):
    """What every layer that acts differently in training does, and every normalisation layer.

    Attributes:
        framework: ``keras`` or ``torch``.
        model: the model's name.
        rows: a layer each, in the order of the data's way.
        findings: what is wrong whatever the data are.
    """

    framework: str
    model: str
    rows: tuple[AuditRow, ...]
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The audit as JSON can hold it."""
        return {
            "framework": self.framework,
            "model": self.model,
            "findings": [finding.to_json() for finding in self.findings],
            "audit": [plain(row) for row in self.rows],
        }

    def __repr__(self) -> str:
        from compare.diagnosis.show import text

        return text.audited(self)


@dataclass(frozen=True)
class Term:
    """One additive part of the gap.

    Attributes:
        term: its name: one of `CAUSES`, ``batch-composition``, ``variance-shift`` (statistics of what dropout before
            a normalisation made larger) or ``unexplained``.
        value: its share of evaluate minus fit.
        uncertainty: half the spread over the orders in which the switches can be thrown, or over runs.
    """

    term: str
    value: float
    uncertainty: float = 0.0

    # where one is read from a file
    __pydantic_config__ = {"allow_inf_nan": False}  # noqa: RUF012


@dataclass(frozen=True)
class Cure:
    """What to do.

    Attributes:
        text: a sentence.
        code: lines of the framework's own code that run when pasted; empty where there are none.
    """

    text: str
    code: str = ""


@dataclass(frozen=True)
class Finding:
    """One cause that holds.

    Attributes:
        cause: one of `CAUSES`.
        harmful: whether figures or predictions are wrong because of it.
        value: what it adds to evaluate minus fit; 0 where it adds nothing or nobody can say.
        layers: names of the layers that it is about.
        evidence: sentences with the figures that show it.
        cure: what to do.
    """

    cause: str
    harmful: bool
    value: float
    layers: tuple[str, ...] = ()
    evidence: str = ""
    cure: Cure = field(default_factory=lambda: Cure(""))

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON can hold it."""
        return plain(self)


@dataclass(frozen=True)
class Probes:
    """The passes that settle most cases before any term is computed.

    Attributes:
        evaluate_twice: whether two evaluations give the same outputs, the state put back in between.
        state_after_evaluation: whether an evaluation leaves weights and statistics as they were.
        alone_and_in_batch: whether a sample's outputs are the same alone and in its batch.
        restored: whether all state after the diagnosis is that before it, by hash.
        data_twice: whether two passes over fit's data give the same samples.
    """

    evaluate_twice: Answer = "not asked"
    state_after_evaluation: Answer = "not asked"
    alone_and_in_batch: Answer = "not asked"
    restored: Answer = "not asked"
    data_twice: Answer = "not asked"


class HarmfulFindingError(AssertionError):
    """A diagnosis has a finding that the caller wanted to be told of."""


@dataclass(frozen=True, repr=False)
class Diagnosis(Shown):
    """Why fit and evaluate part, for one model.

    Attributes:
        framework: ``keras`` or ``torch``.
        model: the model's name.
        samples: of fit's data.
        reported: the figures that the person saw; None without.
        measured: ``fit_loss`` (as in training, nothing updated), ``evaluate_loss`` and metrics by the same names.
        gap: evaluate minus fit, as reported where it was, as measured otherwise.
        terms: they add up to the gap.
        findings: ranked; empty where there is nothing to say but ``none``.
        audit: what the layers do.
        probes: what settled it.
        notes: what wasn't given or couldn't be asked, a sentence each.
        given: name of an argument -> what was given for it, in words.
    """

    framework: str
    model: str
    samples: int
    reported: Mapping[str, float] | None
    measured: Mapping[str, float]
    gap: float
    terms: tuple[Term, ...]
    findings: tuple[Finding, ...]
    audit: Audit
    probes: Probes
    notes: tuple[str, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def harmful(self) -> bool:
        """Whether any finding is harmful."""
        return any(finding.harmful for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The diagnosis as JSON can hold it."""
        return {
            "framework": self.framework,
            "model": self.model,
            "samples": self.samples,
            "reported": None if self.reported is None else dict(self.reported),
            "measured": dict(self.measured),
            "gap": self.gap,
            "terms": [plain(term) for term in self.terms],
            "findings": [finding.to_json() for finding in self.findings],
            "audit": [plain(row) for row in self.audit.rows],
            "probes": plain(self.probes),
            "notes": list(self.notes),
            "given": dict(self.given),
        }

    def __repr__(self) -> str:
        from compare.diagnosis.show import text

        return text.diagnosed(self)

    def raise_if(self, what: str = "harmful") -> None:
        """Raise where a finding is ``harmful``, or has the cause that is named.

        Raises:
            HarmfulFindingError: there is such a finding.
            ValueError: ``what`` is neither ``harmful`` nor a cause.
        """
        if what not in ("harmful", *CAUSES):
            raise ValueError(f"raise_if takes harmful or a cause ({', '.join(CAUSES)}), not {what!r}")
        found = [f for f in self.findings if (f.harmful if what == "harmful" else f.cause == what)]
        if found:
            raise HarmfulFindingError("; ".join(f"{f.cause}: {f.evidence}" for f in found))


def plain(record: Any) -> dict[str, Any]:
    """A record as a dictionary of what JSON knows, field by field."""
    return {
        item.name: list(value) if isinstance(value, tuple) else value
        for item in fields(record)
        for value in [_plain(getattr(record, item.name))]
    }


def _plain(value: Any) -> Any:
    return asdict(value) if isinstance(value, Cure) else value
