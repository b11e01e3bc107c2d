"""All samples at once, as Keras's `fit` takes them: an array, arrays by name, or a tuple of either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def are_arrays(given: Any) -> bool:
    """Whether this is all samples at once: arrays, named ones, or a tuple of them (a list is one of batches)."""
    if _is_array(given):
        return True
    return isinstance(given, tuple | dict) and bool(given) and all(map(_is_array, leaves(given)))


def leaves(given: Any) -> list[Any]:
    """Each array by itself, without what is None."""
    if isinstance(given, dict):
        return [leaf for value in given.values() for leaf in leaves(value)]
    if isinstance(given, tuple | list):
        return [leaf for value in given if value is not None for leaf in leaves(value)]
    return [given]


def rows(given: Any, which: slice | Sequence[int]) -> Any:
    """Some samples of all arrays, by a slice or by their numbers, in the form that was given, without what is None."""
    if isinstance(given, dict):
        return {name: rows(value, which) for name, value in given.items()}
    if isinstance(given, tuple | list):
        return tuple(rows(value, which) for value in given if value is not None)
    if isinstance(which, slice):
        return given[which]
    # TensorFlow's tensors refuse numbers, and a Series of pandas takes them for labels; PyTorch's may be on a device
    array = given if hasattr(given, "detach") else np.asarray(given)
    return array[np.asarray(which)]


def _is_array(value: Any) -> bool:
    return (
        hasattr(value, "shape")
        and hasattr(value, "dtype")
        and hasattr(value, "__getitem__")
        and len(value.shape) > 0
    )
