"""A person's own data for a pair: batches of inputs and targets, as Keras takes them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from compare.data.folder import contents
from compare.data.image import read_image
from compare.given.code import is_code
from compare.pair.ends import Pair
from compare.pair.inputs import BATCH
from compare.pair.references import reference
from compare.spec import InputError

Arrays = list[np.ndarray]


def read(pair: Pair, given: str, wanted: list[dict], steps: int) -> tuple[list[Arrays], list[Arrays]]:
    """Read data and cut them into a batch for each step and one to evaluate; too few samples come round again.

    Args:
        given: a folder with a sub-folder a class, an ``.npz`` with x and y, or ``FILE.py:NAME``.
        wanted: what the Keras model says of its inputs (`keras_impl.persons.inputs`).

    Returns:
        Of each batch the inputs, and the targets; images ``(N, H, W, C)``.

    Raises:
        InputError: there are none, or they don't fit the model.
    """
    need = BATCH * (steps + 1)
    xs, ys = _arrays(pair, given, wanted, need)
    counts = {len(array) for array in (*xs, *ys)}
    if len(counts) != 1 or min(counts) < 2:
        raise InputError(f"--data {given}: arrays of {', '.join(map(str, sorted(counts)))} samples")
    if wanted and len(xs) != len(wanted):
        raise InputError(f"--data {given}: {len(xs)} inputs for {len(wanted)} of the Keras model")
    xs = [_laid_out(given, x, one) for x, one in zip(xs, wanted or [{}] * len(xs), strict=True)]
    at = np.arange(need) % counts.pop()
    cut = [at[n : n + BATCH] for n in range(0, need, BATCH)]
    return [[x[rows] for x in xs] for rows in cut], [[y[rows] for y in ys] for rows in cut]


def _arrays(pair: Pair, given: str, wanted: list[dict], need: int) -> tuple[Arrays, Arrays]:
    path = Path(given)
    if path.is_dir():
        return _images(path, wanted, need)
    if path.suffix == ".npz":
        return _stored(path)
    if not is_code(given):
        raise InputError(f"--data {given}: must be a folder of images, an .npz or FILE.py:NAME")
    end = pair.torch if reference(given).framework == "torch" else pair.keras
    return end.call("data", given, need)


def _stored(path: Path) -> tuple[Arrays, Arrays]:
    if not path.is_file():
        raise InputError(f"--data {path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"--data {path} can't be read: {' '.join(str(error).split())[:200]}") from error
    found = [[arrays[n] for n in sorted(arrays) if n == k or (n[:1] == k and n[1:].isdigit())] for k in "xy"]
    if not all(found):
        raise InputError(f"--data {path} holds {', '.join(arrays) or 'nothing'}; it must hold x and y")
    return found[0], found[1]


def _images(path: Path, wanted: list[dict], need: int) -> tuple[Arrays, Arrays]:
    """As many images as are needed, in turn from each class, 0 to 255."""
    shape = wanted[0]["shape"] if wanted else []
    if len(wanted) != 1 or len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] != 3:
        raise InputError(f"--data {path}: images need a Keras model that takes square ones, NxNx3")
    names = sorted({way[0] for way in contents(path).images if len(way) > 1})
    classes = [sorted(p for p in contents(path).images if len(p) > 1 and p[0] == name) for name in names]
    turns = [(n, files[k]) for k in range(need) for n, files in enumerate(classes) if k < len(files)]
    if len(turns) < 2:
        raise InputError(f"--data {path} has no sub-folder with images; it must have one a class")
    try:
        images = [read_image(path.joinpath(*way), shape[1]) for _, way in turns[:need]]
    except (OSError, ValueError) as error:
        raise InputError(f"--data {path}: {' '.join(str(error).split())[:200]}") from error
    return [np.stack(images)], [np.array([label for label, _ in turns[:need]])]


def _laid_out(given: str, x: np.ndarray, one: dict) -> np.ndarray:
    """An input with its channels last, in the type that the model takes."""
    shape = one.get("shape")
    if shape and not _fits(x.shape, shape) and x.ndim >= 3 and _fits(np.moveaxis(x, 1, -1).shape, shape):
        x = np.moveaxis(x, 1, -1)
    if shape and not _fits(x.shape, shape):
        told = "x".join("?" if size is None else str(size) for size in shape[1:])
        raise InputError(
            f"--data {given}: inputs of {'x'.join(map(str, x.shape[1:]))}; the model takes {told}"
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise InputError(f"--data {given}: an input holds NaN or infinity")
    return x.astype(np.int64) if one.get("integer") else x.astype(np.float64)


def _fits(shape: tuple[int, ...], wanted: list) -> bool:
    return len(shape) == len(wanted) and all(
        b in (None, a) for a, b in zip(shape[1:], wanted[1:], strict=True)
    )


def targets(given: Arrays, shapes: list[tuple[int, ...]], kind: str, dtype: str) -> Arrays:
    """Targets in the shape of the outputs: class numbers become one-hot.

    Args:
        given: of one batch.
        shapes: of the outputs.
        kind: of the loss.

    Raises:
        InputError: they don't fit.
    """
    if len(given) != len(shapes):
        raise InputError(f"--data: {len(given)} targets for {len(shapes)} outputs")
    made = []
    for y, shape in zip(given, shapes, strict=True):
        classes = kind == "crossentropy" and y.size * shape[-1] == np.prod(shape)
        if classes:
            numbers = y.reshape(-1).astype(np.int64)
            if numbers.min() < 0 or numbers.max() >= shape[-1]:
                raise InputError(f"--data: class {numbers.max()} for an output of {shape[-1]} classes")
            y = np.eye(shape[-1])[numbers]
        if y.size != np.prod(shape):
            told = "x".join(map(str, shape[1:]))
            raise InputError(f"--data: targets of {'x'.join(map(str, y.shape[1:]))} for an output of {told}")
        made.append(y.reshape(shape).astype(dtype))
    return made
