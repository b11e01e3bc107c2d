"""What files hold for a diagnosis: a network to be built, weights for a person's own model, and images of classes.

Weights are read by the reader that `compare port` and `compare run` have, images found as `compare run` finds them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compare import data as datasets
from compare.frameworks import own
from compare.spec import InputError
from compare.weights import reading
from compare.weights.network import Network, unify
from compare.weights.settle import settle


@dataclass(frozen=True)
class Made:
    """A model that was made of a file of weights alone.

    Attributes:
        loss: the one that suits its last layer; None for Keras, which is compiled with it.
        preprocessing: what the backbone's images go through.
    """

    model: Any
    network: Network
    loss: Callable[..., Any] | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its images: those that a flattened map needs, else ImageNet's."""
        return self.network.size if all(self.network.size) else (224, 224)

    @property
    def preprocessing(self) -> str:
        """What its images go through, ``caffe`` or ``torch``."""
        return self.network.preprocessing


def make(path: Path) -> Made:
    """Build the ResNet50 or VGG16 that a file of weights is of, with its head.

    Raises:
        InputError: it can't be read, or holds another network; one line.
    """
    source = reading.read(path)
    if not source.backbone:
        what = f"is {source.other}" if source.other else "holds weights alone"
        raise InputError(
            f"{path} {what}, neither a ResNet50 nor a VGG16; name the model, FILE.py:NAME, with --weights {path}"
        )
    network, _ = settle(source)
    if not network.top:
        raise InputError(
            f"{path} holds a {network.backbone} without a head, which has no loss; name FILE.py:NAME"
        )
    framework = own(source.framework)
    if framework.side == "keras":
        os.environ["KERAS_BACKEND"] = framework.backend
    model = framework.module("networks").build(network, drawn=False)
    framework.module("weights").from_arrays(model, unify(source.arrays)[0])
    last = network.top[-1]
    if framework.side == "torch":
        return Made(model, network, _torch_loss(last.activation, last.units))
    import keras

    kind = keras.losses.BinaryCrossentropy if last.units == 1 else keras.losses.SparseCategoricalCrossentropy
    model.compile("sgd", kind(from_logits=last.activation == "linear"), metrics=["accuracy"])
    return Made(model, network, None)


def _torch_loss(activation: str, units: int) -> Callable[..., Any]:
    """The cross entropy of the classes' numbers and what a last layer gives: probabilities or logits."""
    import torch.nn.functional as F

    def loss(outputs: Any, targets: Any) -> Any:
        if units == 1:
            targets = targets.reshape(outputs.shape).to(outputs.dtype)
            given = F.binary_cross_entropy if activation == "sigmoid" else F.binary_cross_entropy_with_logits
            return given(outputs, targets)
        return F.cross_entropy(
            outputs.clamp_min(1e-12).log() if activation == "softmax" else outputs, targets
        )

    return loss


def load(model: Any, path: Path) -> None:
    """Load a file's weights into a person's own model.

    Raises:
        InputError: it can't be read, or lacks some of the model's tensors; the line says how many there are.
    """
    if not hasattr(model, "load_state_dict"):
        _load_keras(model, path)
        return
    import torch

    state, wanted = reading.state(path), model.state_dict()
    first = next(iter(wanted), "")
    prefixes = [key.removesuffix(first) for key in state if key.endswith(first)]

    def fitting(prefix: str) -> dict[str, Any]:
        found = {name: state.get(prefix + name) for name in wanted}
        return {
            n: array
            for n, array in found.items()
            if array is not None and array.shape == tuple(wanted[n].shape)
        }

    found = max(map(fitting, ["", *prefixes]), key=len)
    # a count of batches may be missing, as in what other frameworks' weights were made into
    if any(name not in found and not name.endswith("num_batches_tracked") for name in wanted):
        raise InputError(
            f"--weights: {len(found)} of {len(wanted)} tensors of the model are in {path} by name and shape"
        )
    model.load_state_dict(
        {name: torch.from_numpy(np.array(array)) for name, array in found.items()}, strict=False
    )


def _load_keras(model: Any, path: Path) -> None:
    reading.holds_a_model(path)
    try:
        model.load_weights(path)
    except (ValueError, OSError) as error:
        fits = _fits_keras(model, path)
        text = f"{fits[0]} of {fits[1]} tensors of the model are in {path}" if fits else str(error)
        raise InputError(f"--weights: {' '.join(text.split())[:200]}") from error


def _fits_keras(model: Any, path: Path) -> tuple[int, int] | None:
    """How many of a Keras model's tensors a file fills in, and of how many; None where nothing can be read of it."""
    import warnings

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


def size_of(model: Any) -> tuple[int, int] | None:
    """Height and width of the images that a Keras model takes, if only one size will do."""
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or not (shape[1] and shape[2]):
        return None
    return int(shape[1]), int(shape[2])


def images(
    reference: str, preprocessing: str = "", size: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read the images of classes in a folder, or in a list: those that are trained on, where it is split.

    Args:
        preprocessing: what they go through; else they are 0..255 for Keras, and 0..1 for PyTorch.
        size: height and width that they are brought to; else the first one's.

    Returns:
        Images as the framework takes them, and their classes' numbers in the order of
        the classes' names, as both frameworks' own loaders number them.

    Raises:
        InputError: as `compare.data.load`'s.
    """
    from PIL import Image

    found = datasets.load(reference)
    chosen = np.arange(len(found)) if found.split is None else np.flatnonzero(found.split == 0)
    for note in found.notes:
        print(f"--data {reference}: {note}", file=sys.stderr)
    number = {name: index for index, name in enumerate(sorted(found.classes))}
    with Image.open(found.root / found.names[chosen[0]]) as first:
        wanted = size[::-1] if size else first.size
    pixels = np.stack([_pixels(found.root / found.names[index], wanted) for index in chosen])
    labels = np.array([number[found.classes[found.labels[index]]] for index in chosen])
    x = datasets.preprocess(pixels, preprocessing) if preprocessing else pixels.astype("float32")
    if "keras" in sys.modules:
        return x, labels
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) / (1 if preprocessing else 255), labels


def _pixels(path: Path, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    from compare.data.image import to_rgb

    with Image.open(path) as image:
        return np.asarray(to_rgb(image).resize(size))
