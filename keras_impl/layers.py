"""The layers in which Keras and PyTorch differ, so that the model files need not say it again.

Images are ``(N, H, W, C)``; kernels are ``(height, width, in, out)``.
"""

import keras
from keras import ops

DECAY = 0.99  # DIFFERS: PyTorch's default keeps 0.9 of the old moving value (there: momentum=0.1)


# DIFFERS: JAX has 64 bits only where it is told so, and its unsigned numbers wrap by themselves; other backends lack
# operations on those
COUNTER, _WORD = ("int32", "uint32") if keras.backend.backend() == "jax" else ("int64", "int64")


@keras.saving.register_keras_serializable(package="keras_impl")
class BatchNorm(keras.layers.BatchNormalization):
    """Keras's batch normalisation, with a choice of what evaluation normalises with.

    ``evaluates_with="batch"`` makes ``training=False`` use the batch's own mean and variance and leave the
    moving statistics alone: Keras has no spelling for it (PyTorch: ``track_running_stats=False``).

    DIFFERS: the moving variance takes in the biased batch variance (divided by n); PyTorch's the
    unbiased one (n - 1). Both normalise with the biased one.

    Source: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167
    """

    def __init__(self, epsilon=1.001e-5, decay=DECAY, evaluates_with="moving", **kwargs):
        kwargs.pop("momentum", None)  # what `decay` is called in a saved configuration
        super().__init__(epsilon=epsilon, momentum=decay, **kwargs)
        self.decay = decay
        self.evaluates_with = evaluates_with

    def call(self, inputs, training=None, mask=None):
        """Normalise ``(N, ..., C)`` over all axes but the last."""
        if training or self.evaluates_with == "moving" or not self.trainable:
            return super().call(inputs, training=training, mask=mask)
        decay, self.momentum = self.momentum, 1.0  # normalise as in training, keep the moving statistics
        try:
            return super().call(inputs, training=True, mask=mask)
        finally:
            self.momentum = decay

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "decay": self.decay, "evaluates_with": self.evaluates_with}


@keras.saving.register_keras_serializable(package="keras_impl")
class CounterDropout(keras.layers.Layer):
    """Dropout whose mask is a pure function of ``(seed, step, position)``, the same in both frameworks.

    ``step`` counts the training calls and is part of the layer's state, so that an epoch can be replayed
    with the masks it had. The bits come from a 32-bit integer mixer (two multiplications, three shifts).

    Args:
        rate: share of the values set to 0, in [0, 1); the others are scaled by ``1 / (1 - rate)``.
        seed: the layer's own seed, a non-negative integer below 2**31.
    """

    def __init__(self, rate, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = seed

    def build(self, input_shape):
        """Make the step counter."""
        self.step = self.add_weight(
            shape=(), dtype=COUNTER, initializer="zeros", trainable=False, name="step"
        )

    def call(self, inputs, training=None):
        """Drop values of ``inputs`` in training; return them unchanged otherwise."""
        if not training or self.rate == 0:
            return inputs
        start = mix(ops.convert_to_tensor(self.seed, _WORD) + mix(ops.cast(self.step + 1, _WORD)))
        positions = ops.reshape(ops.arange(ops.size(inputs), dtype=_WORD), ops.shape(inputs))
        uniform = ops.cast(mix(ops.bitwise_xor(positions, start)), inputs.dtype) / 2.0**32  # [0, 1)
        self.step.assign(self.step + 1)
        return ops.where(uniform >= self.rate, inputs / (1 - self.rate), ops.zeros_like(inputs))

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


def mix(x):
    """Scramble the low 32 bits of non-negative int64 values (uint32 on JAX); the result is in [0, 2**32)."""
    # products stay below 2**63: both constants are below 2**31
    x = _low(x)
    x = _low(_folded(x, 18) * ops.cast(0x4260BB47, _WORD))
    x = _low(_folded(x, 13) * ops.cast(0x27E8E1ED, _WORD))
    return _folded(x, 15)


def _low(x):
    return x if _WORD == "uint32" else ops.bitwise_and(x, 0xFFFFFFFF)


def _folded(x, by):
    return ops.bitwise_xor(x, ops.right_shift(x, ops.cast(by, _WORD)))


def conv(x, channels, kernel, stride=1, bias=True, same=False, name=None):
    """Convolve with ``kernel // 2`` zeros on every side; with ``same``, with those of Keras's ``padding="same"``.

    DIFFERS: Keras's ``padding="same"`` is symmetric only at stride 1; at stride 2 the padding is explicit.
    """
    same = same or stride == 1
    if kernel > 1 and not same:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name.removesuffix('_conv')}_pad")(x)
    return keras.layers.Conv2D(
        channels, kernel, stride, "same" if same else "valid", use_bias=bias, name=name
    )(x)


def max_pool(x, size, stride, padding=0, name=None):
    """Take the maximum over ``size`` x ``size`` windows.

    DIFFERS: the padding is zeros, PyTorch's is minus infinity: equal after a relu only.
    """
    if padding:
        x = keras.layers.ZeroPadding2D(padding, name=f"{name.removesuffix('_pool')}_pad")(x)
    return keras.layers.MaxPooling2D(size, stride, name=name)(x)
