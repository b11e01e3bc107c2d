"""A person's own images in folders: one a class, perhaps in train/ and val/ already, as deep as they like."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from compare.data.dataset import File, ImageData, assemble
from compare.data.image import SUFFIXES, UNREAD
from compare.spec import InputError, counted, some

# What people call the parts of a data set, in small letters.
PARTS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
# Folders that machines leave behind; those that begin with a dot are known by it.
LEFT_BEHIND = ("__MACOSX", "__pycache__", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information")

Path_ = tuple[str, ...]


class Contents(NamedTuple):
    """What lies in a folder, each as the names on the way to it."""

    images: list[Path_]
    others: list[Path_]
    folders: list[Path_]
    bare: list[Path_]


def load_folder(folder: str, positive: str | None = None, skip_unreadable: bool = False) -> ImageData:
    """Load ``FOLDER/CLASS/**/image`` or ``FOLDER/{train,val}/CLASS/**/image``, in the order of the sorted names.

    ``val`` may be called valid, validation or dev; a test part is left aside. What isn't an image, lies outside a
    class's folder, or was left behind by a machine, is ignored and counted (``ImageData.notes``). Every image is
    decoded once, in threads, to see that it is whole.

    Args:
        folder: the folder.
        positive: of two classes, the name of the positive one; None takes the rarer, of two equal ones the
            alphabetically later.
        skip_unreadable: leave unreadable and truncated images out (``ImageData.skipped``).

    Raises:
        InputError: the folder is missing or empty, hasn't two classes, has parts of a data set for classes where
            ``positive`` names none of them, or has images that can't be read.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        problem = "not a folder" if root.exists() else "no such folder"
        raise InputError(
            f"--data {folder}: {problem}; it must be 'elpv', a folder with a sub-folder per class, or a .csv of "
            "paths and labels"
        )
    try:
        found = contents(root)
    except OSError as error:
        raise InputError(f"--data {folder}: {error.filename} can't be listed: {error.strerror}") from error
    files, notes = sorted_into_classes(folder, found)
    if not files:
        outside = f"{counted(len(found.images), 'image')}, but none in a class's folder"
        raise InputError(
            f"--data {folder}: {outside if found.images else 'no images'}; it must hold a sub-folder per class, or "
            f"train/ and val/ with one per class in each, of {', '.join(SUFFIXES)} files{_or_list(folder, found)}"
        )
    _one_folder_too_high(folder, files)
    if positive is None:
        _parts_for_classes(folder, {file.class_name for file in files if not file.part})
    return assemble(folder, root, files, positive, skip_unreadable, decode=True, notes=notes)


def contents(root: Path) -> Contents:
    """List a folder and what is below it, sorted; links are followed, but not round in circles."""
    found = Contents([], [], [], [])
    kinds = {"image": found.images, "other": found.others, "folder": found.folders, "bare": found.bare}
    for path, kind in _walk(root, (), ()):
        kinds[kind].append(path)
    return Contents(*(sorted(paths) for paths in found))


def sorted_into_classes(folder: str, found: Contents) -> tuple[list[File], list[str]]:
    """Tell the class and the part of every image.

    Returns:
        The files, and a sentence for each kind of thing that is left out.

    Raises:
        InputError: two folders could be the validation images, or a class has no image that is read.
    """
    parts = _parts(folder, found.images)
    depth = 2 if parts else 1  # folders above an image, part and class
    files, outside, aside = [], [], []
    split = "val" in parts.values()
    for path in found.images:
        part = parts.get(path[0], "") if parts else ""
        if len(path) <= depth:
            outside.append(path)
        elif parts and part not in ("train", "val"):
            aside.append(path)
        else:
            name = normalize("NFC", path[depth - 1])  # macOS writes an umlaut as two characters
            files.append(File("/".join(path), name, part if split else ""))
    unread = {
        normalize("NFC", path[depth - 1])
        for path in found.others
        if path[-1].lower().endswith(UNREAD) and len(path) > depth and parts.get(path[0]) != "test"
    }
    for name in sorted(unread - {file.class_name for file in files}):
        raise InputError(
            f"--data {folder}: the images of {name} are of a format that isn't read; make them JPEG or PNG"
        )
    return files, _notes(found, outside, aside)


def _parts(folder: str, images: Sequence[Path_]) -> dict[str, str]:
    """The top folders that are parts of a data set -> which; empty where the folder isn't split.

    It is split where train/ holds folders of images, and nothing or another part lies beside it: a class may be
    called train, too.
    """
    deep = dict.fromkeys(path[0] for path in images if len(path) > 2)
    parts = {name: part for name in deep for part, names in PARTS.items() if name.lower() in names}
    if "train" not in parts.values() or (len(deep) > 1 and len(parts) < 2):
        return {}
    for part in PARTS:
        same = [name for name, own in parts.items() if own == part]
        if len(same) > 1:
            raise InputError(
                f"--data {folder}: {' and '.join(f'{name}/' for name in same)} could both be {part}; leave one"
            )
    return parts


def _notes(found: Contents, outside: Sequence[Path_], aside: Sequence[Path_]) -> list[str]:
    """Say what is left out, and how much of it."""
    notes = []
    if found.others or found.folders:
        unread = sum(path[-1].lower().endswith(UNREAD) for path in found.others)
        others = len(found.others) - unread
        files = [f"{counted(unread, 'image')} of other formats"] if unread else []
        files += [f"{counted(others, 'file')} without an image"] if others else []
        folders = [f"{counted(len(found.folders), 'folder')} of a machine's"] if found.folders else []
        named = some(["/".join(path) for path in (*found.others, *found.folders)])
        notes.append(f"ignored {' and '.join(files + folders)}: {named}")
    if found.bare:
        named = some(["/".join(path) for path in found.bare])
        notes.append(f"left out {counted(len(found.bare), 'folder')} without images: {named}")
    if outside:
        named = some(["/".join(path) for path in outside])
        notes.append(f"ignored {counted(len(outside), 'image')} outside a class's folder: {named}")
    for top in dict.fromkeys(path[0] for path in aside):
        count = sum(path[0] == top for path in aside)
        notes.append(f"left aside {counted(count, 'image')} in {top}/: neither trained on nor validated with")
    return notes


def _one_folder_too_high(folder: str, files: Sequence[File]) -> None:
    """Refuse a folder whose only folder holds the classes, as archives have it, with the one that is meant."""
    ways = [file.name.split("/") for file in files]
    inner = sorted({way[1] for way in ways if len(way) > 2})
    if len({way[0] for way in ways}) == 1 and len(inner) > 1 and all(len(way) > 2 for way in ways):
        if ways[0][0].lower() in PARTS["train"]:
            return
        raise InputError(
            f"--data {folder}: found one class ({ways[0][0]}), which holds {some(inner)}; "
            f"are those the classes? Then give {Path(folder) / ways[0][0]}"
        )


def _or_list(folder: str, found: Contents) -> str:
    """What else could be meant: a list that lies in the folder."""
    lists = [
        path[0] for path in found.others if len(path) == 1 and path[0].lower().endswith((".csv", ".tsv"))
    ]
    return f"; or give {Path(folder) / lists[0]}, if that lists them" if lists and found.images else ""


def _parts_for_classes(folder: str, names: Iterable[str]) -> None:
    """Refuse folders that are called as parts of a data set are, where they would be taken for classes."""
    of_part: dict[str, str] = {}
    for name in sorted(names):
        words = re.findall("[a-z]+", name.lower())
        of_part |= {part: name for part, known in PARTS.items() if any(word in known for word in words)}
    if "train" in of_part and len(set(of_part.values())) > 1:
        named = " and ".join(f"{name}/" for name in dict.fromkeys(of_part.values()))
        raise InputError(
            f"--data {folder}: {named} look like parts of a data set, not like classes; parts must be called train, "
            "val and test and hold a folder per class each (of two classes that are called so, name the positive one)"
        )


def _walk(folder: Path, above: Path_, circle: tuple[tuple[int, int], ...]) -> Iterator[tuple[Path_, str]]:
    own = folder.stat()
    circle = (*circle, (own.st_dev, own.st_ino))
    with os.scandir(folder) as entries:
        for entry in entries:
            path = (*above, entry.name)
            if entry.is_dir():
                if entry.name.startswith(".") or entry.name in LEFT_BEHIND:
                    yield path, "folder"
                    continue
                inner = entry.stat()
                if (inner.st_dev, inner.st_ino) not in circle:
                    below = list(_walk(Path(entry.path), path, circle))
                    if not below:
                        yield path, "bare"
                    yield from below
            elif entry.name.startswith(".") or not entry.name.lower().endswith(SUFFIXES):
                yield path, "other"
            elif not (entry.is_file() or entry.is_symlink()):
                # a pipe or a socket, which would never be read to its end
                yield path, "other"
            else:
                yield path, "image"
