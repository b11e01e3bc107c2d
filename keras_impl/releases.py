"""Batch normalisation as past releases of Keras computed it, for a training with their numbers.

Nothing here is needed to read or to use the plain models: it is what ``release=`` of the other files takes in place of
`layers.BatchNorm`. Each release was run, and this file reproduces what it did in twenty steps of training.
"""

from dataclasses import dataclass
from math import log
from typing import Literal

import keras
from keras import ops

from . import layers

EPSILON = 1e-3  # what all of them add to the variance unless told otherwise


@dataclass(frozen=True)
class Release:
    """What distinguishes one release's arithmetic from another's.

    Attributes:
        variance: what the moving variance takes in, for images: ``biased`` (the squares' sum divided by n),
            ``unbiased`` (n - 1) or ``doubly corrected`` (the unbiased one times n / (n - 1 - epsilon)).
        zero_debiased: whether the moving averages are divided by 1 - decay**t, so that the first training step
            replaces whatever they held, pretrained or not.
        adam_epsilon: Adam's.
    """

    variance: Literal["biased", "unbiased", "doubly corrected"]
    zero_debiased: bool
    adam_epsilon: float


_OLDEST = Release("biased", False, 1e-8)
_CORRECTED_TWICE = Release("doubly corrected", True, 1e-7)
_FUSED = Release("unbiased", False, 1e-7)
RELEASES = {
    "keras-1.2.2": _OLDEST,
    "keras-2.0.0": _OLDEST,
    "keras-2.0.9": _OLDEST,
    "keras-2.1.2": _OLDEST,
    "keras-2.1.3": Release("unbiased", True, 1e-7),
    "keras-2.1.6": _CORRECTED_TWICE,
    "keras-2.2.4": _CORRECTED_TWICE,
    "keras-2.3.1": Release("doubly corrected", False, 1e-7),
    "tf.keras-1.15": _FUSED,
    "tf.keras-2.0": _FUSED,
    "tf-keras-2.21": _FUSED,
}


def release_of(name):
    """Look a release up.

    Raises:
        ValueError: it isn't one of `RELEASES`.
    """
    if name not in RELEASES:
        raise ValueError(f"release is {name!r}; it can be {', '.join(RELEASES)}")
    return RELEASES[name]


@keras.saving.register_keras_serializable(package="keras_impl", name="ReleaseBatchNorm")
class BatchNorm(layers.BatchNorm):
    """Batch normalisation that moves its statistics as a release of Keras did.

    A zero-debiased average with decay d gives its t-th batch the weight (1 - d) / (1 - d**t), 1 for the first.

    DIFFERS: t is a weight of the layer, an integer. In the releases no file of weights kept it.

    Args:
        epsilon, decay: as of `layers.BatchNorm`.
        release: one of `RELEASES`.
        kwargs: ``evaluates_with`` of `layers.BatchNorm`, and what every Keras layer takes.

    Source: the releases themselves; https://github.com/keras-team/keras/pull/9003 for the zero-debiasing
    """

    def __init__(self, epsilon=EPSILON, decay=layers.DECAY, release="keras-2.2.4", **kwargs):
        super().__init__(epsilon, decay, **kwargs)
        self.named, self.release = release, release_of(release)

    def build(self, input_shape):
        """Make the count of training steps beside batch normalisation's own weights."""
        super().build(input_shape)
        self.step = self.add_weight(
            shape=(), dtype=layers.COUNTER, initializer="zeros", trainable=False, name="step"
        )

    def call(self, inputs, training=None, mask=None):
        """Normalise ``(N, ..., C)`` over all axes but the last."""
        if not training or not self.trainable or self.momentum == 1:
            return super().call(inputs, training=training, mask=mask)
        axes = tuple(range(len(inputs.shape) - 1))
        count = ops.cast(ops.size(inputs) // inputs.shape[-1], self.variable_dtype)
        self.move(*ops.moments(ops.cast(inputs, self.variable_dtype), axes), count)
        decay, self.momentum = self.momentum, 1.0  # the moving statistics have been moved
        try:
            return super().call(inputs, training=training, mask=mask)
        finally:
            self.momentum = decay

    def move(self, mean, variance, count):
        """Move the moving statistics towards those of a batch of ``count`` values a channel."""
        if self.release.variance != "biased":
            variance = variance * (count / (count - 1))
        if self.release.variance == "doubly corrected":
            variance = variance * (count / (count - 1 - self.epsilon))
        weight = 1 - self.decay
        if self.release.zero_debiased:
            self.step.assign(self.step + 1)
            weight /= -ops.expm1(ops.cast(self.step, mean.dtype) * log(self.decay))  # 1 - decay**t, unrounded
        self.moving_mean.assign(self.moving_mean + (mean - self.moving_mean) * weight)
        self.moving_variance.assign(self.moving_variance + (variance - self.moving_variance) * weight)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "release": self.named}
