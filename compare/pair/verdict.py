"""The verdict as JSON has it."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import Any

from compare.pair.arrays import Map
from compare.pair.asked import First, Outcome


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The verdict, the first departure, the map and the stages."""
    return {
        "verdict": outcome.verdict,
        "first": None if outcome.first is None else _first(outcome.first),
        **map_json(outcome.map),
        "stages": [stage.as_dict() for stage in outcome.stages],
        "notes": outcome.notes,
        "native": outcome.native,
        "versions": outcome.versions,
    }


def _first(first: First) -> dict[str, Any]:
    """The first departure; JSON has no infinite figures."""
    finite = first.figure is not None and isfinite(first.figure)
    return {**asdict(first), "figure": first.figure if finite else None}


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
