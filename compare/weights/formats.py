"""What a file is, told by its structure: never by its name, nor by its first byte alone."""

from __future__ import annotations

import json
import zipfile
from enum import Enum
from pathlib import Path

from compare.weights.errors import UnreadableError

HEAD = 4096  # bytes that are looked at
SAFETENSORS_HEADER = 100_000_000  # bytes that the format allows
HDF5 = b"\x89HDF\r\n\x1a\n"

READABLE = ".keras, .weights.h5, .h5, .pth, .safetensors (or the index of its parts) and .npz"


class Container(Enum):
    """How a file that can be read keeps its arrays."""

    KERAS_ZIP = "zip with a configuration and HDF5"
    HDF5 = "HDF5"
    TORCH_ZIP = "zip with a pickle and storages"
    PICKLE = "pickle, perhaps with storages behind it"
    SAFETENSORS = "safetensors"
    INDEX = "JSON that says in which file each array is"
    NPZ = "zip of .npy"


def sniff(path: Path) -> Container:
    """Tell what a file is.

    Raises:
        UnreadableError: it is missing, no file, or of a format that isn't read, which is named.
    """
    if path.is_dir():
        raise UnreadableError(_directory(path))
    if not path.is_file():
        raise UnreadableError("is missing; there is no such file")
    size = path.stat().st_size
    if not size:
        raise UnreadableError("is empty")
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(HDF5):
        return Container.HDF5
    if _is_safetensors(head):
        return Container.SAFETENSORS
    if head.startswith(b"PK\x03\x04") or zipfile.is_zipfile(path):
        return _zip(path)
    if head[:1] == b"\x80" and len(head) > 1 and head[1] <= 5:
        return Container.PICKLE
    if head.lstrip()[:1] == b"{":
        return _json(path)
    raise UnreadableError(_foreign(path, head))


def _is_safetensors(head: bytes) -> bool:
    """Whether eight bytes of length are followed by the JSON that they are the length of, as far as can be seen."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= SAFETENSORS_HEADER


def _zip(path: Path) -> Container:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UnreadableError(
            "can't be read, it may be truncated: a zip archive (.keras, .pth or .npz) without its end"
        ) from error
    last = {name.rpartition("/")[2] for name in names}
    if "model.weights.h5" in last or "config.json" in names:
        return Container.KERAS_ZIP
    if "data.pkl" in last:
        if "constants.pkl" in last or any("/code/" in name for name in names):
            raise UnreadableError(
                "is TorchScript, which is code; save model.state_dict() of the model itself"
            )
        return Container.TORCH_ZIP
    if last & {"archive_format", "serialized_exported_program.json", "serialized_state_dict.pt"}:
        raise UnreadableError(
            "is a program of torch.export (.pt2); save model.state_dict() of the model itself"
        )
    if names and all(name.endswith(".npy") for name in names):
        return Container.NPZ
    if "saved_model.pb" in last:
        raise UnreadableError("is a zip archive of a TensorFlow SavedModel; save the Keras model as .keras")
    found = ", ".join(names[:3]) or "nothing"
    raise UnreadableError(f"is a zip archive of {found}, no file of weights; unpack it if one is inside")


def _json(path: Path) -> Container:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        if "weight_map" in content:
            parts = content["weight_map"]
            if isinstance(parts, dict) and parts and all(isinstance(part, list) for part in parts.values()):
                raise UnreadableError(
                    "is the index of weights that Keras wrote in parts; load them into the model and save it as .keras"
                )
            return Container.INDEX
        if "weightsManifest" in content:
            raise UnreadableError("is a TensorFlow.js model; save the Keras model as .keras")
        if "class_name" in content:
            raise UnreadableError("is a Keras model's configuration without weights; give the .keras or .h5")
    raise UnreadableError("is JSON, no file of weights; give the file that holds the arrays")


def _directory(path: Path) -> str:
    """Name what a directory is that somebody may take for a file of weights."""
    names = {item.name for item in path.iterdir()}
    if "saved_model.pb" in names:
        return "is a directory, a TensorFlow SavedModel; save the Keras model as .keras"
    for name in ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"):
        if name in names:
            return f"is a directory; give the file in it, {path.name}/{name}"
    if "checkpoint" in names or any(name.endswith(".index") for name in names):
        return "is a directory, a TensorFlow checkpoint; load it into the model and save that as .keras"
    if ".metadata" in names and any(name.endswith(".distcp") for name in names):
        return "is a directory, a distributed checkpoint of PyTorch; dcp_to_torch_save makes one file of it"
    if {"_METADATA", "manifest.ocdbt"} & names:
        return "is a directory, a checkpoint of JAX (Orbax); arrays with names go into .npz"
    if path.suffix == ".mlpackage":
        return "is a Core ML model; give the Keras or PyTorch model that it was made from"
    if {"data.pkl", "Manifest.json"} & names:
        return "is a directory, an unpacked archive; give the archive itself"
    return "is a directory; it must be a file of weights"


# beginnings of files that people take for weights
_BEGINNINGS = {
    b"GGUF": "a GGUF file of llama.cpp",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"BZh": "a bzip2 archive; unpack it first",
    b"\xfd7zXZ": "an xz archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"Rar!": "a rar archive; unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstandard archive; unpack it first",
    b"MATLAB": "a MATLAB file",
    b"version https://git-lfs": "a pointer of Git LFS and not the file itself; fetch that with: git lfs pull",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}


# what the name of a file that can't be told by its structure stands for
_SUFFIXES = {
    ".caffemodel": "a Caffe model",
    ".weights": "one of Darknet",
    ".params": "one of MXNet",
    ".pdparams": "one of PaddlePaddle",
    ".mlmodel": "a Core ML model",
    ".msgpack": "one of Flax",
    ".engine": "a TensorRT engine",
    ".plan": "a TensorRT engine",
}


def _foreign(path: Path, head: bytes) -> str:
    """Say what a file is that holds no weights that could be read."""
    for start, name in _BEGINNINGS.items():
        if head.startswith(start):
            return f"is {name}"
    if head.startswith(b"\x93NUMPY"):
        if b"'descr': '|O'" in head:
            return (
                "is a .npy of pickled objects, which may run code; save its arrays by name with numpy.savez"
            )
        return "is a single array (.npy); arrays with names go into .npz"
    if head[4:8] == b"TFL3":
        return "is a TensorFlow Lite model (TFLite); give the Keras model that it was made from"
    if head[257:262] == b"ustar":
        return "is a tar archive; unpack it first"
    if head.lstrip()[:1] == b"<":
        return "is a web page (HTML or XML) and no file of weights; the download failed?"
    if _is_onnx(head):
        return "is an ONNX model; give the Keras or PyTorch model that it was exported from"
    if path.suffix == ".pb" or b"saved_model" in head or b"\x0a\x06Const" in head:
        return "is a TensorFlow graph, as in a SavedModel; save the Keras model as .keras"
    if path.suffix == ".index" or ".data-0000" in path.name:
        return "is part of a TensorFlow checkpoint; load it into the model and save that as .keras"
    by_name = (
        f"; it is called as {_SUFFIXES[path.suffix.lower()]} is" if path.suffix.lower() in _SUFFIXES else ""
    )
    return f"can't be read: it is none of {READABLE}, or damaged{by_name}"


def _is_onnx(head: bytes) -> bool:
    """Whether a protobuf begins as ONNX's ModelProto: the version of its format, then text or nested messages."""
    at = 0
    fields: list[int] = []
    while at < len(head) and len(fields) < 8:
        field, kind = head[at] >> 3, head[at] & 7
        value, at = _varint(head, at + 1)
        if kind == 2:
            at += value
        elif kind != 0:
            return False
        if not 1 <= field <= 25 or (field in (1, 5)) != (kind == 0) or (field == 1 and not 1 <= value < 100):
            return False
        fields.append(field)
    return fields[:1] == [1] and len(set(fields) & {2, 3, 4, 7, 8}) > 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read one of protobuf's integers: its value and where the next thing begins."""
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not data[at - 1] & 0x80:
            break
    return value, at
