"""The one way out to JSON, `to_json`, and the one way in, `read_result`.

Run directories of earlier versions come in by the same way: there an evaluation had a letter, a status was a
sentence, and an explanation had terms of its own and no diagnosis.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from math import isfinite
from typing import Any

from compare.frameworks import FRAMEWORKS
from compare.gap.records import METRICS, CellResult, Explanation, Status


class RecordError(ValueError):
    """JSON isn't the record that it should be; the message says in a line where."""


class NotJSONError(RecordError):
    """A text isn't JSON at all: a file that was cut off, or damaged."""


def to_json(record: Any) -> str:
    """Write a record as JSON, in the order of its fields."""
    return json.dumps(asdict(record), indent=1) + "\n"


def read_result(text: str) -> tuple[CellResult, list[str]]:
    """Read what `to_json` wrote of a cell's result, or an earlier version.

    Returns:
        The result, and a line for each explanation that can't be used; those are left out of it.

    Raises:
        RecordError: it isn't a cell's result.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotJSONError(" ".join(str(error).split())) from error
    if not isinstance(found, dict):
        raise RecordError("not an object")
    entries = found.pop("explanations", [])
    result = validated(CellResult, _of_today(found))
    kept, problems = [], []
    for entry in entries if isinstance(entries, list) else [entries]:
        try:
            kept.append(validated(Explanation, _diagnosed(_with_names(entry), result)))
        except RecordError as error:
            epoch = f"epoch {entry['epoch']!r}: " if isinstance(entry, dict) and "epoch" in entry else ""
            problems.append(f"{epoch}{error}")
    return replace(result, explanations=tuple(kept)), problems


def validated(kind: type, found: object) -> Any:
    """Make a record of what was read from JSON.

    Raises:
        RecordError: something is missing or of another type.
    """
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_json(json.dumps(found), strict=True)
    except ValidationError as error:
        raise RecordError(_problem(error)) from error


@cache
def _adapter(kind: type):
    from pydantic import TypeAdapter  # takes a while to import, and `compare --help` doesn't need it

    return TypeAdapter(kind)


def _problem(error: Any) -> str:
    """Say in a line what is wrong first."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"no {where}"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    given = repr(first["input"])
    given = given if len(given) <= 40 else f"{given[:37]}..."
    return f"{where + ' is ' if where else ''}{given}: {first['msg'][0].lower()}{first['msg'][1:]}"


# ---- what earlier versions wrote

LETTERS = {
    "A": "fit",
    "B": "end_of_epoch",
    "C": "without_dropout",
    "P": "population_with_dropout",
    "D": "population",
    "E": "evaluate",
    "F": "evaluate_reported",
}


def _of_today(found: dict) -> dict:
    """A result as it is written today; one of an earlier version has its reason in the status."""
    status = found.get("status")
    if "reason" in found or not isinstance(status, str):
        return found
    reason = status.removeprefix("failed: ")
    if reason == status:
        return found
    kinds = {"loss is not finite": Status.NOT_FINITE, "the worker died": Status.DIED}
    kind = next((kind for words, kind in kinds.items() if reason.startswith(words)), Status.FAILED)
    return found | {"status": kind.value, "reason": reason}


def _with_names(entry: object) -> object:
    """An explanation whose evaluations have names; one of an earlier version has letters."""
    if not isinstance(entry, dict) or not isinstance(entry.get("evaluations"), dict):
        return entry
    old = entry["evaluations"]
    if not LETTERS.keys() & old.keys():
        return entry
    named = {LETTERS.get(name, name): figures for name, figures in old.items()}
    return entry | {"evaluations": {"population_with_dropout": None} | named}


def _diagnosed(entry: object, cell: CellResult) -> object:
    """An explanation with a diagnosis; one of an earlier version has terms for each metric, and nothing beside them."""
    if not isinstance(entry, dict) or "diagnosis" in entry or not isinstance(entry.get("terms"), dict):
        return entry
    rest = {name: value for name, value in entry.items() if name != "terms"}
    both = {metric: _terms(entry["terms"].get(metric), entry.get("layers")) for metric in METRICS}
    framework = FRAMEWORKS[cell.framework].side if cell.framework in FRAMEWORKS else cell.framework
    diagnosis = {
        "framework": framework,
        "model": cell.name,
        "samples": next(
            (epoch.samples or 0 for epoch in cell.history if epoch.epoch == entry.get("epoch")), 0
        ),
        "reported": None,
        "measured": {},
        "gap": 0.0,
        "terms": both["loss"],
        "findings": [],
        "audit": {"framework": framework, "model": cell.name, "rows": [], "findings": []},
        "probes": {},
    }
    if isinstance(both["loss"], list):
        values = [term.get("value") for term in both["loss"]]
        diagnosis["gap"] = sum(value for value in values if isinstance(value, float) and isfinite(value))
    return rest | {"diagnosis": diagnosis, "accuracy": both["accuracy"]}


def _terms(found: object, layers: object) -> object:
    """Terms by today's names. Of the moving statistics an earlier version didn't say why they are off."""
    if not isinstance(found, dict) or not all(isinstance(term, dict) for term in found.values()):
        return found
    moved = isinstance(layers, list) and any(isinstance(row, dict) and row.get("steps") for row in layers)
    names = {"sample-mix": "samples"}
    names["moving-statistics"] = "stale-statistics" if moved else "foreign-statistics"
    # the spread was the whole of it, and is half of it today
    return [
        {"term": names.get(name, name)} | term | _half(term)
        for name, term in found.items()
        if term.get("value") != 0
    ]


def _half(term: dict) -> dict:
    spread = term.get("uncertainty")
    return {"uncertainty": spread / 2} if isinstance(spread, float) else {}
