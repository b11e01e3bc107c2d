"""The proof of a port: both frameworks compute with what each holds, layer by layer, and a record of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from compare.data.preprocess import preprocess
from compare.files import sha256
from compare.parity.inputs import random_images
from compare.port import trace as processes
from compare.port.trace import Process
from compare.weights.network import Arrays, Network

IMAGES, SIZE, SEED = 4, 64, 0
DTYPES = ("float64", "float32")
STEPS = 3

Held = tuple[Arrays, Network]  # what one of the two files holds


def prove(
    keras: Process,
    torch: Process,
    in_keras: Held,
    in_torch: Held,
    folded: bool,
    report: Callable[[str], None],
) -> list:
    """Run what the one file holds in Keras and what the other holds in PyTorch, and compare all layers.

    Args:
        folded: one of the two has its convolutions' biases in the moving means.

    Returns:
        Stages (`compare.parity.figures.Stage`): inference and training mode, in float64 and float32.
    """
    images = _images(in_keras[1])
    stages = []
    with tempfile.TemporaryDirectory() as folder:
        for dtype in DTYPES:
            report(f"computing with both, {dtype}")
            path = Path(folder) / dtype
            keras.call(processes.trace, *in_keras, images, dtype, path)
            stages += torch.call(processes.compare_trace, *in_torch, images, dtype, path, folded)
            path.unlink()
    return stages


def train(arrays: Arrays, network: Network, report: Callable[[str], None]) -> list:
    """Train what the written file holds in both frameworks: its backbone whole, under a new head of this project's.

    Returns:
        Stages of `compare.parity.stages.run`: policy ``fine-tune``, float64, matched numerics; none for a v1
        without biases or a v1.5 with them: this project has no such models to train.
    """
    if network.backbone == "resnet50" and network.bias != (network.variant != "v1.5"):
        report("not trained: this project's v1 has convolution biases, its v1.5 has none")
        return []
    from compare.parity.check import Check
    from compare.parity.stages import Pair, run
    from compare.weights.shapes import shapes

    check = Check(
        backbone=network.backbone,
        variant=network.variant,
        width=network.width,
        preprocessing=network.preprocessing,
        epsilon=network.epsilon,
        steps=STEPS,
    )
    backbone = {name: arrays[name] for name in shapes(network.backbone, network.variant, network.width)}
    with Pair(check.dtype) as pair:
        save_file(backbone, pair.file("weights"))
        return run(pair, check, pair.file("weights"), lambda line: report(f"training with both: {line}"))


def certify(stages: list, network: Network, record: dict, versions: dict) -> dict[str, Any]:
    """Put together what was compared, with what, and how far apart it was, as JSON can hold it."""
    from compare.parity import tolerances

    images = _images(network)
    return {
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
        "twin": {
            "factor": tolerances.TWIN_FACTOR,
            "reason": "a network that magnifies one rounding in the images this far magnifies the frameworks'"
            " roundings too; the bar of a layer is this many times the twin's distance where that is more",
        },
        "stages": [stage.as_dict() for stage in stages],
    }


def write(path: Path, certificate: dict) -> None:
    """Write a certificate as JSON."""
    path.write_text(json.dumps(certificate, indent=1, sort_keys=True) + "\n")


def _images(network: Network) -> np.ndarray:
    """Preprocessed random images, of the only size that a flattened map allows."""
    return preprocess(random_images(IMAGES, 32 * network.side or SIZE, SEED), network.preprocessing)
