"""A person's own images in a list: a .csv of paths and labels, as spreadsheets write it."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from io import StringIO
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
VALIDATES = ("isvalid", "isval", "isvalidation")
FLAGS = {"true": "val", "1": "val", "yes": "val", "false": "train", "0": "train", "no": "train"}
PART_OF = {word: part for part, words in PARTS.items() for word in words}


def load_listing(listing: str, positive: str | None = None, skip_unreadable: bool = False) -> ImageData:
    """Load the images that a .csv lists, in its order.

    A row is a path, relative to the file's own folder or absolute, a label (text or a number) and perhaps a part
    (train, val or test). Of two columns whose names aren't known, the one with files in it is of paths. Commas,
    semicolons, tabs, bars and a blank before the label are told apart; text is UTF-8 or UTF-16, else Windows's code
    page. A path may lack its suffix, or the one sub-folder that all lie in; a column of parts may have any name, or be
    ``is_valid``. A row that is there again is left out and counted (``ImageData.notes``).

    Args:
        listing: the file.
        positive, skip_unreadable: as `load_folder`'s.

    Raises:
        InputError: there are no such columns or files, or anything that `load_folder` refuses.
    """
    path = Path(listing).expanduser()
    columns, means, table = _columns(listing, path, _rows(listing, path))
    files, aside = [], 0
    for number, row in enumerate(table, 1):
        name, label, part = (row[c].strip() if c is not None and c < len(row) else "" for c in columns)
        if not name or not label:
            raise InputError(f"--data {listing}: row {number} has no {'label' if name else 'path'}")
        part = _part(listing, part, means)
        if part == "test":
            aside += 1
        else:
            files.append(File(_portable(name), normalize("NFC", label), part))
    once = list(dict.fromkeys(files))
    notes = [f"left aside {counted(aside, 'image')} of the test part"] if aside else []
    notes += [f"left out {counted(len(files) - len(once), 'repeated row')}"] if len(once) < len(files) else []
    files, below = _found(path.parent, once)
    notes += [f"took the paths as of {below}/"] if below else []
    _check(listing, path.parent, files)
    return assemble(listing, path.parent, files, positive, skip_unreadable, decode=True, notes=notes)


def _columns(
    listing: str, path: Path, table: Sequence[Sequence[str]]
) -> tuple[list[int | None], Mapping[str, str], Sequence[Sequence[str]]]:
    """The columns of path, label and part; what is meant by the words of the last; and the rows below the names."""
    header = [_plain(name) for name in table[0]] if table else []
    columns = [
        next((header.index(n) for n in names if n in header), None)
        for names in (PATHS, LABELS, (*SPLITS, *VALIDATES))
    ]
    if columns[:2] == [None, None]:
        columns[:2] = _by_content(table, path.parent)
    if None not in columns[:2]:
        if columns[2] is None:
            columns[2] = _of_parts(table, columns)
        flag = columns[2] is not None and header[columns[2]] in VALIDATES
        return columns, FLAGS if flag else PART_OF, table[1:]
    if any(column is not None for column in columns[:2]) or not _is_row(table, path.parent):
        raise InputError(
            f"--data {listing}: no columns of paths and labels; it must have {PATHS[0]} and {LABELS[0]}, "
            f"not {some(table[0] if table else []) or 'nothing'}"
        )
    return [0, 1, None], PART_OF, table


def _of_parts(table: Sequence[Sequence[str]], taken: Sequence[int | None]) -> int | None:
    """The column, whatever it is called, that holds nothing but the words for two parts or more."""
    for column in range(len(table[0])):
        words = {row[column].strip().lower() if column < len(row) else "" for row in table[1:]}
        if column not in taken and words <= PART_OF.keys() and len({PART_OF[word] for word in words}) > 1:
            return column
    return None


def _rows(listing: str, path: Path) -> list[list[str]]:
    """The rows that aren't empty."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"--data {listing}: {error.strerror}") from error
    if content[:4] in (b"PK\3\4", b"\xd0\xcf\x11\xe0"):
        raise InputError(f"--data {listing}: a workbook, as Excel keeps it; save the sheet as .csv")
    text = _text(content)
    if "\0" in text:
        raise InputError(f"--data {listing}: not a table of text")
    first, _, rest = text.partition("\n")
    # Excel's own line, which says what separates the cells
    told = re.fullmatch(r"sep=(.)\s*", first)
    separator, text = (told[1], rest) if told else (max(",;\t|", key=first.count), text)
    if separator not in first and not told and len(first.split()) > 1:
        # lists as Caffe takes them: a path, a blank and a label
        return [line.rsplit(None, 1) for line in text.splitlines() if line.strip()]
    try:
        rows = csv.reader(StringIO(text, newline=""), delimiter=separator)
        return [row for row in rows if any(map(str.strip, row))]
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


def _found(folder: Path, files: Sequence[File]) -> tuple[list[File], str]:
    """The files, each with the suffix that it lacks, and the folder that they lie in if it isn't the list's own.

    Where none of the paths leads to a file, those of a sub-folder are meant in which all do, if it is the only one.
    """
    here = [_with_suffix(folder, file) for file in files]
    if not files or any((folder / file.name).is_file() for file in here):
        return here, ""
    ways = []
    for below in (path.name for path in folder.iterdir() if path.is_dir()):
        there = [_with_suffix(folder, file._replace(name=f"{below}/{file.name}")) for file in files]
        if all((folder / file.name).is_file() for file in there):
            ways.append((there, below))
    return ways[0] if len(ways) == 1 else (here, "")


def _with_suffix(folder: Path, file: File) -> File:
    if (folder / file.name).is_file():
        return file
    longer = (file.name + suffix for suffix in SUFFIXES)
    return file._replace(name=next((name for name in longer if (folder / name).is_file()), file.name))


def _part(listing: str, word: str, means: Mapping[str, str]) -> str:
    if not word:
        return ""
    if word.lower() not in means:
        allowed = "train, val and test" if means is PART_OF else "true and false"
        raise InputError(f"--data {listing}: the part {word!r} is none of {allowed}")
    return means[word.lower()]


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
            f"--data {listing}: {len(missing)} of {len(files)} files aren't there, seen from {folder}: {some(missing)}"
        )
