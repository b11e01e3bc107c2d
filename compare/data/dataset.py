"""The record of a data set: which files, of which class, and how one of them is read."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np

from compare.data.cache import Cache
from compare.data.image import check_image, read_image, reason
from compare.spec import InputError, choose, counted, some

CHUNK = 64  # files a task of the thread pool: a future for each of 100,000 files would be memory for nothing


class File(NamedTuple):
    """An image file.

    Attributes:
        name: relative to the data set's folder, or absolute.
        class_name: the class.
        part: ``train``, ``val`` or empty.
        group: images of one group are as good as copies of each other, so that a split keeps them together.
    """

    name: str
    class_name: str
    part: str = ""
    group: int | None = None


@dataclass(frozen=True, eq=False)
class ImageData:
    """The images of two classes or more: their files, checked, and not their pixels.

    It pickles without the images that it has decoded, so that a worker gets it in a moment.

    Attributes:
        name: ``elpv``, or the folder or list as given.
        root: the folder that ``names`` are relative to.
        names: the files, with forward slashes; the position is the image's index.
        classes: (negative, positive) of two; of more, their names sorted.
        labels: unsigned (N,), an image's class; of two, 1 = positive.
        split: uint8 (N,), 0 = train, 1 = val; None where the data isn't split already.
        groups: int64 (N,), images that a split keeps together; None where each stands for itself.
        sha256: hex digest over labels, names and file contents.
        skipped: names of the unreadable files that were left out.
        notes: a sentence each on what a person should know of the data.
        cache: decoded images, a bounded amount.
    """

    name: str
    root: Path
    names: tuple[str, ...]
    classes: tuple[str, ...]
    labels: np.ndarray
    split: np.ndarray | None
    groups: np.ndarray | None
    sha256: str
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cache: Cache = field(default_factory=Cache, repr=False)

    @property
    def outputs(self) -> int:
        """Columns of a label: 1 of two classes, else one a class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    def read(self, index: int, size: int) -> np.ndarray:
        """Image ``index`` as uint8 (size, size, 3), RGB, 0..255; read-only, for it may be the cache's own.

        Raises:
            InputError: the file can't be read any more.
        """
        return self.cache.get((int(index), size), lambda: self._decode(index, size))

    def _decode(self, index: int, size: int) -> np.ndarray:
        path = self.root / self.names[index]
        try:
            return read_image(path, size)
        except Exception as error:
            raise InputError(f"image {path} can't be read: {reason(error)}") from error


_kept: dict[str, ImageData] = {}


def kept(data: ImageData) -> ImageData:
    """The data set that an earlier call in this process was given where it is the same, with what it has decoded.

    Each cell brings the data set anew into its worker; of two different ones the later is kept.
    """
    key = f"{data.sha256} {data.root}"
    if key not in _kept:
        _kept.clear()
        _kept[key] = data
    return _kept[key]


def assemble(
    name: str,
    root: Path,
    files: Sequence[File],
    positive: str | None,
    skip_unreadable: bool,
    decode: bool,
    notes: Sequence[str] = (),
) -> ImageData:
    """Check, count and hash ``files``, in the order given, and make the record of them.

    Args:
        name: the data set's name.
        root: the folder that the files' names are relative to.
        files: at least one of each of two classes.
        positive: of two classes, the name of the positive one; None takes the rarer, of two equal ones the
            alphabetically later.
        skip_unreadable: leave files out that can't be read.
        decode: decode every file, in threads, to see that it is whole; else only read its bytes.
        notes: what is known of the data already.

    Raises:
        InputError: there aren't two classes, ``positive`` is none, or files can't be read.
    """
    classes_of(name, files, positive)
    digests, problems = inspect(root, files, decode)
    if problems and not skip_unreadable:
        listed = some([f"{file} ({why})" for file, why in problems.items()], 10)
        raise InputError(
            f"--data {name}: {len(problems)} of {len(files)} images can't be read "
            f"(--skip-unreadable goes on without them): {listed}"
        )
    files = [file for file in files if file.name not in problems]
    classes = classes_of(name, files, positive)
    label = {name: index for index, name in enumerate(classes)}
    labels = np.array([label[file.class_name] for file in files], np.min_scalar_type(len(classes)))
    split = np.array([file.part == "val" for file in files], np.uint8) if files[0].part else None
    groups = np.array([file.group for file in files], np.int64) if files[0].group is not None else None
    names = tuple(file.name for file in files)
    digest = sha256(names, labels, (digests[name] for name in names))
    notes = (*notes, *copies(files, digests))
    return ImageData(name, root, names, classes, labels, split, groups, digest, tuple(problems), notes)


def copies(files: Sequence[File], digests: Mapping[str, bytes]) -> list[str]:
    """Say how many images are the same file as another: in two classes, in both parts, or just so."""
    same: dict[bytes, list[File]] = {}
    for file in files:
        same.setdefault(digests[file.name], []).append(file)
    groups = [group for group in same.values() if len(group) > 1]
    kinds = {
        "in more than one class": [g for g in groups if len({file.class_name for file in g}) > 1],
        "both trained on and validated with": [g for g in groups if len({file.part for file in g}) > 1],
        "there more than once, so that training and validation can share them": [
            g for g in groups if not g[0].part and len({file.class_name for file in g}) == 1
        ],
    }
    return [
        f"{counted(len(own), 'image')} {what}:"
        f" {some([' = '.join(file.name for file in group[:2]) for group in own], 3)}"
        for what, own in kinds.items()
        if own
    ]


def classes_of(name: str, files: Sequence[File], positive: str | None) -> tuple[str, ...]:
    """Return the classes of the files: of two (negative, positive), of more their names sorted.

    Raises:
        InputError: there aren't two classes or more, in each part of split data, or ``positive`` is none of two.
    """
    counts = Counter(file.class_name for file in files)
    names = sorted(counts, key=_in_order(counts))
    if len(names) < 2:
        found = f"one class ({names[0]})" if names else "no images"
        raise InputError(
            f"--data {name}: found {found}; it must be two classes or more, a sub-folder of images each"
        )
    missing = {(file.part, c) for file in files for c in names} - {
        (file.part, file.class_name) for file in files
    }
    if missing:
        part, absent = min(missing)
        raise InputError(f"--data {name}: {part}/ has no images of class {absent}; it must have all classes")
    if len(names) > 2:
        if positive is not None:
            raise InputError(
                f"--positive {positive}: of two classes one is positive; {name} has {len(names)}"
            )
        return tuple(names)
    if positive is None:
        positive = min(reversed(names), key=lambda c: counts[c])
    positive = choose("positive class", normalize("NFC", positive), names)
    return (names[1 - names.index(positive)], positive)


def _in_order(names: Iterable[str]) -> Callable[[str], Any]:
    """By what names are sorted: numbers by their value, so that 10 comes after 9, others as text."""
    try:
        number = {name: float(name) for name in names}
    except ValueError:
        return str
    return lambda name: (number[name], name)


def inspect(root: Path, files: Sequence[File], decode: bool) -> tuple[dict[str, bytes], dict[str, str]]:
    """Read every file: (name -> SHA-256 of its bytes, name -> why it can't be read)."""

    def look(chunk: Sequence[File]) -> list[tuple[str, bytes, str]]:
        return [(file.name, *inspect_file(root / file.name, decode)) for file in chunk]

    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    # Pillow and hashlib release the GIL; what Pillow warns of (an odd EXIF block, a large image) hinders nothing
    with ThreadPoolExecutor(os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [row for rows in pool.map(look, chunks) for row in rows]
    problems = {name: why for name, _, why in found if why}
    return {name: digest for name, digest, _ in found}, problems


def inspect_file(path: Path, decode: bool) -> tuple[bytes, str]:
    """Return (SHA-256 of the file's bytes, why it can't be read or nothing)."""
    try:
        content = path.read_bytes()
        if decode:
            check_image(content)
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
        return b"", reason(error)
    return hashlib.sha256(content).digest(), ""


def sha256(names: Iterable[str], labels: np.ndarray, digests: Iterable[bytes]) -> str:
    """Hash label, name and content of every image, in order."""
    total = hashlib.sha256()
    for name, label, digest in zip(names, labels, digests, strict=True):
        total.update(label.tobytes() + os.fsencode(name) + b"\0" + digest)
    return total.hexdigest()
