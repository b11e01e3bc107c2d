"""Files of plain named arrays: ``.safetensors``, several of them with an index, and ``.npz``."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from compare.weights.errors import UnreadableError
from compare.weights.pickles import BFLOAT16, widened

Arrays = dict[str, np.ndarray]

_DTYPES = {
    **{"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2", "C64": "c8"},
    **{"I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "BOOL": "?"},
    **{"U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1"},
}


def read_safetensors(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Read arrays in the order of the file, and its metadata; half precision becomes float32.

    Raises:
        UnreadableError: it is truncated or damaged, or has numbers of a type that NumPy hasn't.
    """
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + size])
        found = dict(safetensors.deserialize(content))
    except (safetensors.SafetensorError, ValueError) as error:
        raise UnreadableError(
            f"can't be read, it may be truncated or damaged: {' '.join(str(error).split())}"
        ) from error
    arrays = {}
    for name in header:
        if name == "__metadata__":
            continue
        dtype = found[name]["dtype"]
        if dtype not in _DTYPES:
            raise UnreadableError(
                f"holds numbers of type {dtype} ({name}), which NumPy hasn't; save it as float32"
            )
        flat = np.frombuffer(found[name]["data"], np.dtype(_DTYPES[dtype]).newbyteorder("<"))
        array = flat.astype(_DTYPES[dtype]).reshape(found[name]["shape"])
        arrays[name] = widened(array, BFLOAT16 if dtype == "BF16" else dtype)
    return arrays, {key: str(value) for key, value in (header.get("__metadata__") or {}).items()}


def parts(path: Path) -> list[Path]:
    """The files that an index names, which lie beside it.

    Raises:
        UnreadableError: one is missing, or isn't beside it.
    """
    index: Any = json.loads(path.read_bytes())
    names = dict.fromkeys(str(name) for name in index["weight_map"].values())
    for name in names:
        if Path(name).name != name:
            raise UnreadableError(f"names a part that doesn't lie beside it: {name}")
        if not (path.parent / name).is_file():
            raise UnreadableError(f"names a part that is missing: {name}")
    return [path.parent / name for name in names]


def read_npz(path: Path) -> Arrays:
    """Read an ``.npz`` of named arrays.

    Raises:
        UnreadableError: it holds Python objects, or a part of it would be far larger than the file.
    """
    with zipfile.ZipFile(path) as archive:
        total = sum(item.file_size for item in archive.infolist())
    if total > 1000 * path.stat().st_size + 2**20:
        raise UnreadableError(
            "can't be read, it may be damaged: its arrays are said to be far larger than the file"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except ValueError as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise UnreadableError(
                "holds Python objects (a pickle), which are code, so it was not loaded; save arrays of numbers"
            ) from error
        raise
