"""The map as a file that a person reads, edits and gives back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from compare.files import write as write_whole
from compare.pair.arrays import Map
from compare.spec import InputError


def write(path: Path, found: Map) -> None:
    """Write a map, to be edited and given back; what can't be decided holds its candidates.

    Raises:
        InputError: it can't be written.
    """
    table: dict[str, Any] = {}
    for binding in found.bindings:
        if binding.keras in table:
            known = table[binding.keras]
            table[binding.keras] = [*(known if isinstance(known, list) else [known]), binding.torch]
        else:
            table[binding.keras] = binding.torch
    for one in found.undecided:
        table[one.name] = one.candidates
    try:
        write_whole(path, json.dumps(table, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}") from error


def read(path: Path) -> dict[str, Any]:
    """Read a map file: the layer's path and the weight's name -> PyTorch's name, a list of them, or a table.

    Raises:
        InputError: it can't be read, isn't one, or names an array twice.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{path}: {twice[0]} is there twice")
        return dict(pairs)

    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} isn't JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: a map file is a table of names")
    for name, value in found.items():
        plain = isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, str) for v in value))
        table = (
            isinstance(value, dict)
            and isinstance(value.get("torch"), str)
            and value.keys() <= {"torch", "layout", "part"}
        )
        if not plain and not table:
            raise InputError(
                f"{path}: {name} must be a name, a list of names, or a table with torch, layout and part"
            )
    return found
