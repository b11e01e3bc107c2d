"""Keras's files as a `Source`: the arrays by today's layer names, and what the configuration says of them."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from compare.weights import hdf5
from compare.weights.configuration import OLD_EPSILON, Configured, configured
from compare.weights.errors import UnreadableError
from compare.weights.formats import Container, sniff
from compare.weights.network import Told
from compare.weights.source import Beside, Format, Source, completed
from compare.weights.spellings import OLD_LAYERS, Names


def read_keras(path: Path) -> Source:
    """Read a ``.keras``."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        absent = [name for name in ("config.json", "model.weights.h5") if name not in names]
        if absent:
            raise UnreadableError(
                f"can't be read, it may be damaged: a .keras without {' and '.join(absent)}"
            )
        info = archive.getinfo("model.weights.h5")
        if info.file_size > 1000 * info.compress_size + 2**20:
            raise UnreadableError(
                "can't be read, it may be damaged: its weights are said to be far larger than the file"
            )
        config = configured(json.loads(archive.read("config.json")))
        version = _version(json.loads(archive.read("metadata.json"))) if "metadata.json" in names else ""
        content = archive.read("model.weights.h5")
    held = hdf5.read(io.BytesIO(content), len(content), config.names)
    return _keras(path, Format.KERAS, held, config, version)


def holds_a_model(path: Path) -> bool:
    """Look through a file, whoever's model it is of, and tell whether there is more in it than weights.

    Raises:
        UnreadableError: it is no file of Keras.
    """
    container = sniff(path)
    if container not in (Container.KERAS_ZIP, Container.HDF5):
        raise UnreadableError("is no file of Keras; it must be a .keras, .weights.h5 or .h5")
    try:
        if container is Container.HDF5:
            return hdf5.read(path, path.stat().st_size).config is not None
        with zipfile.ZipFile(path) as archive:
            content = archive.read("model.weights.h5")
        hdf5.read(io.BytesIO(content), len(content))
    except Exception:
        # whatever it is, Keras has words for it
        pass
    return True


def _version(metadata: Any) -> str:
    return str(metadata.get("keras_version", "")) if isinstance(metadata, dict) else ""


def read_hdf5(path: Path) -> Source:
    """Read a ``.weights.h5``, or a legacy ``.h5`` with or without a configuration."""
    held = hdf5.read(path, path.stat().st_size)
    if not held.legacy:
        return _keras(path, Format.WEIGHTS_H5, _named(held), None, held.version)
    config = configured(held.config) if held.config is not None else None
    return _keras(path, Format.LEGACY_H5, held, config, held.version)


def _named(held: hdf5.Hdf5) -> hdf5.Hdf5:
    """Name the layers of a file that has none."""
    held.arrays = hdf5.unnamed(held.arrays)
    return held


def _keras(path: Path, form: Format, held: hdf5.Hdf5, config: Configured | None, version: str) -> Source:
    """Put together what a file of Keras holds."""
    old = "bn_conv1/gamma" in held.arrays or "bn_conv1" in held.layers
    arrays = {}
    for name, array in held.arrays.items():
        layer, _, kind = name.rpartition("/")
        arrays[f"{OLD_LAYERS.get(layer, layer) if old else layer}/{kind}"] = array
    told = config.told if config else _old(held) if old else Told()
    beside = [(f"layer {name}", Beside.IDLE) for name in config.idle] if config else []
    beside += [("optimizer", Beside.OPTIMIZER)] if held.optimizer else []
    beside += [(config.precision, Beside.PRECISION)] if config and config.precision else []
    return completed(
        Source(
            path,
            form,
            Names.OLD if old else Names.NEUTRAL,
            arrays,
            told,
            beside=tuple(beside),
            obstacles=config.obstacles if config else (),
            inside=config.inside if config else (),
            front=config.front if config else (),
            whole=config is not None,
            version=version,
        ),
        ordered=True,
    )


def _old(held: hdf5.Hdf5) -> Told:
    """Tell the structure of a ResNet50 with old names by the Keras that wrote the file, if it says which."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", held.version)
    told = Told(epsilon=OLD_EPSILON)
    if numbers is None:
        # Keras 1 named neither itself nor its weights by layer
        return replace(told, variant="v1-old-unpadded") if held.oldest else told
    release = tuple(map(int, numbers.groups()))
    if release >= (2, 2, 3):
        return replace(told, variant="v1-old")
    return replace(told, variant="v1-old-same" if (2, 0, 7) <= release <= (2, 1, 4) else "v1-old-unpadded")
