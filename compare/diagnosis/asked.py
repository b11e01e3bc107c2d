"""What a person gave for a diagnosis and what not, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compare.diagnosis.passes import Passes
from compare.diagnosis.reported import Reported


def asked(
    fit: Passes, elsewhere: Passes | None, reported: Reported, calls: Mapping[str, Any], limit: int
) -> dict[str, str]:
    """Name of an argument -> what was given for it.

    Args:
        fit, elsewhere: the data; the latter None where evaluation's are fit's.
        reported: the figures that were seen.
        calls: ``loss``, ``step``, ``metrics`` -> what was given; what wasn't is left out.
        limit: samples that may pass side by side.
    """
    figures = ", ".join(f"{name} {value:.4g}" for name, value in reported.given.items())
    found = {
        "data": _data(fit),
        "evaluate_data": "nothing, so fit's data stand for it" if elsewhere is None else _data(elsewhere),
        "reported": figures or "nothing",
    }
    found |= {name: _name(value) for name, value in calls.items() if value is not None}
    if reported.modes:
        found["modes"] = f"seen inside the step, of {len(reported.modes)} modules"
    return found | {"limit": f"{limit} samples side by side"}


def _data(passes: Passes) -> str:
    sizes = passes.look.batches
    kind = "arrays" if passes.data.arrays else type(passes.data.given).__name__
    batches = "one batch" if len(sizes) == 1 else f"{len(sizes)} batches of {max(sizes)}"
    return f"{kind}, {passes.look.size} samples in {batches}"


def _name(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(map(str, value))
    return str(getattr(value, "__name__", type(value).__name__))
