"""What a framework can't compute in float64: its models are compared in float32, with a word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from compare.pair.asked import Asked
from compare.processes.errors import WorkerError

Made = TypeVar("Made")
# TensorFlow's 3-d pooling on a CPU, and others
NONE = "of double is not in the list of allowed values"
NOTE = "compared in float32: Keras's backend has no float64 for one of the layers"


def in_its_dtype(asked: Asked, work: Callable[[Asked, list[str]], Made]) -> Made:
    """Do something with a pair in the dtype that is asked for, or in float32 where one of its operations has no other.

    Args:
        work: is given what is asked for, and what is to be said about it.
    """
    try:
        return work(asked, [])
    except WorkerError as error:
        if asked.dtype != "float64" or NONE not in str(error):
            raise
    return work(replace(asked, dtype="float32"), [NOTE])
