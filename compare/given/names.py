"""What the command line names: models, data, losses and figures, from files and from a person's own code."""

from __future__ import annotations

import csv
import os
import re
import sys
import warnings
import zipfile
from difflib import get_close_matches
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from compare.data import LISTS
from compare.frameworks import own
from compare.given import code, held
from compare.spec import InputError
from compare.weights import reading
from compare.weights.errors import PickledError

_modules: dict[Path, ModuleType] = {}
_MADE: list[held.Made] = []
_KERAS, _PICKLES = (".keras", ".h5", ".hdf5"), (".pt", ".pth", ".bin", ".pkl", ".ckpt")


def thing(reference: str, what: str) -> Any:
    """Import what ``FILE.py:NAME`` or ``package.module:NAME`` names.

    Raises:
        InputError: there is no such file, module or name.
    """
    place, name = code.split(reference, what)
    # a script that reads its own arguments, as many do where they are imported, finds none and takes its defaults
    sys.argv = [place]
    try:
        found: Any = _from_file(Path(place), what) if place.endswith(".py") else _by_name(place, what)
    except SystemExit as error:
        raise InputError(
            f"{what}: {place} ends the process when it is imported (exit code {error.code}): arguments that it needs"
            ' must have defaults, and what isn\'t to run must stand under if __name__ == "__main__":'
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(f"{what}: {place} has no {part!r}")
        found = getattr(found, part)
    return found


def _from_file(path: Path, what: str) -> ModuleType:
    path = path.resolve()
    if path not in _modules:
        sys.path.insert(0, str(path.parent))
        spec = spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise InputError(f"{what}: {path} can't be imported")
        module = module_from_spec(spec)
        # pickling and dataclasses look a module up by its name
        sys.modules.setdefault(path.stem, module)
        spec.loader.exec_module(module)
        _modules[path] = module
    return _modules[path]


def _by_name(name: str, what: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise InputError(f"{what}: there is no module {error.name}") from error
        raise


def called(reference: str, what: str) -> Any:
    """The object that is named, or what it returns where it is a function or a class.

    Raises:
        InputError: it isn't there, or can't be called without arguments.
    """
    import inspect

    value = thing(reference, what)
    if not (inspect.isfunction(value) or inspect.ismethod(value) or isinstance(value, type)):
        return value
    try:
        inspect.signature(value).bind()
    except TypeError as error:
        raise InputError(f"{what} {reference} is called without arguments: {error}") from None
    except ValueError:  # of what is written in C nothing is known
        pass
    return value()


def model(reference: str, weights: Path | None, trust: bool) -> Any:
    """Load the model that is named.

    Raises:
        InputError: it isn't there, would run code, or the weights don't fit.
    """
    path = Path(reference)
    if path.suffix in _KERAS and path.is_file() and reading.holds_a_model(path):
        found = _keras_model(path, trust)
    elif path.suffix in _PICKLES and trust and path.is_file():
        found = _pickled(path)
    elif (path.exists() and path.suffix != ".py") or path.suffix in (*_KERAS, *_PICKLES):
        found = _made(path)
    else:
        found = called(reference, "MODEL")
    if weights is not None:
        held.load(found, weights)
    return found


def _made(path: Path) -> Any:
    """Build the network that a file of weights alone is of."""
    try:
        _MADE.append(held.make(path))
    except InputError as error:
        if isinstance(error.__cause__, PickledError):
            raise InputError(
                f"{path} is a pickled model, which runs code when it is loaded: say --trust, or name FILE.py:NAME"
            ) from error
        raise
    print(f"made of {path}: {_MADE[-1].network.describe()}", file=sys.stderr)
    return _MADE[-1].model


def made(model: Any) -> held.Made | None:
    """What a model is that was made of a file of weights alone; None for any other."""
    return next((one for one in _MADE if one.model is model), None)


def _keras_model(path: Path, trust: bool) -> Any:
    os.environ["KERAS_BACKEND"] = own("keras").backend
    import keras

    try:
        with warnings.catch_warnings():
            # an optimizer that has never trained has nothing to be loaded, and no figure is of it
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            return keras.saving.load_model(path, safe_mode=not trust)
    except Exception as error:
        # a damaged file may make Keras raise anything
        text = " ".join(str(error).split()) or type(error).__name__
        if "lambda" in text.lower() and not trust:
            raise InputError(
                f"{path} has a Lambda layer, whose code would be run: say --trust if you trust it"
            ) from error
        if own_code := re.search(r"Could not locate (class|function) '(?:[^'>]*>)?([^']+)'", text):
            raise InputError(
                f"{path} needs the {own_code[1]} {own_code[2]}, which is code of your own: name FILE.py:NAME, a"
                " function that loads it"
            ) from error
        raise InputError(f"{path}: Keras can't load it: {text[:200]}") from error


def _pickled(path: Path) -> Any:
    import torch

    found = torch.load(path, map_location="cpu", weights_only=False)
    return found if isinstance(found, torch.nn.Module) else _made(path)


def data(reference: str, what: str, model: Any = None) -> Any:
    """Find the data that are named: a function stays one, since it is called for each pass.

    Images of a folder or a list go through what a ``model`` that was made of a file of weights expects.

    Raises:
        InputError: there are none.
    """
    path = Path(reference)
    if path.suffix == ".npz":
        return _arrays(path, what)
    if reference and (path.is_dir() or path.suffix in LISTS):
        read = made(model)
        if read:
            return held.images(reference, read.preprocessing, read.size)
        return held.images(reference, size=held.size_of(model))
    return thing(reference, what)


def _arrays(path: Path, what: str) -> tuple[Any, ...]:
    import numpy as np

    if not path.is_file():
        raise InputError(f"{what}: there is no file {path}")
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{what} {path} can't be read: {' '.join(str(error).split())[:200]}") from error
    if not {"x", "y"} <= set(arrays):
        raise InputError(f"{path} holds {', '.join(arrays) or 'nothing'}; it must hold x and y")
    return tuple(arrays[name] for name in ("x", "y", "weights") if name in arrays)


def loss(reference: str | None, model: Any = None) -> Any:
    """Find a loss: ``FILE.py:NAME``, a name of ``torch.nn.functional``'s, or that of a model made of a file.

    Raises:
        InputError: there is none of that name.
    """
    if reference is None:
        read = made(model)
        return read.loss if read else None
    if ":" in reference or reference.endswith(".py"):
        return thing(reference, "--loss")
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(model, keras.Model):
        raise InputError(
            f"--loss: {reference} is a name of PyTorch's, and a Keras model knows its loss: compile it with one, or"
            " name FILE.py:NAME, a function of outputs and targets"
        )
    import torch.nn.functional as F

    if not hasattr(F, reference):
        near = get_close_matches(reference, dir(F), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"--loss: torch.nn.functional has no {reference!r}{hint}")
    return getattr(F, reference)


def reported(reference: str | None) -> Any:
    """Read figures: ``loss=0.2,evaluate_loss=1.7``, a file of Keras's CSVLogger, ``FILE.py:NAME``.

    Raises:
        InputError: they are none of these.
    """
    if reference is None:
        return None
    if reference.endswith(".csv"):
        path = Path(reference)
        if not path.is_file():
            raise InputError(f"--reported: there is no file {path}")
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            raise InputError(f"--reported: {path} has no epoch")
        # Keras writes NA for what an epoch has no figure of, such as validation's where there is none
        last = {
            name: value
            for name, value in rows[-1].items()
            if name != "epoch" and value not in ("", "NA", None)
        }
        try:
            return {name: float(value) for name, value in last.items()}
        except ValueError as error:
            raise InputError(f"--reported: {path} holds what is no figure: {error}") from error
    if "=" in reference:
        try:
            parts = [part.split("=") for part in reference.split(",")]
            figures = {name.strip(): float(value) for name, value in parts}
        except ValueError:
            figures = {}
        if not all(figures) or len(figures) != reference.count("=") or not figures:
            raise InputError(f"--reported {reference!r} must be like loss=0.2,evaluate_loss=1.7")
        return figures
    return called(reference, "--reported")
