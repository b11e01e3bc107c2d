"""A person's own images in a list: a .csv of paths and labels, as spreadsheets write it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from unicodedata import normalize

from compare.data.dataset import File, ImageData, assemble
from compare.data.folder import PARTS
from compare.spec import InputError, some

# What the columns are called, in small letters; without a line of names the first two are path and label.
PATHS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "img", "name", "id")
LABELS = ("label", "class", "class_name", "category", "target", "y", "diagnosis")
SPLITS = ("split", "part", "set", "subset", "partition")


def load_listing(listing: str, positive: str | None = None, skip_unreadable: bool = False) -> ImageData:
    """Load the images that a .csv lists, in its order.

    A row is a path, relative to the file's own folder or absolute, a label (text or a number) and perhaps a part
    (train, val or test). Commas, semicolons and tabs are told apart; text is UTF-8, else Windows's code page.

    Args:
        listing: the file.
        positive, skip_unreadable: as `load_folder`'s.

    Raises:
        InputError: there are no such columns or files, or anything that `load_folder` refuses.
    """
    path = Path(listing).expanduser()
    table = _rows(listing, path)
    header = [name.strip().lower() for name in table[0]] if table else []
    columns = [
        next((header.index(n) for n in names if n in header), None) for names in (PATHS, LABELS, SPLITS)
    ]
    if None in columns[:2]:
        if any(column is not None for column in columns[:2]) or not _is_row(table, path.parent):
            raise InputError(
                f"--data {listing}: no columns of paths and labels; it must have {PATHS[0]} and {LABELS[0]}, "
                f"not {some(header) or 'nothing'}"
            )
        columns = [0, 1, None]
    else:
        table = table[1:]
    files, aside = [], 0
    for number, row in enumerate(table, 1):
        name, label, part = (row[c].strip() if c is not None and c < len(row) else "" for c in columns)
        if not name or not label:
            raise InputError(f"--data {listing}: row {number} has no {'label' if name else 'path'}")
        part = _part(listing, part)
        if part == "test":
            aside += 1
        else:
            files.append(File(_portable(name), normalize("NFC", label), part))
    _check(listing, path.parent, files)
    notes = [f"left aside {aside} images of the test part"] if aside else []
    return assemble(listing, path.parent, files, positive, skip_unreadable, decode=True, notes=notes)


def _rows(listing: str, path: Path) -> list[list[str]]:
    """The rows that aren't empty."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"--data {listing}: {error.strerror}") from error
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        return [row for row in csv.reader(text.splitlines(), delimiter=separator) if any(map(str.strip, row))]
    except csv.Error as error:
        raise InputError(f"--data {listing}: not a table of text ({error})") from error


def _is_row(table: Sequence[Sequence[str]], folder: Path) -> bool:
    """Whether the first line is a row, not names of columns: it has two cells and names a file."""
    return bool(table) and len(table[0]) > 1 and (folder / _portable(table[0][0].strip())).is_file()


def _portable(name: str) -> str:
    """A path with forward slashes, whoever wrote it."""
    return PureWindowsPath(name).as_posix() if "\\" in name else name


def _part(listing: str, word: str) -> str:
    if not word:
        return ""
    for part, names in PARTS.items():
        if word.lower() in names:
            return part
    raise InputError(f"--data {listing}: the part {word!r} is none of train, val and test")


def _check(listing: str, folder: Path, files: Sequence[File]) -> None:
    """Refuse a list without images, with a part for some of them, or with files that aren't there."""
    if not files:
        raise InputError(f"--data {listing}: no images; it must have a row for each, a path and a label")
    without = [file.name for file in files if not file.part]
    if without and len(without) < len(files):
        raise InputError(f"--data {listing}: no part for {some(without)}, though others have one")
    if {file.part for file in files} == {"train"}:
        files[:] = [file._replace(part="") for file in files]  # type: ignore[index]
    missing = [file.name for file in files if not (folder / file.name).is_file()]
    if missing:
        raise InputError(
            f"--data {listing}: {len(missing)} of {len(files)} files aren't there: {some(missing)}"
        )
    twice = len(files) - len({file.name for file in files})
    if twice:
        raise InputError(f"--data {listing}: {twice} images are listed more than once")
