"""How far two arrays are apart, and what that amounts to for a stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Any

import numpy as np

from compare.parity.tolerances import rounding


class Verdict(StrEnum):
    """What a stage comes to."""

    SAME = "same"
    DIFFERS = "differs"
    FOLLOWS = "follows"  # differs, as an earlier stage's difference makes it
    EXPLAINED = "explained"  # differs as the frameworks' defaults predict


@dataclass
class Distance:
    """How far one array of a model is from the other model's.

    Attributes:
        name: the layer's or array's neutral name.
        max_abs: largest difference.
        relative: that over the reference's largest value, or over another scale that the bar has; or the
            difference's norm over the reference's, where the bar is for that.
        mean: mean difference over the same scale.
        cosine: of the angle between the two, 1 where they point the same way.
        share: of elements within the bar.
        bar: what ``relative`` may be.
        ulp: ``relative`` in units of rounding.
        keras_ulp, torch_ulp: each one's distance from a float64 run, where there is one.
        step: of the training, from 1; 0 where there is none.
        introduced: whether the difference arises here. None where that can't be told.
        difference: ``relative`` before the terms that the defaults explain were taken out (native numerics).
        note: what else is to be said.
        scale: what ``relative`` is relative to, where it isn't the reference's largest value.
        whole: whether it is of norms.
        twin: how far a twin one rounding away is, where that raised the bar, or made it.
    """

    name: str
    max_abs: float
    relative: float
    mean: float
    cosine: float
    share: float
    bar: float
    ulp: float
    keras_ulp: float | None = None
    torch_ulp: float | None = None
    step: int = 0
    introduced: bool | None = None
    difference: float | None = None
    note: str = ""
    scale: float | None = None
    whole: bool = False
    twin: float | None = None

    @property
    def same(self) -> bool:
        """Whether the difference is within the bar; a difference that isn't a number is not."""
        return self.relative <= self.bar

    @property
    def excess(self) -> float:
        """The difference as a multiple of the bar."""
        if np.isnan(self.relative) or (self.relative and not self.bar):
            return float("inf")
        return self.relative / self.bar if self.bar else 0.0


@dataclass
class Stage:
    """One stage of the check.

    Attributes:
        name: what was compared.
        verdict: see `Verdict`.
        place: where it departs: the first layer in the order of the data, backwards for gradients.
        rows: the arrays compared, the worst step of each.
        notes: lines to print with it.
    """

    name: str
    verdict: Verdict = Verdict.SAME
    place: str = ""
    rows: list[Distance] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def worst(self) -> Distance | None:
        """The row that is furthest above, or nearest below, its bar."""
        return max(self.rows, key=lambda row: row.excess, default=None)

    def as_dict(self) -> dict:
        """The stage as JSON can hold it, which has no NaN and no infinity."""
        rows = [{key: _number(value) for key, value in asdict(row).items()} for row in self.rows]
        return {**asdict(self), "rows": rows}


def compare(
    name: str,
    other: np.ndarray,
    reference: np.ndarray,
    bar: float,
    scale: float | None = None,
    step: int = 0,
    whole: bool = False,
) -> Distance:
    """Compare an array with the reference's.

    Args:
        scale: what the bar is relative to, unless it is the reference's largest value.
        whole: the bar is for the L2 norm of the difference, relative to the reference's.
    """
    if other.shape != reference.shape:
        note = f"shape {other.shape} for {reference.shape}"
        return Distance(name, np.inf, np.inf, np.inf, 0.0, 0.0, bar, np.inf, step=step, note=note)
    wide = np.result_type(reference.dtype, np.float32)
    a, b = np.asarray(other, wide).ravel(), np.asarray(reference, wide).ravel()
    difference = np.abs(a - b)
    largest = float(np.abs(b).max(initial=0.0)) if scale is None else scale
    worst = float(difference.max(initial=0.0))  # NaN stays NaN
    distance, size = (_norm(difference), _norm(b)) if whole else (worst, largest)
    relative = 0.0 if worst == 0 else distance / size if size else float("inf")
    return Distance(
        name,
        max_abs=worst,
        relative=relative,
        mean=float(difference.mean()) / largest if largest else 0.0,
        cosine=_cosine(a, b),
        share=float((difference <= bar * largest).mean()),
        bar=bar,
        ulp=relative / rounding(str(wide)),
        step=step,
        scale=scale,
        whole=whole,
    )


def close(a: Any, b: Any) -> bool:
    """Whether two settings are the same; one of them may have been kept in float32."""
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return bool(np.isclose(a, b, rtol=1e-6, atol=1e-15))
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return all(close(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


def worst_by_name(rows: Iterable[Distance]) -> list[Distance]:
    """Keep each name's worst step, in the order of first appearance."""
    kept: dict[str, Distance] = {}
    for row in rows:
        if row.name not in kept or row.excess > kept[row.name].excess:
            kept[row.name] = row
    return list(kept.values())


def judge(stage: Stage, backwards: bool = False) -> Stage:
    """Give a stage its verdict and the place where it departs."""
    departed = [row for row in stage.rows if not row.same]
    if not departed and any((row.difference or 0) > 1e3 * max(row.relative, 1e-15) for row in stage.rows):
        stage.verdict = Verdict.EXPLAINED
    if departed:
        introduced = [row for row in departed if row.introduced] or departed
        stage.verdict, stage.place = Verdict.DIFFERS, introduced[-1 if backwards else 0].name
    return stage


def _number(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _norm(a: np.ndarray) -> float:
    return float(np.linalg.norm(a))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    length = _norm(a) * _norm(b)
    return float(a @ b) / length if length else float(np.array_equal(a, b))
