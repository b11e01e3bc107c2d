"""Whatever acts on being called is as it was after every function that promises so; what can't be done is said."""

import random

import keras
import numpy as np
import pytest

from keras_impl import keeping, replay, statistics
from tests.support.keras_models import randomise

BN = keras.layers.BatchNormalization


class Counting(keras.layers.Layer):
    """A person's own layer: it counts its calls, and draws from every generator in training."""

    def __init__(self):
        super().__init__()
        self.calls, self.total = 0, self.add_weight(shape=(), trainable=False, name="total")

    def call(self, x, training=False):
        self.calls += 1
        self.total.assign_add(keras.ops.mean(x))
        noise = 0.0
        if training:
            noise = random.random() + np.random.rand() + keras.random.uniform(())  # noqa: NPY002
        return x * (1 + 0.1 * noise)


def normalised():
    layers = [
        keras.layers.SpectralNormalization(keras.layers.Conv2D(4, 3)),
        BN(name="bn"),
        Counting(),
        keras.layers.Dropout(0.3),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    return randomise(keras.Sequential([keras.Input((8, 8, 3)), *layers]))


def batches(sizes=(4, 4)):
    rng = np.random.default_rng(1)
    return [
        (
            rng.normal(i, 1 + i, (n, 8, 8, 3)).astype(np.float32),
            (np.arange(n) % 2)[:, None].astype(np.float32),
        )
        for i, n in enumerate(sizes)
    ]


USES = {
    "measure": lambda model: replay.measure(model, batches()),
    "measure with everything on": lambda model: replay.measure(
        model, batches(), dropout=True, normalise="fit"
    ),
    "population": lambda model: statistics.population(model, batches()),
}


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("use", USES)
def test_a_model_and_all_generators_are_left_as_they_were(use, compiled):
    model = normalised()
    if compiled:
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        model.train_on_batch(*batches()[0])
    model(batches()[0][0], training=True)
    before = keeping.state(model)
    USES[use](model)
    assert keeping.state(model) == before
    assert model.compiled == compiled
    model(batches()[0][0], training=True)
    assert keeping.state(model) != before


def test_a_loss_is_the_same_whether_a_model_is_compiled_or_not():
    model = normalised()
    weighted = [(x, y, np.linspace(0.1, 2, len(y)).astype(np.float32)) for x, y in batches()]
    plain = [replay.measure(model, data)["loss"] for data in (batches(), weighted)]
    model.compile("adam", "binary_crossentropy")
    assert [replay.measure(model, data)["loss"] for data in (batches(), weighted)] == plain
    assert plain[0] != plain[1]


def test_a_layers_decay_is_its_momentum():
    model = keras.Sequential([keras.Input((3,)), BN(momentum=0.0, name="a"), BN(momentum=1.0, name="b")])
    assert statistics.constants(model) == {"a": (0.0, 1e-3), "b": (1.0, 1e-3)}


def test_samples_that_count_nothing_are_as_if_they_were_not_there():
    model = randomise(keras.Sequential([keras.Input((8, 8, 3)), BN(name="bn")]))
    (x, _), counts = batches((6,))[0], np.array([0, 2, 0, 0, 1, 0])
    left = statistics.population(model, [x[counts > 0]], [counts[counts > 0]])["bn"]
    for at in (3, 1):
        found = statistics.population(model, [x[:at], x[at:]], [counts[:at], counts[at:]])["bn"]
        np.testing.assert_allclose(found, left, rtol=1e-6)
    with pytest.raises(ValueError, match="weights of all samples are 0"):
        statistics.population(model, [x], [np.zeros(6)])


class TimeMajor(keras.Model):
    def __init__(self, way):
        super().__init__()
        self.way, self.bn = way, BN(name="bn")

    def call(self, x):  # (N, T, C)
        if self.way == "sample-major":
            return self.bn(x)
        if self.way == "time-major":
            return self.bn(keras.ops.transpose(x, (1, 0, 2)))
        return self.bn(keras.ops.reshape(x, (-1, 3))[::2])


@pytest.mark.parametrize("way", ["time-major", "masked"])
def test_weights_of_samples_that_a_layer_has_elsewhere_are_refused(way):
    x = np.random.default_rng(2).normal(size=(4, 8, 3)).astype(np.float32)
    models = {name: TimeMajor(name) for name in (way, "sample-major")}
    for model in models.values():
        model(x)
    with pytest.raises(ValueError, match="weights are of 4 samples; a layer's input has"):
        statistics.population(models[way], [x], [np.arange(4) + 1])
    assert len(statistics.population(models[way], [x])["bn"]) == 2
    assert len(statistics.population(models["sample-major"], [x], [np.arange(4) + 1])["bn"]) == 2
