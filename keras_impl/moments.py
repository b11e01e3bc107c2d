"""What reaches a normalisation layer, sample by sample: the moments over the positions that each sample has."""

import keras
import numpy as np

_PIECE = 2**16  # values that become float64 at a time: they stay in the processor's cache


def samples(x, axis, mask=None):
    """Each sample's mean and biased variance over its positions, float64 ``(N, C)``, and how many those are.

    They are computed where the tensor is, in float32 at least. With a mask every position that is there counts as a
    sample of its own.
    """
    if mask is not None:
        return _exactly(_rows(x, axis, mask))
    means, variances, positions = spread(x, axis)
    means, variances = (
        keras.ops.convert_to_numpy(values).astype(np.float64) for values in (means, variances)
    )
    return means, variances, positions


def spread(x, axis, mask=None):
    """The moments of `samples` as tensors, which may have no values yet.

    Raises:
        ValueError: there is a mask.
    """
    if mask is not None:
        raise ValueError("a mask's samples are counted by their values")
    x = keras.ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    rank = len(x.shape)
    over = [at for at in range(1, rank) if at != axis % rank]
    positions = int(np.prod([x.shape[at] for at in over], dtype=np.int64))
    if not over:
        return x, keras.ops.zeros_like(x), 1
    return *keras.ops.moments(x, over), positions


def moments(x, axis, mask=None):
    """The moments of a batch, sample by sample, as `lockstep.pool` takes them, in float64 throughout."""
    means, variances, positions = _exactly(_rows(x, axis, mask))
    return [(positions, mean, variance * positions) for mean, variance in zip(means, variances, strict=True)]


def _exactly(values):
    """The moments of `samples`, of an array ``(N, positions, C)``, computed in float64."""
    number, positions, channels = values.shape
    means, variances = np.empty((number, channels)), np.zeros((number, channels))
    step = max(1, _PIECE // max(1, positions * channels))
    with np.errstate(all="ignore"):
        for start in range(0, number, step):
            part = values[start : start + step].astype(np.float64)
            means[start : start + step] = mean = part.mean(1)
            if positions > 1:
                part -= mean[:, None]
                variances[start : start + step] = np.square(part, out=part).mean(1)
    return means, variances, positions


def _rows(x, axis, mask):
    values = np.moveaxis(keras.ops.convert_to_numpy(x), axis, -1)
    values = values.reshape(len(values), -1, values.shape[-1])
    if mask is None:
        return values
    return values[keras.ops.convert_to_numpy(mask).astype(bool).reshape(values.shape[:2])][:, None]
