"""Causes in other networks, with other losses: 1-d and 3-d, nested, functional, subclassed; regression, masks, labels.

Each is a function that returns (model, data, options of `compare.diagnose`, causes that may be first).
"""

import keras
import numpy as np
from keras import layers, ops

from tests.keras.diagnosis.toys import BN, Dense, compiled, fitted, net, normed, toy

BCE = keras.losses.BinaryCrossentropy(from_logits=True)


def signals(count=192, shift=0.0, scale=1.0, seed=0):
    """Signals ``(N, 12, 3)`` and a number each."""
    z = np.random.default_rng(seed).normal(size=(count, 12, 3))
    y = z[:, :, 0].mean(1) - z[:, :, 1].max(1) + 0.5 * z[:, :, 2].std(1)
    return (shift + scale * z).astype("float32"), y[:, None].astype("float32")


def convolutions(momentum=0.9):
    parts = []
    for _ in range(2):
        parts += [layers.Conv1D(12, 3, use_bias=False), BN(momentum=momentum), layers.ReLU()]
    return keras.Sequential([keras.Input((12, 3)), *parts, layers.GlobalAveragePooling1D(), Dense(1)])


def volumes(count=48, shift=0.0, scale=1.0, seed=0):
    """Volumes ``(N, 5, 5, 5, 1)`` and a class for each of their points."""
    z = np.random.default_rng(seed).normal(size=(count, 5, 5, 5, 1))
    return (shift + scale * z).astype("float32"), (z + np.roll(z, 1, 1) > 0).astype("int32")


class Segmenter(keras.Model):
    """Subclassed, with a sequence inside."""

    def __init__(self, momentum=0.9):
        super().__init__()
        self.first, self.bn = layers.Conv3D(8, 3, padding="same", use_bias=False), BN(momentum=momentum)
        conv = layers.Conv3D(8, 3, padding="same", use_bias=False)
        self.second = keras.Sequential([conv, BN(momentum=momentum), layers.ReLU()])
        self.out = layers.Conv3D(2, 1)

    def call(self, x, training=None):
        x = ops.relu(self.bn(self.first(x), training=training))
        return self.out(self.second(x, training=training))


def jaccard(y, p):
    """One minus intersection over union of the whole batch: no mean over samples."""
    y, p = ops.cast(y, "float32")[..., 0], ops.softmax(p)[..., 1]
    both = ops.sum(y * p)
    return 1 - both / (ops.sum(y) + ops.sum(p) - both)


def told(model, x, y, *causes, epochs=6, size=32, **options):
    history = fitted(model, x, y, epochs, size, **options)
    return model, (x, y), {"reported": history, "batch_size": size}, causes


def without_updates(model):
    for layer in model._flatten_layers():
        if isinstance(layer, BN):
            layer.momentum = 1.0


def regression(model, rate=0.01):
    return compiled(model, rate, loss="mse", metrics=[])


def stale_regression():
    return told(
        regression(convolutions(0.99)), *signals(128, 4.0, 2.0), "stale-statistics", epochs=20, size=64
    )


def stale_masks():
    return told(compiled(Segmenter(0.99)), *volumes(48, 4.0, 2.0), "stale-statistics", epochs=8, size=24)


def stale_labels_with_a_shortcut():
    x, _ = toy()
    y = (x @ np.random.default_rng(7).normal(size=(8, 5)) > 0).astype("float32")
    inputs = keras.Input((8,))
    first = layers.ReLU()(BN(momentum=0.995)(Dense(24)(inputs)))
    both = layers.Add()([first, layers.ReLU()(BN(momentum=0.995)(Dense(24)(first)))])
    model = compiled(keras.Model(inputs, Dense(5)(both)), loss=BCE, metrics=[])
    return told(model, 2 + 3 * x, y, "stale-statistics", epochs=12, size=64)


def foreign_regression():
    model = regression(convolutions())
    fitted(model, *signals(), 15)
    without_updates(model)
    return told(regression(model, 0.003), *signals(192, 5.0, 2.0, 3), "foreign-statistics", epochs=5)


def foreign_masks_by_a_loss_of_the_whole_batch():
    model = compiled(Segmenter(), loss=jaccard, metrics=[])
    fitted(model, *volumes(), 25, 16)
    without_updates(model)
    compiled(model, 0.003, loss=jaccard, metrics=[])
    return told(model, *volumes(48, 5.0, 2.0, 3), "foreign-statistics", epochs=4, size=16)


def noisy_masks_of_one_image():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(24, 6, 6, 1))
    x = (z + 4 * rng.normal(size=(24, 1, 1, 1))) * (0.3 + 3 * rng.random((24, 1, 1, 1)))
    parts = []
    for _ in range(2):
        parts += [layers.Conv2D(8, 3, padding="same"), BN(momentum=0.9), layers.ReLU()]
    model = compiled(keras.Sequential([keras.Input((6, 6, 1)), *parts, layers.Conv2D(2, 1)]))
    y = (z + np.roll(z, 1, 1) > 0).astype("int32")
    return told(model, x.astype("float32"), y, "batch-noise", epochs=15, size=1)


def unmixed_regression():
    x, y = signals(256)
    source = np.arange(256) // 32
    moved = (3 * np.random.default_rng(3).normal(size=(8, 3)))[source][:, None]
    x = (x * (0.5 + 0.3 * source)[:, None, None] + moved).astype("float32")
    return told(regression(convolutions()), x, y, "unmixed-batches", epochs=15, shuffle=False)


def decay_regression():
    x, y = signals(200, 3.0, 2.0)
    rng = np.random.default_rng(1)
    x = x * (0.4 + 1.5 * rng.random((200, 1, 1))) + 3 * rng.normal(size=(200, 1, 1))
    model = regression(convolutions(0.1))
    return told(model, x.astype("float32"), y, "decay", epochs=15, size=10, shuffle=False)


def shared_by_two_inputs():
    encoder = keras.Sequential([keras.Input((8,)), BN(momentum=0.95), Dense(16, "tanh")])
    a, b = keras.Input((8,), name="a"), keras.Input((8,), name="b")
    model = compiled(keras.Model([a, b], Dense(2)(ops.square(encoder(a) - encoder(b)))))
    rng = np.random.default_rng(1)
    x, same = rng.normal(size=(256, 8)), rng.random(256) < 0.5
    other = 4 + 0.3 * np.where(same[:, None], x, rng.normal(size=(256, 8)))
    pair = [x.astype("float32"), other.astype("float32")]
    return told(model, pair, same.astype("int32"), "shared-layer", epochs=40, size=64)


def frozen_weights_and_moving_statistics():
    """Each weight was told not to train, and not the layer."""
    body = keras.Sequential(normed(0.99))
    model = compiled(keras.Sequential([keras.Input((8,)), body, Dense(3)]))
    fitted(model, *toy(), 10)
    for layer in body.layers:
        for weight in layer.trainable_weights:
            weight.trainable = False
    return told(compiled(model), *toy(shift=3, seed=2), "not-frozen", epochs=2)


def frozen_as_it_should_be():
    body = keras.Sequential(normed(0.99))
    model = compiled(keras.Sequential([keras.Input((8,)), body, Dense(3)]))
    fitted(model, *toy(), 10)
    body.trainable = False
    return told(compiled(model), *toy(shift=0.3, seed=2), "none", epochs=4)


def dropout_that_the_graph_asks_for_and_evaluation_goes_without():
    inputs = keras.Input((12, 3))
    hidden = layers.Dropout(0.4)(Dense(24, "relu")(layers.Flatten()(inputs)), training=True)
    return told(regression(keras.Model(inputs, Dense(1)(hidden))), *signals(96), "mode-override")


class Drops(keras.Model):
    """An operation that is random, and no layer."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out, self.draw = Dense(24, "relu"), Dense(3), keras.random.SeedGenerator(1)

    def call(self, x):
        return self.out(keras.random.dropout(self.hidden(x), 0.5, seed=self.draw))


def a_random_operation():
    return told(compiled(Drops()), *toy(), "random-evaluation")


class Centred(keras.Model):
    """Moves its centre whatever the mode is."""

    def __init__(self):
        super().__init__()
        self.net = net(*normed(0.9))

    def build(self, shape):
        self.centre = self.add_weight(shape=(8,), initializer="zeros", trainable=False, name="centre")

    def call(self, x, training=None):
        self.centre.assign(0.9 * self.centre + 0.1 * ops.mean(x, 0))
        return self.net(x - self.centre, training=training)


def a_centre_that_moves():
    return told(compiled(Centred()), *toy(shift=2), "evaluation-changes-state")


def channels_dropped_from_masks():
    conv = [layers.Conv3D(8, 3, padding="same", activation="relu") for _ in range(2)]
    net = [
        keras.Input((5, 5, 5, 1)),
        conv[0],
        layers.SpatialDropout3D(0.4),
        conv[1],
        layers.GaussianDropout(0.3),
    ]
    return told(
        compiled(keras.Sequential([*net, layers.Conv3D(2, 1)])), *volumes(), "dropout", epochs=10, size=16
    )


def dropout_inside_attention_and_gru():
    x = np.random.default_rng(0).normal(size=(128, 5, 8)).astype("float32")
    inputs = keras.Input((5, 8))
    h = layers.MultiHeadAttention(2, 4, dropout=0.3)(inputs, inputs)
    h = layers.GRU(12, dropout=0.4, recurrent_dropout=0.3)(h + inputs)
    model = compiled(keras.Model(inputs, Dense(2)(layers.AlphaDropout(0.2)(h))))
    return told(model, x, (x[:, :, 0].sum(1) > 0).astype("int32"), "dropout", epochs=8)


VARIANTS = (
    stale_regression, stale_masks, stale_labels_with_a_shortcut, foreign_regression,
    foreign_masks_by_a_loss_of_the_whole_batch, noisy_masks_of_one_image, unmixed_regression, decay_regression,
    shared_by_two_inputs, frozen_weights_and_moving_statistics, frozen_as_it_should_be,
    dropout_that_the_graph_asks_for_and_evaluation_goes_without, a_random_operation, a_centre_that_moves,
    channels_dropped_from_masks, dropout_inside_attention_and_gru,
)  # fmt: skip
