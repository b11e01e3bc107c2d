"""Why fit and evaluate part in an epoch, as a cell's result keeps it: checked, and averaged over the seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal

Metric = Literal["loss", "accuracy"]

METRICS: tuple[Metric, ...] = ("loss", "accuracy")
# the terms that every explanation has, in the order in which they add up from fit to evaluate
TERMS = {
    "weights-moved": "weights moved",
    "dropout": "dropout",
    "batch-noise": "batch noise",
    "moving-statistics": "moving statistics",
}
FURTHER = {"sample-mix": "another mix of samples"}
SUMMARIES = ("mean_drift", "log_variance_ratio", "kl")


@dataclass(frozen=True)
class Explained:
    """One policy in one framework, explained at an epoch of each seed; figures are averages over the seeds.

    Attributes:
        entries: seed -> the entry of its ``explanations``.
    """

    entries: dict[int, dict] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether any seed was explained."""
        return bool(self.entries)

    @property
    def terms(self) -> list[str]:
        """The terms, in the order in which they add up; those that not every explanation has come last."""
        own = {name: None for entry in self.entries.values() for name in entry["terms"]["loss"]}
        return [*TERMS, *(name for name in own if name not in TERMS)]

    @property
    def epochs(self) -> list[int]:
        """The epoch of each seed."""
        return [entry["epoch"] for entry in self.entries.values()]

    def values(self, term: str, metric: Metric = "loss") -> dict[int, float]:
        """A term of every seed; 0 where a seed hasn't got it."""
        return {
            seed: entry["terms"][metric].get(term, {"value": 0.0})["value"]
            for seed, entry in self.entries.items()
        }

    def term(self, term: str, metric: Metric = "loss") -> float:
        """A term."""
        return fmean(self.values(term, metric).values())

    def uncertainty(self, term: str, metric: Metric = "loss") -> float:
        """How much a term depends on the order in which dropout and BN are switched."""
        found = (entry["terms"][metric].get(term) for entry in self.entries.values())
        return fmean(own["uncertainty"] if own else 0.0 for own in found)

    def gap(self, metric: Metric = "loss") -> float:
        """Evaluate minus fit: what the terms add up to."""
        return math.fsum(self.term(name, metric) for name in self.terms)

    def gaps(self, metric: Metric = "loss") -> dict[int, float]:
        """Evaluate minus fit, seed by seed."""
        return {
            seed: math.fsum(term["value"] for term in entry["terms"][metric].values())
            for seed, entry in self.entries.items()
        }

    def evaluation(self, letter: str, metric: Metric = "loss") -> float:
        """What one of the evaluations A (fit) to E (evaluate) gave; D has the population's statistics."""
        return fmean(entry["evaluations"][letter][metric] for entry in self.entries.values())

    @property
    def penalty(self) -> float:
        """What of the loss, fit's and evaluate's alike, is a penalty on the weights."""
        return fmean(entry.get("penalty", 0.0) for entry in self.entries.values())

    def stages(self, metric: Metric = "loss") -> dict[str, float]:
        """The part of the term ``moving-statistics`` that goes where a stage alone gets the population's."""
        stages: dict[str, list[float]] = {}
        for entry in self.entries.values():
            for name, part in entry["stages"].items():
                stages.setdefault(name, []).append(part[metric])
        return {name: fmean(parts) for name, parts in stages.items()}

    @property
    def layers(self) -> list[dict]:
        """The BN layers in order: ``layer``, ``stage``, decay and steps, and the medians over the channels."""
        rows: dict[str, list[dict]] = {}
        for entry in self.entries.values():
            for row in entry["layers"]:
                rows.setdefault(row["layer"], []).append(row)
        facts = ("layer", "stage", "decay", "steps", "steps_needed")
        return [
            {name: own[0][name] for name in facts}
            | {name: fmean(row[name]["median"] for row in own) for name in SUMMARIES}
            for own in rows.values()
        ]

    @property
    def late(self) -> dict | None:
        """The layer that lacks most update steps for its decay; None where none does."""
        late = [row for row in self.layers if row["steps_needed"] and row["steps"] < row["steps_needed"]]
        return max(late, key=lambda row: row["steps_needed"] - row["steps"], default=None)

    @property
    def worst(self) -> dict | None:
        """The layer whose moving statistics are furthest from the population's, by the divergence."""
        return max(self.layers, key=lambda row: row["kl"], default=None)


def label(term: str) -> str:
    """A term as people say it."""
    return (TERMS | FURTHER).get(term, term.replace("-", " "))


def usable(cell: dict) -> list[dict]:
    """The explanations of a cell that can be used; cells of earlier versions have none."""
    found = cell.get("explanations")
    return [entry for entry in found if not problem(entry)] if isinstance(found, list) else []


def problem(entry: Any) -> str:
    """Say what is wrong with an entry of ``explanations``; nothing where it can be used."""
    try:
        if not isinstance(entry["epoch"], int):
            return f"epoch is {entry['epoch']!r}"
        absent = [name for metric in METRICS for name in TERMS if name not in entry["terms"][metric]]
        numbers = [
            term[key] for m in METRICS for term in entry["terms"][m].values() for key in ("value", "uncertainty")
        ]  # fmt: skip
        numbers += [entry["evaluations"][letter][metric] for letter in "ABCDE" for metric in METRICS]
        numbers += [part[metric] for part in entry["stages"].values() for metric in METRICS]
        numbers.append(entry.get("penalty", 0.0))
        for row in entry["layers"]:
            numbers += [row[name]["median"] for name in SUMMARIES]
            numbers += [row[key] for key in ("decay", "steps", "steps_needed") if row[key] is not None]
            if not isinstance(row["layer"], str) or not isinstance(row["stage"], str):
                return "a layer without a name or stage"
    except (KeyError, TypeError, AttributeError) as error:
        return f"{_where(entry)}no {error}" if isinstance(error, KeyError) else "not of the right form"
    if absent:
        return f"{_where(entry)}no term {absent[0]}"
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        return f"{_where(entry)}a figure that isn't a number"
    return ""


def _where(entry: Any) -> str:
    """``epoch 3: `` where that much can be read."""
    return f"epoch {entry['epoch']}: " if isinstance(entry, dict) and "epoch" in entry else ""
