"""A person's own images: a sub-folder per class, perhaps in train/ and val/ already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from compare.data.dataset import File, ImageData, assemble
from compare.data.image import SUFFIXES
from compare.spec import InputError

PARTS = ("train", "val")
DEPTH = (
    4  # one more folder than train/CLASS/image needs, to notice what lies too deep; ends loops of links too
)


def load_folder(folder: str, positive: str | None = None, skip_unreadable: bool = False) -> ImageData:
    """Load ``FOLDER/CLASS/image`` or ``FOLDER/{train,val}/CLASS/image``, in the order of the sorted names.

    Hidden files, other suffixes than those of JPEG, PNG, BMP and WebP, images outside a class's folder and,
    beside train/ and val/, other folders (test/) are ignored. Every image is decoded once, in threads, to see
    that it is whole.

    Args:
        folder: the folder.
        positive: name of the positive class; None takes the rarer, of two equal ones the alphabetically
            later.
        skip_unreadable: leave unreadable and truncated images out (``ImageData.skipped``).

    Raises:
        InputError: the folder is missing or empty, hasn't two classes, or has images that can't be read (all
            are listed).
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        problem = "not a folder" if root.exists() else "no such folder"
        raise InputError(
            f"--data {folder}: {problem}; it must be 'elpv' or a folder with a sub-folder per class"
        )
    files = find_files(folder, root)
    if not files:
        raise InputError(
            f"--data {folder}: no images; it must hold a sub-folder per class, or train/ and val/ "
            f"with one per class in each, of {', '.join(SUFFIXES)} files"
        )
    return assemble(folder, root, files, positive, skip_unreadable, decode=True)


def find_files(folder: str, root: Path) -> list[File]:
    """Find the class and the part of every image.

    Raises:
        InputError: a folder can't be listed, or an image lies deeper than a class's folder, so that its class
            can't be told.
    """
    try:
        found = [tuple(name.split("/")) for name in sorted(image_names(root, DEPTH))]
    except OSError as error:
        raise InputError(f"--data {folder}: {error.filename} can't be listed: {error.strerror}") from error
    is_split = {names[0] for names in found if len(names) == 3}.issuperset(PARTS)
    if is_split:
        found = [names for names in found if names[0] in PARTS]
    length = 3 if is_split else 2
    for names in found:
        if len(names) > length:
            raise InputError(
                f"--data {folder}: {'/'.join(names)} lies too deep; images must lie in CLASS/, "
                f"or all of them in train/CLASS/ and val/CLASS/"
            )
    return [
        File("/".join(names), names[-2], names[0] if is_split else "")
        for names in found
        if len(names) == length
    ]


def image_names(folder: Path, depth: int, prefix: str = "") -> Iterator[str]:
    """Yield the names of images in ``folder`` and below, ``depth`` levels in all; links are followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if depth > 1:
                    yield from image_names(Path(entry.path), depth - 1, f"{prefix}{entry.name}/")
            elif entry.name.lower().endswith(SUFFIXES):
                yield prefix + entry.name
