"""PyTorch's files, read without PyTorch: a pickle whose every name is replaced by something inert, and raw storages.

Nothing that a pickle names is imported or called, with the exception of what is written out here: ordered
dictionaries, and the few functions that say how a tensor lies in its storage, which this module has its own of.
Whatever else lies in a checkpoint (settings, paths, numbers of another library) becomes an `Inert` object.

Source: torch/serialization.py and torch/_utils.py of PyTorch.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from compare.weights.errors import UnreadableError

MAGIC = 0x1950A86A20F9469CFC6C  # of the format without a zip
BFLOAT16 = "bfloat16"
DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16",
}
# modules whose functions act on the machine: a pickle that names one is refused, though it would not be called
HARMFUL = {
    *("os", "posix", "nt", "sys", "subprocess", "shutil", "socket", "ctypes", "runpy", "importlib", "pty"),
    *("webbrowser", "code", "codeop", "commands", "multiprocessing", "asyncio", "signal", "tempfile", "pdb"),
    *("urllib", "requests", "http", "ftplib", "smtplib", "threading", "timeit", "bdb", "platform", "pip"),
}
HARMFUL_BUILTINS = {"eval", "exec", "compile", "open", "__import__", "input", "breakpoint"}


class Inert(dict):
    """Stands for an object of a checkpoint that is no tensor; does nothing with what it is given.

    It keeps what it is given as a mapping, since a state dict may lie in a kind of dictionary that isn't known here.
    """

    path = ""
    # as an object that may itself be a key, which a dictionary may not
    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        """Take any arguments and leave them."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> Inert:
        """Take any arguments and leave them."""
        return self

    def append(self, item: Any) -> None:
        """Take an item, as a list does."""

    def extend(self, items: Any) -> None:
        """Take items, as a list does."""

    def add(self, item: Any) -> None:
        """Take an item, as a set does."""


@dataclass(frozen=True)
class Storage:
    """Numbers that tensors share: which of the file's, of which type and how many."""

    dtype: str
    key: str
    size: int


@dataclass(frozen=True)
class Tensor:
    """How a tensor lies in a storage, in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_zip(path: Path) -> tuple[Any, Callable[[Tensor], np.ndarray]]:
    """Read what ``torch.save`` writes: the pickled content, and a function that gets a tensor's numbers.

    Raises:
        UnreadableError: it names something harmful.
    """
    archive = zipfile.ZipFile(path)
    pickled = next(name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
    folder = pickled.removesuffix("data.pkl")
    content = _load(archive.open(pickled))
    order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in archive.namelist() else b"little"
    return content, lambda tensor: _numbers(
        tensor, archive.read(f"{folder}data/{tensor.storage.key}"), ">" if order == b"big" else "<"
    )


def read_pickle(path: Path) -> tuple[Any, Callable[[Tensor], np.ndarray]]:
    """Read what ``torch.save`` wrote before it wrote zips; a pickle of anything else has no tensors.

    Raises:
        UnreadableError: it names something harmful.
    """
    with path.open("rb") as file:
        content = _load(file)
        if content != MAGIC:
            return content, _no_numbers
        _load(file), _load(file)  # the protocol, and the machine that wrote it
        unpickler = _Unpickler(file)
        content = unpickler.load()
        raw = {}
        for key in _load(file):
            storage = unpickler.storages[str(key)]
            size = int.from_bytes(file.read(8), "little")
            if size != storage.size:
                raise UnreadableError("can't be read, it may be truncated: its storages have other sizes")
            raw[storage.key] = file.read(size * _itemsize(storage.dtype))
    return content, lambda tensor: _numbers(tensor, raw[tensor.storage.key], "<")


def _load(file: Any) -> Any:
    return _Unpickler(file).load()


def _no_numbers(tensor: Tensor) -> np.ndarray:
    raise UnreadableError(
        "is a pickle without the numbers of its tensors; save model.state_dict() with torch.save"
    )


class _Unpickler(pickle.Unpickler):
    """Knows tensors and ordered dictionaries; every other name becomes a class of its own that is `Inert`."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for here."""
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if module in ("torch", "torch.storage") and name in DTYPES:
            return name
        if module.partition(".")[0] in HARMFUL or (
            module in ("builtins", "__builtin__") and name in HARMFUL_BUILTINS
        ):
            raise UnreadableError(f"would run {module}.{name}, so it was not loaded; save model.state_dict()")
        return type(name, (Inert,), {"path": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Storage:
        """Note a storage that a tensor refers to."""
        _, kind, key, _, size = pid[:5]
        if kind not in DTYPES:
            raise UnreadableError(f"holds tensors of a kind that isn't known: {getattr(kind, 'path', kind)}")
        storage = Storage(DTYPES[kind], str(key), int(size))
        return self.storages.setdefault(storage.key, storage)


def _rebuilt(storage: Storage, offset: int, shape: Any, strides: Any, *_: Any) -> Tensor:
    return Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _subclass(function: Any, kind: Any, arguments: Any, *_: Any) -> Any:
    return function(*arguments) if function in (_rebuilt, _parameter) else Inert()


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor"): _rebuilt,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _subclass,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}


def _itemsize(dtype: str) -> int:
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def _numbers(tensor: Tensor, raw: bytes, order: str) -> np.ndarray:
    """Copy a tensor's numbers out of its storage; half precision becomes float32, which is exact."""
    storage = tensor.storage
    size = _itemsize(storage.dtype)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    empty = 0 in tensor.shape
    if min((*tensor.shape, *tensor.strides, tensor.offset, 0)) < 0 or len(raw) < storage.size * size:
        raise UnreadableError("can't be read, it may be truncated: a tensor's numbers are missing")
    if not empty and (last >= storage.size or prod(tensor.shape) > max(storage.size, 10**6)):
        raise UnreadableError("can't be read, it may be damaged: a tensor reaches beyond its numbers")
    kind = "u2" if storage.dtype == BFLOAT16 else storage.dtype
    flat = np.frombuffer(raw, np.dtype(order + kind if kind != "?" else kind), storage.size)
    strides = tuple(s * size for s in tensor.strides)
    if empty:
        array = np.zeros(tensor.shape, flat.dtype)
    else:
        array = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides, writeable=False)
    return widened(np.array(array, np.dtype(kind)), storage.dtype)


def widened(array: np.ndarray, dtype: str) -> np.ndarray:
    """Make float32 of half precision, which loses nothing; ``bfloat16`` comes as its bits, uint16."""
    if dtype == BFLOAT16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32) if array.dtype == np.float16 else array
