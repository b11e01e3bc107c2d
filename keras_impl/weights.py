"""A Keras model's weights as named arrays, the neutral form that both frameworks share.

Names and layouts are Keras's: ``conv1_conv/kernel`` is ``(height, width, in, out)``, a dense kernel
``(in, out)``. Names are matched, never positions, and nothing is reshaped to fit.
"""

import numpy as np

from .keeping import value
from .names import of_weights


def to_arrays(model):
    """Copy a model's weights and moving statistics into arrays.

    Args:
        model: a transfer model, its backbone, its head, keras.applications' ResNet50 or VGG16, or any other
            model of convolution, dense and BN layers.

    Returns:
        name -> array, in the model's own dtype. Counters and random states, which are integers, are left out.

    Raises:
        ValueError: two layers have the same name.
    """
    return {name: value(weight) for name, weight in of_weights(model).items()}


def from_arrays(model, arrays):
    """Set all of a model's weights and moving statistics to copies of ``arrays``, in the model's dtype.

    Raises:
        ValueError: names are missing, unexpected or of another shape; the model stays as it was.
    """
    weights = of_weights(model)
    check(arrays, {name: weight.shape for name, weight in weights.items()})
    for name, weight in weights.items():
        weight.assign(np.array(arrays[name], weight.dtype))


def backbone_arrays(arrays):
    """Leave out the arrays of an ImageNet classifier or of a transfer model's head."""
    tops = ("predictions/", "fc1/", "fc2/", "head_")
    return {name: array for name, array in arrays.items() if not name.startswith(tops)}


def check(arrays, shapes):
    """Compare the names and shapes of ``arrays`` with ``shapes``, a dict of name -> shape.

    Raises:
        ValueError: they differ; the line lists missing, unexpected and misshapen names, each sorted.
    """
    missing = sorted(shapes.keys() - arrays.keys())
    unexpected = sorted(arrays.keys() - shapes.keys())
    misshapen = [
        f"{name} {tuple(arrays[name].shape)} for {tuple(shapes[name])}"
        for name in sorted(shapes.keys() & arrays.keys())
        if tuple(arrays[name].shape) != tuple(shapes[name])
    ]
    lists = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    if any(lists.values()):
        found = "; ".join(
            f"{len(names)} {what}: {', '.join(names)}" for what, names in lists.items() if names
        )
        raise ValueError(f"the arrays are not this model's: {found}")
