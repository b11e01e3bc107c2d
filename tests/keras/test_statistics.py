"""Population statistics of any Keras model: the tests of both frameworks, and what only Keras has."""

import threading
import weakref
from contextlib import contextmanager

import keras
import numpy as np
import pytest

from keras_impl import lockstep, names, statistics, transfer, weights
from tests.support.arrays import random_arrays
from tests.support.backends import FRAMEWORK, SIDE, double, numpy
from tests.support.population_tests import *  # noqa: F403
from tests.support.population_tests import Wing, images, split
from tests.support.shallow import shallow

pytestmark = pytest.mark.backend
BN = keras.layers.BatchNormalization


class Block(keras.layers.Layer):
    """A user's layer with layers of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv, self.bn = keras.layers.Conv2D(6, 3, padding="same"), BN(scale=False, name="inner")

    def call(self, x):
        return keras.ops.relu(x + self.bn(self.conv(x)))


class Branches(keras.Model):
    """A user's model: a residual branch inside a layer, dropout, BN layers of two ranks."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.block = keras.layers.Conv2D(6, 3), BN(name="bn1"), Block()
        self.top = keras.Sequential(
            [keras.layers.Dropout(0.5), keras.layers.Dense(4), BN(), keras.layers.Dense(1)]
        )

    def call(self, x):
        x = self.block(keras.ops.relu(self.bn1(self.conv1(x))))
        return self.top(keras.ops.mean(x, (1, 2)))


class Keeping(keras.Model):
    """Layers that hand features on past one another: in an attribute, and in a dictionary."""

    def __init__(self):
        super().__init__()
        self.features = {}
        self.conv1, self.conv2 = keras.layers.Conv2D(4, 3), keras.layers.Conv2D(4, 1)
        self.bn1, self.bn2, self.bn3, self.bn4 = (BN(name=f"bn{i}") for i in range(1, 5))

    def call(self, x):
        self.skip = self.conv1(x)
        x = self.conv2(keras.ops.relu(self.bn1(self.skip)))
        self.features["deep"] = x
        x = self.bn3(keras.ops.relu(self.bn2(x)) + self.skip)
        x = self.bn4(keras.ops.concatenate([x, self.features["deep"]], -1))
        return keras.ops.mean(x, (1, 2))


def keeping():
    model = Keeping()
    model(images(2))
    return randomise(model)


def branches():
    model = Branches()
    model(np.zeros((1, 12, 12, 3), "float32"))
    return randomise(model)


def nested():
    """Two encoders whose layers have the same names, one shared tensor that is used late, two outputs."""

    def encoder(name):
        inputs = keras.Input((12, 12, 3))
        x = keras.layers.Conv2D(5, 3, name="conv")(inputs)
        x = BN(axis=-1, name="bn")(x)
        return keras.Model(inputs, x, name=name)

    inputs = keras.Input((12, 12, 3))
    a, b = encoder("left")(inputs), encoder("right")(inputs)
    x = BN(name="joined")(keras.layers.Multiply()([a, b]))
    x = keras.layers.Concatenate()([keras.layers.ReLU()(x), a])
    return randomise(keras.Model(inputs, [keras.layers.GlobalAveragePooling2D()(x), b]))


def sequential():
    layers = [
        keras.layers.Reshape((12, 12, 3, 1)),
        keras.layers.Conv3D(4, 2),
        BN(axis=1),
        keras.layers.ReLU(),
    ]
    return randomise(keras.Sequential([keras.Input((12, 12, 3)), *layers, keras.layers.Conv3D(2, 1), BN()]))


def resnet(variant="v1"):
    with shallow(FRAMEWORK.name):
        model = transfer.build("resnet50", variant, 0.25)
    weights.from_arrays(model, random_arrays(weights.to_arrays(model)))
    return model


def randomise(model):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "int" not in weight.dtype:
            weight.assign(rng.random(weight.shape) + 0.2 - 0.7 * (len(weight.shape) > 1))
    return model


def brute_force(model, x):
    """One batch of all samples in training mode, with a momentum that keeps nothing of the old statistics."""
    before = [weight.numpy() for weight in model.weights]
    layers = statistics.batch_norms(model)
    kept = {name: layer.momentum for name, layer in layers.items()}
    dropouts = [layer for _, layer in names.walk(model) if isinstance(layer, keras.layers.Dropout)]
    rates = [layer.rate for layer in dropouts]
    for layer in layers.values():
        layer.momentum = 0.0
    for layer in dropouts:
        layer.rate = 0
    output = model(x, training=True)
    expected = statistics.moving(model)
    for weight, values in zip(model.weights, before, strict=True):
        weight.assign(values)
    for name, layer in layers.items():
        layer.momentum = kept[name]
    for layer, rate in zip(dropouts, rates, strict=True):
        layer.rate = rate
    return expected, numpy(keras.tree.flatten(output)[0])


def snapshot(model):
    attributes = [
        {
            name: vars(layer).get(name)
            for name in ("call", "evaluates_with", "_run_through_graph", "trainable")
        }
        for layer in model._flatten_layers()
    ]
    return [weight.numpy() for weight in model.weights], attributes, threading.active_count()


@contextmanager
def watched(model, where, act):
    """Call ``act`` with each call of a layer, by a wrapper that is a person's own and must be back in its place."""
    layer = {"first": model.conv1, "last": model.top.layers[-1]}[where]
    call = layer.call

    def watching(*arguments, **options):
        act()
        return call(*arguments, **options)

    vars(layer)["call"] = watching
    try:
        yield
        assert vars(layer)["call"] is watching
    finally:
        del vars(layer)["call"]


class Wayward(keras.Model):
    def __init__(self, way):
        super().__init__()
        self.way, self.a, self.b = way, BN(name="a"), BN(name="b")

    def build(self, shape):
        self.a.build(shape)
        self.b.build(shape)

    def call(self, x):
        big = len(x) > 4
        if self.way == "twice":
            return self.a(self.b(self.a(x)))
        if self.way == "never":
            return self.a(x)
        if self.way == "order":
            return self.a(self.b(x)) if big else self.b(self.a(x))
        return self.b(self.a(x)) if big else self.a(x)


def wayward(way):
    model = Wayward(way)
    model.build((None, 12, 12, 3))
    return randomise(model)


@pytest.fixture
def wing():
    return Wing(
        SIDE,
        {"branches": branches, "nested": nested, "sequential": sequential, "keeping": keeping},
        branches,
        wayward,
        resnet,
        double,
        brute_force,
        snapshot,
        watched,
        ("bn1", "inner"),
    )


def test_population_of_vectors():
    with double():
        model = randomise(
            keras.Sequential([keras.Input((3,)), keras.layers.Dense(5), BN(), keras.layers.Dense(2)])
        )
        x = images()[:, 0, 0]
        ((mean, variance),) = statistics.population(model, split(x, [5, 5, 2])).values()
        rows = numpy(model.layers[0](x))
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, rows.var(0), rtol=1e-12)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_population_of_values_of_half_precision(policy):
    """NumPy has no bfloat16 of its own."""
    inputs = keras.Input((4,))
    model = keras.Model(inputs, BN(name="bn", dtype=policy)(inputs))
    x = np.arange(32, dtype=np.float32).reshape(8, 4)  # exact in either
    mean, variance = statistics.population(model, [x[:5], x[5:]])["bn"]
    np.testing.assert_allclose(mean, x.mean(0))
    np.testing.assert_allclose(variance, x.var(0))


def test_masked_positions_dont_count():
    with double():
        inputs = keras.Input((6, 3))
        model = randomise(keras.Model(inputs, BN(name="bn")(keras.layers.Masking()(inputs))))
        x = images()[:, 0, :6]
        x[::2, 3:] = 0
        mean, variance = statistics.population(model, split(x, [5, 5, 2]))["bn"]
    rows = x[(x != 0).any(-1)].astype("float64")
    assert len(rows) == 54
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, rows.var(0), rtol=1e-12)


def test_tensors_are_dropped_after_their_last_use(monkeypatch):
    """Keras keeps every tensor of a functional model to the end of its pass, which is too much for all batches."""
    model, x = nested(), images()
    first, products, alive = model.get_layer("left").get_layer("conv"), [], []
    convolve, stop = first.call, lockstep.stop

    def call(inputs):
        output = convolve(inputs)
        products.append(weakref.ref(output))
        return output

    def stop_and_look(name, moments):
        stop(name, moments)
        alive.append((name, sum(product() is not None for product in products)))

    vars(first)["call"] = call
    monkeypatch.setattr(lockstep, "stop", stop_and_look)
    statistics.population(model, split(x, [5, 5, 2]))
    # each normalises its own and drops it
    assert [count for name, count in alive if name == "left/bn"] == [3, 2, 1]
    assert [count for name, count in alive if name == "joined"] == [0, 0, 0]


def test_a_layer_without_weights_is_named():
    with pytest.raises(ValueError, match=r"layer \w+ isn't built yet"):
        statistics.moving(Branches())


def test_evaluation_after_a_population_is_as_before():
    model, x = nested(), images()
    expected = numpy(keras.tree.flatten(model(x, training=False))[0])
    statistics.population(model, split(x, [5, 5, 2]))
    np.testing.assert_array_equal(numpy(keras.tree.flatten(model(x, training=False))[0]), expected)


def test_recalibrate_leaves_dtypes():
    model = branches()
    statistics.recalibrate(model, split(images(), [5, 5, 2]))
    assert {v.dtype for v in model.non_trainable_variables if "moving" in v.name} == {"float32"}


def test_layers_of_one_name_are_called_by_their_paths():
    assert sorted(statistics.batch_norms(nested())) == ["joined", "left/bn", "right/bn"]


def test_a_persons_own_data_set_recalibrates_as_arrays_do():
    """A report's code is pasted with the data set at hand, which is read and not asked for a batch by number."""
    model = keras.Sequential(
        [keras.Input((6, 3, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(name="norm")]
    )
    x = np.random.default_rng(0).normal(1, 2, (12, 6, 3, 3)).astype("float32")
    arrays = np.split(x, 3)
    wanted = statistics.population(model, arrays)
    read_once = ([keras.ops.convert_to_tensor(batch), None] for batch in arrays)
    statistics.recalibrate(model, read_once)
    mean, variance = wanted["norm"]
    np.testing.assert_allclose(numpy(model.get_layer("norm").moving_mean), mean, rtol=1e-6)
    np.testing.assert_allclose(numpy(model.get_layer("norm").moving_variance), variance, rtol=1e-6)
