"""Calls are known by their number in a pass; a module that calls other functions in training shifts those behind it."""

from __future__ import annotations

from collections.abc import Sequence

from compare.pair.records import Call


def same_calls(here: list[Call], there: list[Call]) -> dict[int, int]:
    """Map the number of each call of a pass to that of the same call in the other mode's, where it has that."""
    one, other = _places(here), _places(there)
    return {number: other[place] for place, number in one.items() if place in other}


def _places(calls: list[Call]) -> dict[tuple, int]:
    """Each call's number, by the module that makes it, the how many-th there it is, and what it computes."""
    found: dict[tuple, int] = {}
    made: dict[str, int] = {}
    for call in calls:
        made[call.place] = made.get(call.place, 0) + 1
        found[call.place, made[call.place], call.kind] = call.index
    return found


def renumbered(edits: Sequence[dict], numbers: dict[int, int]) -> list[dict]:
    """Changes of calls under other numbers; those of calls that have none are left out."""
    return [{**edit, "call": numbers[edit["call"]]} for edit in edits if edit["call"] in numbers]


def of_both(edits: Sequence[dict], numbers: dict[int, int]) -> list[dict]:
    """Changes of the training pass's calls, and of the same calls of the inference pass.

    Args:
        numbers: inference's -> training's.
    """
    back = {there: here for here, there in numbers.items()}
    trained = [{**edit, "training": True} for edit in edits]
    return [*trained, *({**edit, "training": False} for edit in renumbered(edits, back))]
