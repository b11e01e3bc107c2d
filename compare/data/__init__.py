"""Data: data sets, split, preprocessing and the oversampled stream, one place for both frameworks."""

from __future__ import annotations

from pathlib import Path

from compare.data.dataset import ImageData, kept
from compare.data.elpv import load_elpv
from compare.data.folder import load_folder
from compare.data.listing import load_listing
from compare.data.preprocess import preprocess
from compare.data.split import split
from compare.data.stream import Batches, Stream, check, resampled_steps_per_epoch, steps_of

__all__ = [
    "LISTS",
    "Batches",
    "ImageData",
    "Stream",
    "check",
    "kept",
    "load",
    "preprocess",
    "resampled_steps_per_epoch",
    "split",
    "steps_of",
]


LISTS = (".csv", ".tsv", ".txt")


def load(data: str, positive: str | None = None, skip_unreadable: bool = False) -> ImageData:
    """Load ``elpv``, a folder of images, or a .csv that lists some (a folder of that very name is ``./elpv``).

    Args:
        data: ``elpv``, a folder as `load_folder` describes it, or a file as `load_listing` does.
        positive: of two classes, the name of the positive one; None takes the rarer.
        skip_unreadable: go on without the images that can't be read.

    Raises:
        InputError: there is no such data, it hasn't two classes, or images can't be read.
    """
    if data == "elpv":
        return load_elpv(positive, skip_unreadable)
    if Path(data).suffix.lower() in LISTS and not Path(data).is_dir():
        return load_listing(data, positive, skip_unreadable)
    return load_folder(data, positive, skip_unreadable)
