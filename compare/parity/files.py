"""Are two weight files, or two directories of dumps, the same: array by array, by name. Trains nothing."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import numpy as np

import keras_impl.files  # reads files without Keras
from compare.parity.figures import Row, Stage, compare, judge
from compare.spec import InputError

Arrays = dict[str, np.ndarray]
BARS = {"float64": 1e-11, "float32": 2e-6, "float16": 1e-3}  # of the less precise of the two


def compare_files(a: Path, b: Path) -> Stage:
    """Compare two files of weights (any of the two frameworks' formats), or two directories of ``.npy``/``.npz``.

    Returns:
        A stage with a row for each name that both have; notes for those that are missing, unexpected or of
        another shape, any of which makes the two different. ``B`` is the reference.

    Raises:
        InputError: one of the two can't be read, or they are a file and a directory.
    """
    if a.is_dir() != b.is_dir() and a.exists() and b.exists():
        raise InputError(f"{a} and {b}: compare two files of weights or two directories of dumps")
    first, second = read(a), read(b)
    stage = Stage("arrays")
    for what, names in (
        ("missing", second.keys() - first.keys()),
        ("unexpected", first.keys() - second.keys()),
    ):
        if names:
            stage.notes.append(f"{len(names)} {what} in {a}: {', '.join(sorted(names))}")
    for name in second:
        if name in first:
            stage.rows.append(_row(name, first[name], second[name]))
    judge(stage)
    if stage.notes and stage.verdict == "same":
        stage.verdict, stage.place = "differs", "names"
    return stage


def _row(name: str, a: np.ndarray, b: np.ndarray) -> Row:
    if not (np.issubdtype(a.dtype, np.floating) and np.issubdtype(b.dtype, np.floating)):
        return compare(name, a.astype(np.float64), b.astype(np.float64), 0.0)
    coarse = min(a.dtype, b.dtype, key=lambda dtype: dtype.itemsize)
    return compare(name, a, b, BARS[str(coarse)])


def read(path: Path) -> Arrays:
    """Read the arrays of a file of weights or of a directory of dumps.

    Raises:
        InputError: there is nothing there, or it can't be read without executing what is in it.
    """
    if path.is_dir():
        return _read_dumps(path)
    try:
        return _in_torch(path) if _is_torchs(path) else keras_impl.files.read(path)[0]
    except ValueError as error:
        raise InputError(str(error)) from error


def _read_dumps(folder: Path) -> Arrays:
    arrays: Arrays = {}
    for path in sorted(folder.rglob("*.np[yz]")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            loaded = np.load(path, allow_pickle=False)
            arrays |= (
                {f"{name}/{key}": loaded[key] for key in loaded} if path.suffix == ".npz" else {name: loaded}
            )
        except (ValueError, OSError, EOFError) as error:
            raise InputError(f"{path} can't be read: {' '.join(str(error).split())}") from error
    if not arrays:
        raise InputError(f"{folder} holds no .npy and no .npz")
    return arrays


def _is_torchs(path: Path) -> bool:
    """Whether only PyTorch can read it: a pickle, or a zip with one."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(4)
        return start.startswith(b"\x80") or (start.startswith(b"PK") and b"data.pkl" in file.read(4096))


def _in_torch(path: Path) -> Arrays:
    """Read in a process of its own, since the frameworks may not share one."""
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            return pool.submit(_torch_read, path).result()
    except BrokenProcessPool:
        raise InputError(f"{path}: the process that read it was killed; out of memory?") from None


def _torch_read(path: Path) -> Arrays:
    from torch_impl import files

    return files.read(path)[0]
