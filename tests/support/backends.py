"""Keras on the backend of this process, which `KERAS_BACKEND` names. Tests marked `backend` run on each of them."""

from contextlib import contextmanager

import keras

from compare.frameworks import FRAMEWORKS

FRAMEWORK = next(
    own for own in FRAMEWORKS.values() if own.side == "keras" and own.backend == keras.backend.backend()
)
SIDE = FRAMEWORK.implementation


def numpy(tensor):
    """A tensor's values, also where they could have a gradient."""
    return keras.ops.convert_to_numpy(tensor)


@contextmanager
def double():
    """Everything that is built meanwhile computes in float64."""
    FRAMEWORK.set_dtype("float64")
    try:
        yield
    finally:
        FRAMEWORK.set_dtype("float32")
