"""The proof of a port: both frameworks compute with what each holds, layer by layer, and a record of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from compare.data.preprocess import preprocess
from compare.files import sha256
from compare.frameworks import DTYPES
from compare.parity.inputs import random_images
from compare.port.trace import Process
from compare.spec import InputError
from compare.weights.network import Arrays, Network
from compare.weights.original import original
from compare.weights.source import Format, Source

IMAGES, SIZE, SEED = 4, 64, 0
# images where they may be large ones: those that the original computes with, or a flattened map is of
FEW = 2

Held = tuple[Arrays, Network]  # what one of the two files holds


def traced(keras: Process, held: Held, folder: Path, report: Callable[[str], None]) -> None:
    """Run what one of the two files holds in Keras, and write what the layers give into a folder.

    Raises:
        InputError: it isn't finite, or there is no room for it.
    """
    images = _images(held[1])
    keras.hold(held[0])
    for dtype in DTYPES:
        report(f"computing with Keras, {dtype}")
        place = folder / dtype
        try:
            place.mkdir()
            _finite(keras.call("trace", held[1], images, dtype, place))
        except OSError as error:
            raise no_room(folder, error) from error


def no_room(folder: Path, error: OSError) -> InputError:
    """Say that a disk for temporary files is full."""
    reason = error.strerror or error
    return InputError(
        f"no room in {folder.parent} for what the layers give: {reason}; TMPDIR names another disk"
    )


def compared(torch: Process, held: Held, folder: Path, folded: bool, report: Callable[[str], None]) -> list:
    """Run what the other file holds in PyTorch, and compare all layers with those that `traced` wrote.

    Args:
        folded: one of the two has its convolutions' biases in the moving means.

    Returns:
        Stages (`compare.parity.figures.Stage`): inference and, with BN, training mode, in float64 and float32.
    """
    images, stages = _images(held[1]), []
    torch.hold(held[0])
    for dtype in DTYPES:
        report(f"computing with PyTorch, {dtype}")
        stages += torch.call("compare_trace", held[1], images, dtype, folder / dtype, folded)
    return stages


def _finite(layer: str) -> None:
    """Refuse a network that computes what is no number, of which nothing could be proven.

    Raises:
        InputError: naming the layer.
    """
    if layer:
        raise InputError(
            f"SOURCE computes what isn't finite, from layer {layer} on, of random images: its weights may be damaged"
        )


def prove_original(process: Process, source: Source, network: Network, arrays: Arrays) -> tuple[list, str]:
    """Run SOURCE by its framework's own loading, and compare with what its arrays compute as the network they are of.

    Returns:
        A stage, or none; and a line that says what couldn't be run and why, or nothing.

    Raises:
        InputError: the two aren't the same, or the framework can't load its own file.
    """
    own = original(source, network)
    if own is None:
        return [], ""
    size = source.told.input or (network.size if any(network.size) else (SIZE, SIZE))
    images = preprocess(random_images(FEW, max(size), SEED), network.preprocessing)[:, : size[0], : size[1]]
    images = np.ascontiguousarray(images)
    try:
        process.hold(arrays)
        stage = process.call("compare_original", own, network, images)
    except ValueError as error:
        if source.format is Format.KERAS and source.version.startswith("3"):
            raise InputError(f"SOURCE {source.path}: {error}") from error
        return [], f"not run as it is, since {error}; the proof starts from this command's own reading"
    if stage.verdict != "same":
        apart = (
            stage.rows[0].note
            if np.isinf(stage.rows[0].relative)
            else f"{stage.rows[0].relative:.1e} relative"
        )
        raise InputError(
            f"SOURCE {source.path} computes something else than a {network.describe()} with its weights ({apart}):"
            " something in it is another way than the class has it"
        )
    return [stage], ""


def certify(stages: list, network: Network, record: dict, versions: dict) -> dict[str, Any]:
    """Put together what was compared, with what, and how far apart it was, as JSON can hold it."""
    from compare.parity import tolerances

    images = _images(network)
    return {
        "kind": "compare port",
        "verdict": "same function" if all(stage.verdict == "same" for stage in stages) else "differs",
        **record,
        "network": network.as_dict(),
        "versions": versions,
        "inputs": {
            "images": list(images.shape),
            "seed": SEED,
            "preprocessing": network.preprocessing,
            "sha256": sha256(images.tobytes()),
        },
        "tolerances": {dtype: tolerances.as_dict(dtype) for dtype in DTYPES},
        "twin": tolerances.TWIN,
        "stages": [stage.as_dict() for stage in stages],
    }


def write(path: Path, certificate: dict) -> None:
    """Write a certificate as JSON."""
    path.write_text(json.dumps(certificate, indent=1, sort_keys=True) + "\n")


def _images(network: Network) -> np.ndarray:
    """Preprocessed random images, of the only size that a flattened map allows."""
    height, width = network.size if any(network.size) else (SIZE, SIZE)
    count = FEW if max(height, width) > SIZE else IMAGES
    images = preprocess(random_images(count, max(height, width), SEED), network.preprocessing)
    return np.ascontiguousarray(images[:, :height, :width])
