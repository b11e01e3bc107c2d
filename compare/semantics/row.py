"""A measured row: what one spelling does to a layer, as a record with one way in from JSON. Imports no framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from compare.gap.observed import Rule
from compare.gap.reading import validated
from compare.spec import Behaviour

Uses = Literal["batch", "moving", "neither", "raises"]


@dataclass(frozen=True)
class Measured:
    """What a batch normalisation layer does.

    Attributes:
        fit: what training normalises with; ``raises`` where there is no training, only an error.
        updates: whether training moves the moving statistics.
        rule: by which rule; None where nothing moves, or by none that is known.
        gamma_beta_gradient: whether gamma and beta get a gradient.
        gamma_beta_change: whether training changes them.
        evaluate: what evaluation normalises with.
        survives: what a setting may be lost by -> whether training does the same afterwards; None where that can't
            be asked.
        evaluate_updates: whether evaluation moves the moving statistics.
    """

    fit: Uses
    updates: bool
    rule: Rule | None
    gamma_beta_gradient: bool
    gamma_beta_change: bool
    evaluate: Uses
    survives: Mapping[str, bool | None]
    evaluate_updates: bool = False

    @property
    def behaviour(self) -> Behaviour:
        """What two rows must have in common to do the same, the rule of the update aside."""
        return Behaviour(self.fit, self.updates, self.evaluate, affine_trains=self.gamma_beta_change)

    @property
    def cells(self) -> dict[str, object]:
        """Every cell of the table by its name, those of the rule and of what it survives among them."""
        flat = asdict(self)
        rule, survives = flat.pop("rule") or {}, flat.pop("survives")
        flat["updates"] = _said(self.updates)
        return {**flat, **rule, **{f"survives {name}": kept for name, kept in survives.items()}}


@dataclass(frozen=True)
class Row:
    """A spelling, and what was measured of it.

    Attributes:
        spelling: what a person writes, in short.
        code: the code that was run.
        does: what the layer does; None where the row is about an epoch's loss.
        note: what else is to be known.
        epoch_loss: how ``fit``, ``evaluate`` and their forms for generators average an epoch's loss; empty where
            the row is about a layer.
    """

    spelling: str
    code: str
    does: Measured | None
    note: str
    epoch_loss: Mapping[str, str] | None = None

    @property
    def cells(self) -> dict[str, object]:
        """Every cell of the row by its name."""
        return {**(self.does.cells if self.does else {}), **(self.epoch_loss or {})}

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON can hold it."""
        facts = None
        if self.does:
            facts = asdict(self.does) | {"updates": _said(self.does.updates)}
        row = {"spelling": self.spelling, "code": self.code, "facts": facts, "note": self.note}
        return row | ({"epoch_loss": dict(self.epoch_loss)} if self.epoch_loss else {})


def read_row(found: dict[str, Any]) -> Row:
    """Make a row of what was read from JSON.

    Raises:
        compare.gap.reading.RecordError: something is missing or of another type.
    """
    facts = found.get("facts")
    if facts is not None:
        facts = facts | {"updates": {"yes": True, "no": False}.get(facts.get("updates"))}
    return validated(Row, {**found, "does": facts})


def _said(updates: bool) -> str:
    """As the records have it."""
    return "yes" if updates else "no"
