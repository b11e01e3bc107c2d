"""Where a run's start weights come from, and the one file of named arrays that both frameworks load.

``imagenet`` is the file of keras.applications (v1; it was trained with the ``caffe`` preprocessing);
``imagenet-torchvision`` is torchvision's IMAGENET1K_V1 (ResNet50 v1.5 or VGG16; ``torch``); ``pretext`` ships
with the package; ``random`` is a quarter-width network that has learnt nothing, cheap to try things with.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from math import isclose
from pathlib import Path
from typing import Literal

import numpy as np
import safetensors.numpy

from compare.files import sha256, write
from compare.frameworks import own
from compare.processes.worker import Worker, WorkerDiedError
from compare.spec import EPSILONS, NAMES, InputError, some
from compare.weights.reading import known, read
from compare.weights.settle import backbone as backbone_of
from compare.weights.shapes import random_arrays
from compare.weights.source import Beside, Source

# arrays, facts of their network, and what is to be said of the file
Loaded = tuple[dict[str, np.ndarray], dict, str]

SOURCES = ("imagenet", "imagenet-torchvision", "pretext", "random")
KERAS_URLS = {
    name: f"https://storage.googleapis.com/tensorflow/keras-applications/{file}"
    for name, file in {
        "resnet50": "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "vgg16": "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    }.items()
}
TORCHVISION_URLS = {
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
}
PRETEXT = Path(__file__).parent / "pretext"
OTHERS = {
    "pretext": ", a quarter-width network that ships; --weights imagenet takes the one that Keras downloads",
    "imagenet": ", full width; --weights pretext takes the small network that ships",
}
PATIENCE = 4.0  # seconds that a download host has to answer
_FULL = (errno.ENOSPC, errno.EDQUOT)
STALLED = 30.0  # seconds without a byte that end a download


def resolve(weights: str, backbone: str, destination: Path, seed: int = 0) -> dict:
    """Write a backbone's start weights as float32 named arrays, a safetensors file, at once or not at all.

    Args:
        weights: one of `SOURCES`, or a file that `compare.weights.reading.read` reads. A head is left.
        backbone: ``resnet50`` or ``vgg16``.
        destination: the file to write. Equal weights make equal files.
        seed: of ``random``.

    Returns:
        ``backbone``, ``variant``, ``width``, ``preprocessing``, ``source``, ``sha256`` of the file, and
        ``why``: a line that says which weights these are, and how to get the others.

    Raises:
        InputError: no such weights, not this backbone's, unreadable, or neither cached nor downloadable.
    """
    arrays, facts, left = _load(weights, backbone, seed)
    why = f"weights: {weights}{_structure(facts['variant'])}{left}{OTHERS.get(weights, '')}"
    facts = {**facts, "source": weights}
    arrays = {name: array.astype("float32") for name, array in sorted(arrays.items())}
    return {**facts, "sha256": _write(destination, arrays, facts), "why": why}


def _structure(variant: str) -> str:
    """Say which of the older networks the weights are of, if they are."""
    releases = {
        "v1-old": "2.2.3 to 2.3.1",
        "v1-old-unpadded": "1.2.2 to 2.0.6 and 2.1.5 to 2.2.2",
        "v1-old-same": "2.0.7 to 2.1.4",
    }
    return f"; the ResNet50 of Keras {releases[variant]} ({variant})" if variant in releases else ""


def _load(weights: str, backbone: str, seed: int) -> Loaded:
    if weights == "imagenet":
        return _cached_or_downloaded(
            weights, backbone, KERAS_URLS[backbone], _keras_cache(backbone), "keras", keras_download
        )
    if weights == "imagenet-torchvision":
        return _cached_or_downloaded(
            weights, backbone, TORCHVISION_URLS[backbone], _torch_cache(backbone), "torch", torch_download
        )
    if weights == "pretext":
        return _read(weights, PRETEXT / f"{backbone}.safetensors", backbone)
    if weights == "random":
        facts = {"backbone": backbone, "variant": "v1", "width": 0.25, "preprocessing": "caffe"}
        return random_arrays(backbone, "v1", 0.25, seed), facts, ""
    if not Path(weights).exists():
        raise InputError(
            f"--weights {weights}: no such file; it can be {', '.join(SOURCES)} or a file of weights"
        )
    return _read(weights, Path(weights), backbone)


def _keras_cache(backbone: str) -> list[Path]:
    """Where Keras keeps its file without the classifier, and the one with it."""
    writable = os.access(Path.home(), os.W_OK)
    home = os.environ.get("KERAS_HOME") or (Path.home() if writable else Path("/tmp")) / ".keras"
    name = KERAS_URLS[backbone].rpartition("/")[2]
    models = Path(home).expanduser() / "models"
    return [models / name, models / name.replace("_notop", "")]


def _torch_cache(backbone: str) -> list[Path]:
    """Where PyTorch's hub keeps torchvision's file."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or Path(cache) / "torch"
    return [Path(home).expanduser() / "hub" / "checkpoints" / TORCHVISION_URLS[backbone].rpartition("/")[2]]


def _cached_or_downloaded(
    weights: str,
    backbone: str,
    url: str,
    files: list[Path],
    side: Literal["keras", "torch"],
    download: Callable[[str, Path], None],
) -> Loaded:
    for path in files:
        with suppress(InputError):  # what a killed download left behind is downloaded again
            return _read(weights, path, backbone)
    trouble = _silence(url)
    if not trouble:
        try:
            with Worker(own(side), prepared=False) as worker:
                worker.call(download, url, files[0])
            return _read(weights, files[0], backbone)
        except OSError as error:
            why = "its disk is full" if error.errno in _FULL else error.strerror or str(error)
            raise InputError(
                f"--weights {weights}: can't keep the download in {files[0].parent}: {why}"
            ) from error
        except (ValueError, WorkerDiedError) as error:
            trouble = f"the download failed: {error}"
    raise InputError(
        f"--weights {weights}: {files[0]} is missing or unreadable and {trouble}; "
        f"get {url} where there is a network and put it there, or take --weights pretext"
    )


def _silence(url: str) -> str:
    """Say why ``url`` can't be had, or nothing if its host answers; decided within `PATIENCE`."""
    host = urllib.parse.urlsplit(url).hostname
    said: list[str] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE / 2).close()
            said.append("")
        except (OSError, HTTPException) as error:
            said.append(f"{host} does not answer ({getattr(error, 'reason', error)})")

    # a name look-up knows no timeout, so a thread that may be left behind makes it
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return said[0] if said else f"{host} does not answer within {PATIENCE:g} s"


def keras_download(url: str, path: Path) -> None:
    """Let keras.applications fetch the file it calls its own; Keras checks the hash.

    Raises:
        OSError: there is no room for it; nothing is left of it.
        ValueError: it can't be had.
    """
    socket.setdefaulttimeout(STALLED)
    import keras

    build = keras.applications.ResNet50 if "resnet50" in path.name else keras.applications.VGG16
    try:
        build(weights="imagenet", include_top=False)
    except Exception as error:  # Keras raises Exception itself where a download fails
        _full(error, path)
        raise ValueError(" ".join(str(error).split())) from None


def torch_download(url: str, path: Path) -> None:
    """Fetch the file through PyTorch's hub, which checks the hash that is part of its name.

    Raises:
        OSError: there is no room for it; nothing is left of it.
        ValueError: it can't be had.
    """
    socket.setdefaulttimeout(STALLED)
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    before = _partial(path)
    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rpartition("-")[2])
    except (OSError, RuntimeError, HTTPException) as error:
        # where its last bytes can't be written, PyTorch leaves what it has
        for left in _partial(path) - before:
            left.unlink(missing_ok=True)
        _full(error, path)
        raise ValueError(" ".join(str(error).split())) from None


def _partial(path: Path) -> set[Path]:
    """What PyTorch's hub has begun to download as a file."""
    return set(path.parent.glob(f"{path.name}.*.partial"))


def _full(error: BaseException, path: Path) -> None:
    """Raise an error as what it is where it says that there is no room.

    Raises:
        OSError: that is so.
    """
    if isinstance(error, OSError) and error.errno in _FULL:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _read(weights: str, path: Path, backbone: str) -> Loaded:
    try:
        source = known(read(path))
    except InputError as error:
        raise InputError(f"--weights {weights + ': ' if weights in SOURCES else ''}{error}") from error
    if source.backbone != backbone:
        is_, wanted = NAMES[source.backbone], NAMES[backbone]
        raise InputError(
            f"--weights {weights}: is a {is_} and not a {wanted}; for a run with it: --backbone {source.backbone}"
        )
    if source.inside:
        raise InputError(f"--weights {weights}: {source.inside[0]}; a run trains a plain {NAMES[backbone]}")
    network, _ = backbone_of(source)
    facts = {"backbone": backbone, "variant": network.variant, "width": network.width}
    _check_epsilon(weights, network.variant, source)
    return source.backbone_arrays(), {**facts, "preprocessing": network.preprocessing}, _left(source)


def _left(source: Source) -> str:
    """Say what of a file isn't taken over: other networks, its head, and what changed the images in front of it."""
    head, lines = source.head(), []
    others = [name for name, what in source.beside if what is Beside.NETWORK]
    if others:
        lines.append(
            f"; its {'/'.join(map(str, source.where))} is taken and not {some(others)}, another network"
        )
    if head:
        lines.append(f"; its head is left ({some(head)})")
    if source.front:
        lines.append(f"; left, though they changed what the backbone saw: {some(list(source.front))}")
    return "".join(lines)


def _check_epsilon(weights: str, variant: str, source: Source) -> None:
    """Refuse an epsilon that no structure has, so that it would train as another network."""
    epsilon = source.told.epsilon
    if source.backbone == "resnet50" and epsilon and not isclose(epsilon, EPSILONS[variant], rel_tol=0.01):
        raise InputError(
            f"--weights {weights}: its BN layers have an epsilon of {epsilon:g}, {variant} has {EPSILONS[variant]:g}"
        )


def _write(destination: Path, arrays: dict[str, np.ndarray], metadata: dict) -> str:
    content = _sorted_header(safetensors.numpy.save(arrays, {key: str(metadata[key]) for key in metadata}))
    try:
        write(destination, content)
    except OSError as error:
        raise InputError(f"can't write {destination}: {error.strerror}") from error
    return sha256(content)


def _sorted_header(content: bytes) -> bytes:
    """Sort the metadata, whose order the library leaves to chance, so that equal weights are equal bytes."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]
