"""A check of a pair as a record that can be checked again: what was compared, with what, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from compare.files import sha256
from compare.pair.asked import Asked, Outcome, Report
from compare.pair.proof import prove
from compare.pair.references import reference
from compare.pair.verdict import as_json
from compare.parity import tolerances
from compare.parity.certificate import FORMAT, other_hashes, other_stages

KIND = "compare pair"


def certificate(asked: Asked, outcome: Outcome, **more: Any) -> dict[str, Any]:
    """The verdict with what it takes to come to it again.

    Args:
        more: what else is to be said, such as the hash of a file that was written.
    """
    return {
        "kind": KIND,
        "format": FORMAT,
        "asked": _written(asked),
        "hashes": hashes(asked),
        **as_json(outcome),
        "tolerances": tolerances.as_dict(outcome.dtype),
        "twin": tolerances.TWIN,
        **more,
    }


def _written(asked: Asked) -> dict[str, Any]:
    """What was asked for, as JSON holds it."""
    plain = {**asdict(asked), "keras": asked.keras.text, "torch": asked.torch.text}
    return {**plain, "map": None if asked.map is None else str(asked.map)}


def hashes(asked: Asked) -> dict[str, str]:
    """sha256 of every file that decides: both models', the map's, the data's. A package's module has none."""
    named = [asked.keras.text, asked.torch.text, asked.data or "", str(asked.map or "")]
    files = [text.rpartition(":")[0] if ".py:" in text else text for text in named]
    return {file: sha256(Path(file)) for file in files if file and Path(file).is_file()}


def check_of(content: dict[str, Any]) -> Asked:
    """What the check was that a certificate is of.

    Raises:
        InputError: a model isn't there any more.
    """
    content["verdict"], content["stages"], content["hashes"].items()
    given = dict(content["asked"])
    keras, torch = (replace(reference(given.pop(name)), framework=name) for name in ("keras", "torch"))
    where = given.pop("map")
    return Asked(keras, torch, **given, map=None if where is None else Path(where))


def again(asked: Asked, report: Report) -> dict[str, Any]:
    """Do a certificate's check again."""
    return certificate(asked, prove(asked, report))


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a repeated check did not reproduce: files, verdicts, places. Figures may move within their bars."""
    lines = other_hashes(old, new)
    if new["verdict"] != old["verdict"]:
        lines.append(f"verdict {new['verdict']}, was {old['verdict']}")
    for key in ("stage", "keras", "torch", "cause"):
        was, now = ((one["first"] or {}).get(key) for one in (old, new))
        if was != now:
            lines.append(f"first difference's {key} {now}, was {was}")
    if old["map"] != new["map"]:
        lines.append("the map is another")
    return [*lines, *other_stages(old["stages"], new["stages"])]


def figures(certificate: dict[str, Any]) -> Any:
    """Every figure, as in `compare.parity.certificate`."""
    return certificate["stages"]
