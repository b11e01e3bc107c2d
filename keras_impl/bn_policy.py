"""What a BN policy is in Keras: set it on a model. What the layers then do, `behaviour` sees.

The backbone's layers are all those whose name doesn't start with ``head_``.
"""

from dataclasses import dataclass
from typing import Literal

import keras

BATCH_NORM = keras.layers.BatchNormalization


@dataclass(frozen=True)
class Policy:
    """What trains, and which statistics batch normalisation uses.

    Attributes:
        trains: ``head``; ``bn`` (head, gamma and beta); ``all``; ``all-but-bn`` (all but gamma and beta).
        fit_statistics: ``batch`` or ``moving``: what training normalises with.
        updates: whether training moves the moving statistics.
        evaluate_statistics: ``batch`` or ``moving``: what evaluation normalises with.
    """

    trains: Literal["head", "bn", "all", "all-but-bn"]
    fit_statistics: Literal["batch", "moving"]
    updates: bool
    evaluate_statistics: Literal["batch", "moving"] = "moving"


def apply(model, policy):
    """Set the policy on a transfer model. Call it before ``compile``.

    DIFFERS: ``bn.trainable = False`` also puts the layer into inference mode; the policies that train on
    batch statistics therefore leave the layer trainable and freeze its variables one by one.
    """
    for layer in leaves(model):
        if isinstance(layer, BATCH_NORM):
            layer.trainable = policy.fit_statistics == "batch"
            if layer.trainable:
                layer.gamma.trainable = layer.beta.trainable = policy.trains in ("bn", "all")
            # a momentum of 1 keeps the moving statistics as they are
            layer.momentum = layer.decay if policy.updates else 1.0
            layer.evaluates_with = policy.evaluate_statistics
        else:
            layer.trainable = _in_head(layer.name) or policy.trains in ("all", "all-but-bn")


def leaves(model):
    """Yield the layers of a model and of the models nested in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


def _in_head(name):
    return name.startswith("head_")
