"""A person's own images in a list: a .csv of paths and labels, as spreadsheets write it."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from unicodedata import normalize

from compare.data.dataset import File, ImageData, assemble
from compare.data.folder import PARTS
from compare.data.image import SUFFIXES
from compare.spec import InputError, counted, some

# What the columns are called, as `_plain` has it; without a line of names the first two are path and label.
PATHS = (
    *("path", "file", "filename", "filepath", "image", "imagepath", "imagefile", "imagename", "imageid"),
    *("imageindex", "img", "imgpath", "imgname", "photo", "picture", "fname", "name", "id", "idcode"),
)
LABELS = (
    *("label", "class", "classname", "classid", "category", "target", "y", "diagnosis", "findinglabel"),
    *("labelname", "groundtruth"),
)
SPLITS = ("split", "part", "set", "subset", "partition")


def load_listing(listing: str, positive: str | None = None, skip_unreadable: bool = False) -> ImageData:
    """Load the images that a .csv lists, in its order.

    A row is a path, relative to the file's own folder or absolute, a label (text or a number) and perhaps a part
    (train, val or test). Of two columns whose names aren't known, the one with files in it is of paths. Commas,
    semicolons, tabs and bars are told apart; text is UTF-8 or UTF-16, else Windows's code page. A path may lack its
    suffix; a row that is there again is left out and counted (``ImageData.notes``).

    Args:
        listing: the file.
        positive, skip_unreadable: as `load_folder`'s.

    Raises:
        InputError: there are no such columns or files, or anything that `load_folder` refuses.
    """
    path = Path(listing).expanduser()
    table = _rows(listing, path)
    header = [_plain(name) for name in table[0]] if table else []
    columns = [
        next((header.index(n) for n in names if n in header), None) for names in (PATHS, LABELS, SPLITS)
    ]
    if columns[:2] == [None, None]:
        columns[:2] = _by_content(table, path.parent)
    if None in columns[:2]:
        if any(column is not None for column in columns[:2]) or not _is_row(table, path.parent):
            raise InputError(
                f"--data {listing}: no columns of paths and labels; it must have {PATHS[0]} and {LABELS[0]}, "
                f"not {some(table[0] if table else []) or 'nothing'}"
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
            files.append(File(_found(path.parent, _portable(name)), normalize("NFC", label), part))
    once = list(dict.fromkeys(files))
    notes = [f"left aside {counted(aside, 'image')} of the test part"] if aside else []
    notes += [f"left out {counted(len(files) - len(once), 'repeated row')}"] if len(once) < len(files) else []
    files = once
    _check(listing, path.parent, files)
    return assemble(listing, path.parent, files, positive, skip_unreadable, decode=True, notes=notes)


def _rows(listing: str, path: Path) -> list[list[str]]:
    """The rows that aren't empty."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"--data {listing}: {error.strerror}") from error
    text = _text(content)
    first, _, rest = text.partition("\n")
    # Excel's own line, which says what separates the cells
    told = re.fullmatch(r"sep=(.)\s*", first)
    separator, text = (told[1], rest) if told else (max(",;\t|", key=first.count), text)
    try:
        return [row for row in csv.reader(text.splitlines(), delimiter=separator) if any(map(str.strip, row))]
    except csv.Error as error:
        raise InputError(f"--data {listing}: not a table of text ({error})") from error


def _text(content: bytes) -> str:
    """Decode what a spreadsheet wrote; a zero byte among the first two means UTF-16, with its mark or without."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in content[:2]:
        encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    else:
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _plain(name: str) -> str:
    """A column's name in small letters without spaces and such, in the singular."""
    plain = re.sub(r"[\W_]", "", name.lower())
    return plain.removesuffix("s") if plain not in ("class", "diagnosis") else plain


def _by_content(table: Sequence[Sequence[str]], folder: Path) -> list[int | None]:
    """The columns of paths and labels below names that aren't known: of two, the one with files in it is of paths."""
    if len(table) < 2 or {len(row) for row in table[:2]} != {2}:
        return [None, None]
    above, below = ([(folder / _portable(cell.strip())).is_file() for cell in row] for row in table[:2])
    if any(above) or sum(below) != 1:
        return [None, None]
    return [below.index(True), below.index(False)]


def _is_row(table: Sequence[Sequence[str]], folder: Path) -> bool:
    """Whether the first line is a row, not names of columns: it has two cells and names a file."""
    return bool(table) and len(table[0]) > 1 and (folder / _portable(table[0][0].strip())).is_file()


def _portable(name: str) -> str:
    """A path with forward slashes, whoever wrote it."""
    return PureWindowsPath(name).as_posix() if "\\" in name else name


def _found(folder: Path, name: str) -> str:
    """A path with the suffix that it lacks, if there is such a file."""
    if (folder / name).is_file():
        return name
    return next((name + suffix for suffix in SUFFIXES if (folder / (name + suffix)).is_file()), name)


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
