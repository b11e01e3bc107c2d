"""Any file of weights as arrays by neutral name, and what it says of its network. Imports neither framework.

The one reader of `compare port`, `run --weights`, `parity` and `diagnose`. Nothing in a file is executed. Since a
damaged file can make a library hang, crash or ask for all memory, a process that may be ended reads it (`guard`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from compare.spec import InputError, some
from compare.weights import guard, keras_files, torch_files
from compare.weights.errors import UnreadableError
from compare.weights.formats import Container, sniff
from compare.weights.network import Arrays, check
from compare.weights.source import MOVED, Source

T = TypeVar("T")
# what PyTorch makes a weight of, where something is put onto it
_IN_PARTS = re.compile(r"[./]weight_(orig|mask|g|v|u)$|(^|\.)parametrizations\.")


def read(path: Path) -> Source:
    """Read a file.

    Args:
        path: a ``.keras``, ``.weights.h5`` or legacy ``.h5`` of Keras or tf-keras, a state dict or checkpoint of
            PyTorch, a ``.safetensors`` of either (or the index of several), or an ``.npz``. The content tells which.

    Raises:
        InputError: it is missing, damaged, of a format that isn't read, or holds what would run code; one line,
            which begins with the path.
    """
    return replace(_guarded(read_here, Path(path)), path=Path(path))


def state(path: Path) -> Arrays:
    """Read the arrays of a PyTorch file, or of named ones, under the names that its own model has for them.

    A checkpoint's state dict is found as `read` finds it, and what was put around modules is no part of their names.

    Raises:
        InputError: as `read`'s; or it is a file of Keras.
    """
    return _guarded(state_here, Path(path))


def holds_a_model(path: Path) -> bool:
    """Whether a file of Keras holds a whole model, and not weights alone; what Keras can't load it may say itself.

    Raises:
        InputError: it is no file of Keras, or so damaged that Keras might hang or crash over it.
    """
    return _guarded(keras_files.holds_a_model, Path(path))


def _guarded(function: Callable[[Path], T], path: Path) -> T:
    try:
        # what only needs a look is refused at once
        sniff(path)
        # that process may have been started in another folder
        return guard.call(function, path.absolute(), size=_size(path))
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path} {error}") from error


def known(source: Source) -> Source:
    """Return a source whose network is a ResNet50 or VGG16, whole.

    Raises:
        InputError: it is another network, or arrays are missing; one line.
    """
    strange = next((name for name, array in source.arrays.items() if np.iscomplexobj(array)), None)
    if strange:
        raise InputError(f"{source.path}: {strange} holds complex numbers, which no layer of a backbone has")
    parts = [source.keys.get(name, name) for name in source.arrays if _IN_PARTS.search(name)]
    if parts and (source.other in MOVED or not source.backbone or _lacks(source)):
        raise InputError(
            f"{source.path} keeps weights in parts ({some(parts)}), as pruning and parametrizations do; take those"
            " off before saving: torch.nn.utils.prune.remove, parametrize.remove_parametrizations"
        )
    if source.other in MOVED:
        raise InputError(
            f"{source.path} is {source.other}, but its arrays have names that aren't known:"
            f" {_summary(source.arrays)}; compare port --into goes by what the arrays are"
        )
    if not source.backbone:
        what = f"is {source.other}" if source.other else f"holds {_summary(source.arrays)}"
        raise InputError(
            f"{source.path} {what}, neither a ResNet50 nor a VGG16; for any other model: compare port --into"
        )
    table = source.backbone_shapes()
    try:
        check({name: array for name, array in source.arrays.items() if name in table}, table)
    except ValueError as error:
        raise InputError(f"{source.path} isn't a whole {source.backbone}: {error}") from error
    return source


def _lacks(source: Source) -> bool:
    return not source.backbone_shapes().keys() <= source.arrays.keys()


def _summary(arrays: Arrays) -> str:
    names = list(arrays)
    return f"{len(names)} arrays ({some(names)})" if names else "no arrays"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def read_here(path: Path) -> Source:
    """Read a file in this process; arguments and result as of `read`.

    Raises:
        UnreadableError: it can't be read; the reason continues a line that begins with the path.
    """
    return _parsed(_READERS[sniff(path)], path)


def state_here(path: Path) -> Arrays:
    """Read a file in this process; arguments and result as of `state`."""
    return _parsed(torch_files.state, path)


def _parsed(function: Callable[[Path], T], path: Path) -> T:
    try:
        return function(path)
    except UnreadableError:
        raise
    except Exception as error:
        # a damaged file may make a parser raise anything; what it is about is all that is of use
        raise _damaged(error) from error


def _damaged(error: BaseException) -> UnreadableError:
    # what Python says of these is about this program's code, and not about the file
    reason = " ".join(str(error).split())
    if isinstance(error, KeyError) and " " not in reason:
        reason = f"its part {reason} is missing"
    elif isinstance(error, AttributeError | TypeError):
        reason = "its parts aren't as they should be"
    reason = reason if len(reason) < 150 else f"{reason[:147]}..."
    return UnreadableError(f"can't be read, it may be truncated or damaged: {reason or type(error).__name__}")


_READERS = {
    Container.KERAS_ZIP: keras_files.read_keras,
    Container.HDF5: keras_files.read_hdf5,
    Container.TORCH_ZIP: torch_files.read_torch_zip,
    Container.PICKLE: torch_files.read_pickle,
    Container.SAFETENSORS: torch_files.read_safetensors,
    Container.INDEX: torch_files.read_index,
    Container.NPZ: torch_files.read_npz,
}
