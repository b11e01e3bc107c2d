"""What the command line names: models, data, losses and figures, from files and from a person's own code."""

from __future__ import annotations

import csv
import os
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from compare.frameworks import own
from compare.spec import InputError

_modules: dict[Path, ModuleType] = {}
_KERAS, _PICKLES = (".keras", ".h5", ".hdf5"), (".pt", ".pth", ".bin", ".pkl", ".ckpt")


def thing(reference: str, what: str) -> Any:
    """Import what ``FILE.py:NAME`` or ``package.module:NAME`` names.

    Raises:
        InputError: there is no such file, module or name.
    """
    place, _, name = reference.rpartition(":")
    if not place or not name:
        raise InputError(f"{what} {reference!r} is neither a file nor FILE.py:NAME nor package.module:NAME")
    module = _from_file(Path(place), what) if place.endswith(".py") else _by_name(place, what)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(f"{what}: {place} has no {part!r}")
        found = getattr(found, part)
    return found


def _from_file(path: Path, what: str) -> ModuleType:
    if not path.is_file():
        raise InputError(f"{what}: there is no file {path}")
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


def called(value: Any) -> Any:
    """An object as it is, or what a function without arguments returns."""
    import inspect

    return (
        value() if inspect.isfunction(value) or inspect.ismethod(value) or isinstance(value, type) else value
    )


def model(reference: str, weights: Path | None, trust: bool) -> Any:
    """Load the model that is named.

    Raises:
        InputError: it isn't there, would run code, or the weights don't fit.
    """
    path = Path(reference)
    if path.suffix in _KERAS:
        found = _keras_model(path, trust)
    elif path.suffix in _PICKLES:
        found = _pickled(path, trust)
    elif path.is_dir():
        raise InputError(f"{path} is a SavedModel directory, which Keras 3 can't load; save it as .keras")
    else:
        found = called(thing(reference, "MODEL"))
    if weights is not None:
        _load_weights(found, weights)
    return found


def _keras_model(path: Path, trust: bool) -> Any:
    if not path.exists():
        raise InputError(f"MODEL: there is no file {path}")
    os.environ["KERAS_BACKEND"] = own("keras").backend
    import keras

    try:
        return keras.saving.load_model(path, safe_mode=not trust)
    except (ValueError, TypeError, OSError) as error:
        text = " ".join(str(error).split())
        if "lambda" in text.lower() and not trust:
            raise InputError(
                f"{path} has a Lambda layer, whose code would be run: say --trust if you trust it"
            ) from error
        raise InputError(f"{path}: {text[:200]}") from error


def _pickled(path: Path, trust: bool) -> Any:
    if not path.exists():
        raise InputError(f"MODEL: there is no file {path}")
    import torch

    if not trust:
        raise InputError(
            f"{path} is a pickle, which runs code when it is loaded: say --trust, or name FILE.py:NAME"
        )
    found = torch.load(path, map_location="cpu", weights_only=False)
    if not isinstance(found, torch.nn.Module):
        raise InputError(
            f"{path} holds {type(found).__name__}, no module: name FILE.py:NAME and --weights {path}"
        )
    return found


def _load_weights(model: Any, path: Path) -> None:
    if not path.exists():
        raise InputError(f"--weights: there is no file {path}")
    if not hasattr(model, "load_state_dict"):
        try:
            model.load_weights(path)
        except (ValueError, OSError) as error:
            fits = _fits_keras(model, path)
            text = f"{fits[0]} of {fits[1]} tensors of the model are in {path}" if fits else str(error)
            raise InputError(f"--weights: {' '.join(text.split())[:200]}") from error
        return
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state: Any = load_file(path)
    else:
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    own = model.state_dict()
    fitting = [name for name, values in state.items() if name in own and own[name].shape == values.shape]
    if len(fitting) < len(own):
        raise InputError(
            f"--weights: {len(fitting)} of {len(own)} tensors of the model are in {path} by name and shape"
        )
    model.load_state_dict({name: state[name] for name in fitting})


def _fits_keras(model: Any, path: Path) -> tuple[int, int] | None:
    """How many of a Keras model's tensors a file fills in, and of how many; None where nothing can be read of it."""
    import warnings

    import numpy as np

    known = [weight for weight in model.weights if "float" in weight.dtype]
    for weight in known:  # what the file doesn't fill in stays NaN; this model is refused anyway
        weight.assign(np.full(weight.shape, np.nan))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.load_weights(path, skip_mismatch=True)
    except Exception:
        return None
    return sum(not np.isnan(np.asarray(weight)).all() for weight in known), len(known)


def data(reference: str, what: str) -> Any:
    """Find the data that are named: a function stays one, since it is called for each pass.

    Raises:
        InputError: there are none.
    """
    path = Path(reference)
    if path.suffix == ".npz":
        return _arrays(path, what)
    if path.is_dir():
        return _folder(path)
    return thing(reference, what)


def _arrays(path: Path, what: str) -> tuple[Any, ...]:
    import numpy as np

    if not path.is_file():
        raise InputError(f"{what}: there is no file {path}")
    with np.load(path, allow_pickle=False) as held:
        if not {"x", "y"} <= set(held.files):
            raise InputError(f"{path} holds {', '.join(held.files) or 'nothing'}; it must hold x and y")
        return tuple(held[name] for name in ("x", "y", "weights") if name in held.files)


def _folder(path: Path) -> tuple[Any, ...]:
    """Images of a folder with a sub-folder a class: 0..255 for Keras, ``(N, C, H, W)`` of 0..1 for PyTorch."""
    import numpy as np
    from PIL import Image

    classes = sorted(child for child in path.iterdir() if child.is_dir())
    files = [
        (file, i) for i, child in enumerate(classes) for file in sorted(child.iterdir()) if file.is_file()
    ]
    if not files:
        raise InputError(f"{path} has no sub-folder with images; it must have one a class")
    with Image.open(files[0][0]) as first:
        size = first.size
    images = []
    for file, _ in files:
        with Image.open(file) as image:
            images.append(np.asarray(image.convert("RGB").resize(size), "float32"))
    x, y = np.stack(images), np.array([label for _, label in files])
    return (x, y) if "keras" in sys.modules else (np.ascontiguousarray(x.transpose(0, 3, 1, 2)) / 255, y)


def loss(reference: str | None) -> Any:
    """Find a loss: ``FILE.py:NAME``, or a name of ``torch.nn.functional``'s.

    Raises:
        InputError: there is none of that name.
    """
    if reference is None or ":" in reference:
        return None if reference is None else thing(reference, "--loss")
    import torch.nn.functional as F

    if not hasattr(F, reference):
        raise InputError(f"--loss: torch.nn.functional has no {reference!r}")
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
            return {
                name.strip(): float(value)
                for name, value in (part.split("=") for part in reference.split(","))
            }
        except ValueError as error:
            raise InputError(f"--reported {reference!r} must be like loss=0.2,evaluate_loss=1.7") from error
    return called(thing(reference, "--reported"))
