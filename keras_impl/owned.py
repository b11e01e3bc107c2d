"""What a normalisation layer has stored: its mean and its variance, wherever it keeps them.

DIFFERS: a layer with an arithmetic of its own is found by what a call in training changes; in PyTorch by the names
of its buffers.
"""

from itertools import permutations

import keras
import numpy as np

from .keeping import value
from .lockstep import pool
from .moments import moments
from .statistics import BATCH_NORM

_CLOSE = 1e-3  # relative: a step of float32
_ALIKE = 1e-2  # of the largest output: a normalisation by hand beside itself with the same statistics stored


class Owned:
    """Where a layer keeps its statistics.

    Attributes:
        pair: its variables of mean and variance.
        deviation: whether the second is a standard deviation.
        axis: of the channels in the layer's input.
        unbiased: whether the variance that it stores is divided by n - 1.
        decay: share of the old value that a step keeps.
    """

    def __init__(self, pair, deviation=False, axis=-1, unbiased=False, decay=None):
        self.pair, self.deviation, self.axis, self.unbiased, self.decay = (
            pair,
            deviation,
            axis,
            unbiased,
            decay,
        )

    def stored(self):
        """Mean and variance, float64 ``(C,)``."""
        mean, spread = (value(variable).astype(np.float64) for variable in self.pair)
        return mean, spread**2 if self.deviation else spread

    def put(self, mean, variance):
        """Write other statistics."""
        for variable, values in zip(
            self.pair, (mean, np.sqrt(variance) if self.deviation else variance), strict=True
        ):
            variable.assign(np.asarray(values, variable.dtype))


def find(layer, x, before, after, trained=None, evaluate=None):
    """Find what a layer has stored, from one call in training: a moving average goes towards the batch's own.

    What never moves is found, too: with the batch's own statistics in its place evaluation does what training does.

    Args:
        layer: the layer.
        x: what it was called with.
        before, after: id of a variable -> its values, of those that the call changed.
        trained: what the call gave.
        evaluate: gives what an evaluation does with the variables as they stand, and puts them back; None where that
            is the same anyway.

    Returns:
        An `Owned`; None where there is none.
    """
    if is_normalisation(layer):
        return Owned((layer.moving_mean, layer.moving_variance), axis=layer.axis, decay=layer.momentum)
    shape = tuple(getattr(x, "shape", ()))
    for axis in range(len(shape) - 1, 0, -1):
        held = [v for v in layer.non_trainable_variables if tuple(v.shape) == (shape[axis],)]
        moved = [v for v in held if id(v) in after]
        found = _pair(moved, x, axis, before, after) if len(moved) > 1 else None
        if found is None and evaluate is not None and not moved:
            found = _unmoved(held, x, axis, trained, evaluate)
        if found is not None:
            return found
    return None


def is_normalisation(layer):
    """Whether a layer is a batch normalisation by its class."""
    return isinstance(layer, BATCH_NORM)


def _pair(moved, x, axis, before, after):
    mean, variance = pool(moments(x, axis))
    count = np.prod(x.shape) / x.shape[axis]
    unbiased = variance * count / max(count - 1, 1)
    means = [(v, share) for v in moved if (share := _share(v, mean, before, after))]
    spreads = (variance, False, False), (np.sqrt(variance), True, False), (unbiased, False, True)
    for target, deviation, divided in (*spreads, (np.sqrt(unbiased), True, True)):
        for held in moved:
            if means and held is not means[0][0] and _share(held, target, before, after):
                return Owned((means[0][0], held), deviation, axis, divided, 1 - means[0][1])
    return None


def _unmoved(held, x, axis, trained, evaluate):
    """The pair that evaluation normalises with, of variables that training leaves alone."""
    mean, variance = pool(moments(x, axis))
    floats = [v for v in held if "float" in str(v.dtype)]
    for pair in permutations(floats, 2):
        for deviation in (False, True):
            found = Owned(pair, deviation, axis, decay=1.0)
            found.put(mean, variance)
            if _alike(trained, evaluate()):
                return found
    return None


def _alike(these, those):
    """Whether outputs are the same but for what another formula rounds off, or adds to a variance."""
    pairs = zip(keras.tree.flatten(these), keras.tree.flatten(those), strict=True)
    arrays = [[keras.ops.convert_to_numpy(leaf).astype(np.float64) for leaf in pair] for pair in pairs]
    return all(
        a.shape == b.shape and np.allclose(a, b, rtol=0, atol=_ALIKE * np.abs(a).max(initial=0.0))
        for a, b in arrays
    )


def _share(variable, target, before, after):
    """Give the share of the way towards a target that all channels have gone; None where they haven't."""
    old, new = before[id(variable)].astype(np.float64), after[id(variable)].astype(np.float64)
    way = target - old
    far = np.abs(way) > _CLOSE * (np.abs(target) + np.abs(old) + 1e-6)
    if not far.any():
        return None
    shares = (new - old)[far] / way[far]
    share = float(np.median(shares))
    together = np.abs(shares - share).max() < 0.01 * abs(share)
    return share if together and 0 < share <= 1 + _CLOSE else None
