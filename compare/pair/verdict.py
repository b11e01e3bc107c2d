"""The verdict as JSON has it."""

from __future__ import annotations

from typing import Any

from compare.pair.arrays import Map
from compare.pair.asked import Outcome

KEYS = ("stage", "keras", "torch", "cause", "figure", "bar", "tried", "code", "text")


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The verdict, the first departure, the map and the stages."""
    first = {key: outcome.first.get(key) for key in KEYS} if outcome.first else None
    return {
        "verdict": outcome.verdict,
        "first": first,
        **map_json(outcome.map),
        "stages": [stage.as_dict() for stage in outcome.stages],
        "notes": outcome.notes,
        "native": outcome.native,
        "versions": outcome.versions,
    }


def map_json(found: Map) -> dict[str, Any]:
    """Which array is which, and what is left."""
    return {
        "map": [
            {"keras": b.keras, "torch": b.torch, "layout": b.layout.name, "why": b.why, **_part(b.part)}
            for b in found.bindings
        ],
        "left": [
            {
                "side": one.side,
                "name": one.name,
                "reason": one.reason,
                "cause": one.cause,
                "candidates": one.candidates,
            }
            for one in found.left
        ],
    }


def _part(part: Any) -> dict[str, Any]:
    """Where in PyTorch's array: first and last element."""
    return {} if part is None else {"part": [int(part.min()), int(part.max())]}
