"""A check of a pair as a record that can be checked again: what was compared, with what, and what came of it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from compare.files import sha256
from compare.pair.asked import Asked, Outcome
from compare.pair.references import reference
from compare.pair.verdict import as_json
from compare.parity import tolerances
from compare.spec import InputError

KIND, FORMAT = "compare pair", 1


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
        "tolerances": tolerances.as_dict(asked.dtype),
        "twin": {"factor": tolerances.TWIN_FACTOR, "reason": tolerances.TWIN_REASON},
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


def is_one(path: Path) -> bool:
    """Whether a file is the certificate of a pair; one that can't be read is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def read(path: Path) -> tuple[dict[str, Any], Asked]:
    """Read a certificate, and what was asked for.

    Raises:
        InputError: it isn't whole, or a model isn't there any more.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("format") != FORMAT:
        raise InputError(f"{path} has format {content.get('format')}; this version reads {FORMAT}")
    try:
        given = dict(content["asked"])
        keras, torch = (replace(reference(given.pop(name)), framework=name) for name in ("keras", "torch"))
        where = given.pop("map")
        asked = Asked(keras, torch, **given, map=None if where is None else Path(where))
        content["verdict"], content["stages"], content["hashes"].items()
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no whole certificate of a pair") from error
    return content, asked


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a repeated check did not reproduce: files, verdicts, places. Figures may move within their bars."""
    lines = [
        f"other {name}: sha256 {new['hashes'].get(name)}, was {digest}"
        for name, digest in old["hashes"].items()
        if new["hashes"].get(name) != digest
    ]
    if new["verdict"] != old["verdict"]:
        lines.append(f"verdict {new['verdict']}, was {old['verdict']}")
    for key in ("stage", "keras", "torch", "cause"):
        was, now = ((one["first"] or {}).get(key) for one in (old, new))
        if was != now:
            lines.append(f"first difference's {key} {now}, was {was}")
    if old["map"] != new["map"]:
        lines.append("the map is another")
    again = {stage["name"]: stage for stage in new["stages"]}
    for stage in old["stages"]:
        found = again.get(stage["name"], {"verdict": "missing", "place": ""})
        if (found["verdict"], found["place"]) != (stage["verdict"], stage["place"]):
            was, now = (f"{one['verdict']} {one['place']}".strip() for one in (stage, found))
            lines.append(f"{stage['name']}: {now}, was {was}")
    return lines


def written(path: Path, old: dict[str, Any]) -> list[str]:
    """What isn't as a port left it: the file beside its certificate.

    Args:
        path: of the certificate.
    """
    name = path.with_name(path.name.removesuffix(".certificate.json"))
    if "sha256" not in old or name == path:
        return []
    if not name.is_file():
        return [f"{name} isn't there"]
    digest = sha256(name)
    return [] if digest == old["sha256"] else [f"other {name}: sha256 {digest}, was {old['sha256']}"]
