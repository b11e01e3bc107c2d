"""Are two weight files, or two directories of dumps, the same: array by array, by name. Trains nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import numpy as np

from compare.parity.figures import Distance, Stage, Verdict, compare, judge
from compare.spec import InputError, some
from compare.weights import reading

Arrays = dict[str, np.ndarray]
# of the less precise of the two; of complex numbers, of each of their parts
BARS = {"float64": 1e-11, "float32": 2e-6, "float16": 1e-3}


@dataclass
class ArrayRow(Distance):
    """Two arrays of a name compared; ``exact``: they are the same bit for bit, in the same type."""

    exact: bool = False


def compare_files(a: Path, b: Path) -> Stage:
    """Compare two files of weights (any of the two frameworks' formats), or two directories of ``.npy``/``.npz``.

    Floating-point numbers may be apart by rounding (`BARS`); anything else must be equal. What isn't finite must
    stand at the same places in both.

    Returns:
        A stage with an `ArrayRow` for each name that both have; notes for those that are missing, unexpected or of
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
            stage.notes.append(f"{len(names)} {what} in {a}: {some(sorted(names))}")
    for name in second:
        if name in first:
            stage.rows.append(compare_arrays(name, first[name], second[name]))
    judge(stage)
    if stage.notes and stage.verdict == Verdict.SAME:
        stage.verdict, stage.place = Verdict.DIFFERS, "names"
    if not stage.rows and not stage.notes:
        raise InputError(f"{a} and {b} hold no arrays that could be compared")
    return stage


def compare_arrays(name: str, a: np.ndarray, b: np.ndarray) -> ArrayRow:
    """Compare two arrays of any type; ``b`` is the reference."""
    kinds = {array.dtype.kind for array in (a, b)}
    if a.shape != b.shape:
        return _row(compare(name, np.zeros(a.shape), np.zeros(b.shape), 0.0))
    exact = a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if exact or not a.size:
        return ArrayRow(name, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, exact=exact)
    if kinds <= {"f"}:
        return _floats(name, a, b)
    if kinds == {"c"}:
        row = _floats(name, *(np.stack([array.real, array.imag]) for array in (a, b)))
        return replace(row, name=name)
    return _exactly(name, a, b)


def _row(row: Distance, **changes: object) -> ArrayRow:
    return ArrayRow(**{**vars(row), **changes})


def _floats(name: str, a: np.ndarray, b: np.ndarray) -> ArrayRow:
    """Compare floating-point numbers: those that aren't finite must be the same, the others within rounding."""
    coarse = min(a.dtype, b.dtype, key=lambda dtype: dtype.itemsize)
    bar = BARS.get(str(coarse), BARS["float64"])
    finite = np.isfinite(a) & np.isfinite(b)
    if not finite.all():
        odd = ~finite
        if not np.array_equal(a[odd].astype(np.float64), b[odd].astype(np.float64), equal_nan=True):
            counts = [int((~np.isfinite(array)).sum()) for array in (a, b)]
            note = f"{counts[0]} values that are not finite, {counts[1]} in the reference"
            return ArrayRow(name, inf, inf, inf, 0.0, float(finite.mean()), bar, inf, note=note)
        a, b = a[finite], b[finite]
    if not a.size:
        return ArrayRow(name, 0.0, 0.0, 0.0, 1.0, 1.0, bar, 0.0)
    return _row(compare(name, a, b, bar))


def _exactly(name: str, a: np.ndarray, b: np.ndarray) -> ArrayRow:
    """Compare integers, truth values, texts and dates, which must be equal; so must their kinds."""
    note = "" if a.dtype == b.dtype else f"{a.dtype} for {b.dtype}"
    alike = a.dtype.kind == b.dtype.kind or {a.dtype.kind, b.dtype.kind} <= set("iu")
    equal = np.asarray(a == b) if alike else np.zeros(a.shape, bool)
    if equal.all():
        return ArrayRow(name, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, note=note)
    apart = inf
    if a.dtype.kind in "iub" and b.dtype.kind in "iub":
        apart = float(np.abs(a.astype(np.longdouble) - b.astype(np.longdouble)).max())
    relative = apart / max(float(np.abs(b.astype(np.longdouble)).max()), 1.0) if apart < inf else inf
    share = float(equal.mean())
    # 2**53 and its neighbour are 1 apart, which must not be taken for nothing
    return ArrayRow(name, apart, max(relative, 5e-324), relative, 0.0, share, 0.0, inf, note=note)


def read(path: Path) -> Arrays:
    """Read the arrays of a file of weights or of a directory of dumps.

    Raises:
        InputError: there is nothing there, or it can't be read without executing what is in it.
    """
    if path.is_dir() and any(path.rglob("*.np[yz]")):
        return _read_dumps(path)
    return reading.read(path).arrays


def _read_dumps(folder: Path) -> Arrays:
    arrays: Arrays = {}
    for path in sorted(folder.rglob("*.np[yz]")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            loaded = np.load(path, allow_pickle=False)
            arrays |= (
                {f"{name}/{key}": loaded[key] for key in loaded} if path.suffix == ".npz" else {name: loaded}
            )
        except (ValueError, OSError, EOFError, MemoryError, SyntaxError) as error:
            raise InputError(f"{path} can't be read: {' '.join(str(error).split())[:200]}") from error
    return arrays
