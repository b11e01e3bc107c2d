"""Data: data sets, split, preprocessing and the oversampled stream, one place for both frameworks."""

from __future__ import annotations

from compare.data.dataset import ImageData, kept
from compare.data.elpv import load_elpv
from compare.data.folder import load_folder
from compare.data.preprocess import preprocess
from compare.data.split import split
from compare.data.stream import Batches, Stream, check, resampled_steps_per_epoch

__all__ = [
    "Batches",
    "ImageData",
    "Stream",
    "check",
    "kept",
    "load",
    "preprocess",
    "resampled_steps_per_epoch",
    "split",
]


def load(data: str, positive: str | None = None, skip_unreadable: bool = False) -> ImageData:
    """Load ``elpv`` or a folder of images (a folder of that very name is ``./elpv``).

    Args:
        data: ``elpv``, or a folder as ``load_folder`` describes it.
        positive: name of the positive class; None takes the rarer.
        skip_unreadable: go on without the images that can't be read.

    Raises:
        InputError: there is no such data, it hasn't two classes, or images (all are listed) can't be read.
    """
    if data == "elpv":
        return load_elpv(positive, skip_unreadable)
    return load_folder(data, positive, skip_unreadable)
