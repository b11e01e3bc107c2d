"""The map alone: both models are looked at once, nothing is trained."""

from __future__ import annotations

from compare.pair.arrays import Map
from compare.pair.asked import Asked
from compare.pair.ends import Pair
from compare.pair.kernels import in_its_dtype
from compare.pair.meeting import meet


def find_map(asked: Asked) -> Map:
    """Find the map between two models.

    Raises:
        InputError: a model can't be had or run.
    """
    return in_its_dtype(asked, _found)


def _found(asked: Asked, notes: list[str]) -> Map:
    with Pair(asked.dtype) as pair:
        return meet(pair, asked, lambda line: None).map
