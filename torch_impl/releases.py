"""Batch normalisation as past releases of Keras computed it, for a training with their numbers.

Nothing here is needed to read or to use the plain models: it is what ``release=`` of the other files takes in place of
`layers.BatchNorm`. Each release was run, and this file reproduces what it did in twenty steps of training.
"""

from dataclasses import dataclass
from typing import Literal

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


class BatchNorm(layers.BatchNorm):
    """Batch normalisation that moves its statistics as a release of Keras did.

    A zero-debiased average with decay d gives its t-th batch the weight (1 - d) / (1 - d**t), 1 for the first.

    DIFFERS: t is counted by PyTorch's own ``num_batches_tracked``. As in the releases, no file of weights keeps it.

    Args:
        channels: that come in.
        epsilon, decay: as of `layers.BatchNorm`.
        release: one of `RELEASES`.

    Source: the releases themselves; https://github.com/keras-team/keras/pull/9003 for the zero-debiasing
    """

    def __init__(self, channels, epsilon=EPSILON, decay=layers.KERAS_DECAY, release="keras-2.2.4"):
        super().__init__(channels, epsilon, decay, variance="biased")
        self.release = release_of(release)

    def move(self, mean, variance, count):
        """Move the moving statistics towards those of a batch of ``count`` values a channel."""
        if self.release.variance != "biased":
            variance = variance * (count / (count - 1))
        if self.release.variance == "doubly corrected":
            variance = variance * (count / (count - 1 - self.eps))
        weight = 1 - self.decay
        if self.release.zero_debiased:
            self.num_batches_tracked += 1
            weight /= 1 - self.decay ** int(self.num_batches_tracked)
        self.running_mean.add_((mean - self.running_mean) * weight)
        self.running_var.add_((variance - self.running_var) * weight)
