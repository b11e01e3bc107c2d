"""Small models of every kind that people build, fitted for a moment: name -> (model, batches' parts x, y, weights)."""

from functools import cache

import keras
import numpy as np
from keras import layers, ops

SAMPLES = 52
BN = keras.layers.BatchNormalization


class Forgetful(keras.Model):
    """Its call takes no `training`, so that fit runs it as evaluation."""

    def __init__(self):
        super().__init__()
        self.bn, self.drop, self.out = BN(name="bn"), layers.Dropout(0.5, name="drop"), layers.Dense(2)

    def call(self, x):
        return self.out(self.drop(self.bn(x)))


class RunningNorm(layers.Layer):
    """A normalisation with an arithmetic of its own, which keeps a standard deviation."""

    def build(self, shape):
        self.mu = self.add_weight(shape=shape[-1:], initializer="zeros", trainable=False, name="mu")
        self.sigma = self.add_weight(shape=shape[-1:], initializer="ones", trainable=False, name="sigma")

    def call(self, x, training=None):
        if not training:
            return (x - self.mu) / (self.sigma + 1e-3)
        mean, deviation = ops.mean(x, 0), ops.std(x, 0)
        self.mu.assign(0.9 * self.mu + 0.1 * mean)
        self.sigma.assign(0.9 * self.sigma + 0.1 * deviation)
        return (x - mean) / (deviation + 1e-3)


class Doubling(layers.Layer):
    """Reads the mode, and is neither noise nor a normalisation."""

    def call(self, x, training=None):
        return 2 * x if training else x


class Grown(keras.Model):
    """A subclass with layers of its own, whose call reads the mode, too."""

    def __init__(self):
        super().__init__()
        self.norm, self.noise = RunningNorm(name="norm"), layers.GaussianNoise(0.1, name="noise")
        self.double, self.out = Doubling(name="double"), layers.Dense(2)

    def call(self, x, training=None):
        x = self.double(self.noise(self.norm(x)))
        return self.out(x + 1 if training else x)


class OwnSteps(keras.Model):
    """An autoencoder with steps and metrics of its own; training adds a term to the loss."""

    def __init__(self):
        super().__init__()
        self.inner, self.bn, self.outer = layers.Dense(4), BN(name="bn"), layers.Dense(6)
        self.total, self.size = keras.metrics.Mean(name="loss"), keras.metrics.Mean(name="size")

    @property
    def metrics(self):
        return [self.total, self.size]

    def call(self, x, training=None):
        return self.outer(self.bn(self.inner(x), training=training))

    def _count(self, x, training):
        outputs = self(x, training=training)
        size = ops.mean(ops.abs(outputs))
        loss = ops.mean(ops.square(outputs - x)) + (size if training else 0)
        self.total.update_state(loss, sample_weight=ops.shape(x)[0])
        self.size.update_state(size, sample_weight=ops.shape(x)[0])
        return loss

    def train_step(self, data):
        self._count(data[0], True)
        weights = self.trainable_variables
        self.optimizer.apply([ops.ones_like(weight) for weight in weights], weights)
        return {metric.name: metric.result() for metric in self.metrics}

    def test_step(self, data):
        self._count(data[0], False)
        return {metric.name: metric.result() for metric in self.metrics}


def _image():
    net = [
        *(keras.Input((8, 8, 3)), layers.RandomFlip(name="flip", seed=1), layers.Conv2D(6, 3), BN(name="bn")),
        *(
            layers.ReLU(),
            layers.Dropout(0.3, name="drop", seed=2),
            layers.Flatten(),
            layers.LayerNormalization(),
        ),
        layers.Dense(3, kernel_regularizer="l2"),
    ]
    metrics = {"metrics": ["accuracy"], "weighted_metrics": [keras.metrics.MeanSquaredError(name="weighted")]}
    model = _compiled(
        keras.Sequential(net), keras.losses.CategoricalCrossentropy(from_logits=True), **metrics
    )
    return model, _normal(8, 8, 3), np.eye(3, dtype="float32")[_labels(3)], 0.1 + _uniform()


def _twins():
    encoder = keras.Sequential(
        [keras.Input((5,)), BN(name="shared", momentum=0.9), layers.Dense(4, "tanh")], name="encoder"
    )
    one, two = keras.Input((5,), name="one"), keras.Input((5,), name="two")
    out = layers.Dense(1, "sigmoid")(layers.Subtract()([encoder(one), encoder(two)]))
    model = _compiled(keras.Model({"one": one, "two": two}, out), "binary_crossentropy", metrics=["auc"])
    return model, {"one": _normal(5), "two": 4 + _normal(5)}, _labels(2)[:, None].astype("float32"), None


def _sequence():
    net = [
        *(keras.Input((4, 6)), layers.TimeDistributed(BN(name="bn", momentum=0.9))),
        *(layers.LSTM(5, dropout=0.2), layers.Dense(2)),
    ]
    return _compiled(keras.Sequential(net), "mse", metrics=["mae"]), _normal(4, 6), _normal(2), None


def _baked():
    x = keras.Input((6,))
    h = layers.Dropout(0.5, name="drop")(BN(name="bn")(x, training=False), training=True)
    return _compiled(keras.Model(x, layers.Dense(2)(h)), "mse"), 3 + _normal(6), _normal(2), None


def _several():
    one, two = keras.Input((4,), name="one"), keras.Input((3,), name="two")
    h = BN(name="bn")(layers.Concatenate()([one, two]))
    outputs = {"u": layers.Dense(1, name="u")(h), "v": layers.Dense(3, "softmax", name="v")(h)}
    losses = {"u": "mse", "v": "sparse_categorical_crossentropy"}
    options = {"loss_weights": {"u": 1.0, "v": 0.3}, "metrics": {"u": "mae", "v": "accuracy"}}
    model = _compiled(keras.Model([one, two], outputs), losses, **options)
    return model, (_normal(4), _normal(3)), {"u": _normal(1), "v": _labels(3)}, None


def _mixed():
    policy = keras.DTypePolicy("mixed_float16")
    net = [
        keras.Input((6,)), layers.Dense(8, dtype=policy), BN(name="bn", dtype=policy),
        layers.Dense(1, dtype=policy),
    ]  # fmt: skip
    return _compiled(keras.Sequential(net), "mse"), _normal(6), _normal(1), None


def _subclassed(kind, width):
    def make():
        return _compiled(kind(), None if kind is OwnSteps else "mse"), 3 + _normal(6), _normal(width), None

    return make


MAKERS = {
    "image": _image, "twins": _twins, "sequence": _sequence, "baked": _baked, "several": _several, "mixed": _mixed,
    "forgetful": _subclassed(Forgetful, 2), "grown": _subclassed(Grown, 2), "own-steps": _subclassed(OwnSteps, 6),
}  # fmt: skip


@cache
def made(name):
    """Build a model and fit it for two epochs; the same one for all tests of a process."""
    keras.utils.set_random_seed(3)
    _draw.cache_clear()
    model, x, y, weights = MAKERS[name]()
    model.fit(
        x if isinstance(x, dict) else _plain(x), y, sample_weight=weights, epochs=2, batch_size=16, verbose=0
    )
    return model, x, y, weights


def batches(subject, name, size=16):
    """The batches that fit and evaluate have."""
    _, *parts = made(name)

    def cut(start):
        there = parts if parts[2] is not None else parts[:2]
        return tuple(keras.tree.map_structure(lambda a: a[start : start + size], part) for part in there)

    return [subject.batch(cut(start)) for start in range(0, SAMPLES, size)]


def evaluated(name):
    """What the framework's own `evaluate` says."""
    model, x, y, weights = made(name)
    x = x if isinstance(x, dict) else _plain(x)
    return model.evaluate(x, y, sample_weight=weights, batch_size=16, verbose=0, return_dict=True)


def _plain(x):
    return list(x) if isinstance(x, tuple) else x


def _compiled(model, loss, **options):
    model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False, **options)
    return model


@cache
def _draw():
    return np.random.default_rng(12)


def _normal(*shape):
    return _draw().normal(size=(SAMPLES, *shape)).astype("float32")


def _uniform():
    return _draw().random(SAMPLES).astype("float32")


def _labels(count):
    return _draw().integers(0, count, SAMPLES)
