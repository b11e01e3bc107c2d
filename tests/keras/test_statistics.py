"""keras_impl.statistics: population statistics are those of one batch of all samples, for any model."""

import threading
import weakref

import keras
import numpy as np
import pytest

from keras_impl import bn_policy, lockstep, names, statistics, transfer, weights
from tests.support.arrays import random_arrays, relative

SPLITS = [[12], [5, 5, 2], [1] * 12, [7, 5]]
BN = keras.layers.BatchNormalization


@pytest.fixture
def double():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


class Block(keras.layers.Layer):
    """A user's layer with layers of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv, self.bn = keras.layers.Conv2D(6, 3, padding="same"), BN(scale=False)

    def call(self, x):
        return keras.ops.relu(x + self.bn(self.conv(x)))


class Subclassed(keras.Model):
    """A user's model: a residual branch inside a layer, dropout, BN layers of two ranks."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.block = keras.layers.Conv2D(6, 3), BN(), Block()
        self.top = keras.Sequential(
            [keras.layers.Dropout(0.5), keras.layers.Dense(4), BN(), keras.layers.Dense(1)]
        )

    def call(self, x):
        x = self.block(keras.ops.relu(self.bn1(self.conv1(x))))
        return self.top(keras.ops.mean(x, (1, 2)))


def subclassed():
    model = Subclassed()
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
    model = transfer.build("resnet50", variant, 0.25)
    weights.from_arrays(model, random_arrays(weights.to_arrays(model)))
    return model


def randomise(model):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "int" not in weight.dtype:
            weight.assign(rng.random(weight.shape) + 0.2 - 0.7 * (len(weight.shape) > 1))
    return model


def images(n=12, size=12):
    """Samples whose mean and spread grow from first to last, so that batches differ."""
    rng = np.random.default_rng(1)
    scale = np.linspace(0.5, 3, n).reshape(-1, 1, 1, 1)
    return (rng.normal(scale, scale, (n, size, size, 3))).astype("float32")


def split(x, sizes):
    return np.split(x, np.cumsum(sizes)[:-1])


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
    return expected, keras.tree.flatten(output)[0]


def assert_same(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, pair in expected.items():
        for a, b in zip(found[name], pair, strict=True):
            assert a.dtype == np.float64
            assert relative(a, b) < tolerance, name


def furthest(found, expected):
    return max(relative(a, b) for name in expected for a, b in zip(found[name], expected[name], strict=True))


def snapshot(model):
    layers = model._flatten_layers()
    attributes = [
        {
            name: vars(layer).get(name)
            for name in ("call", "evaluates_with", "_run_through_graph", "trainable")
        }
        for layer in layers
    ]
    return [weight.numpy() for weight in model.weights], attributes, threading.active_count()


def assert_unchanged(model, before):
    after = snapshot(model)
    assert after[1:] == before[1:]
    for values, expected in zip(after[0], before[0], strict=True):
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("build", [subclassed, nested, sequential])
@pytest.mark.parametrize("sizes", SPLITS)
@pytest.mark.usefixtures("double")
def test_population_is_that_of_one_batch_of_all_samples(build, sizes):
    model, x = build(), images()
    expected, _ = brute_force(model, x)
    assert_same(statistics.population(model, split(x, sizes)), expected, 1e-12)


@pytest.mark.parametrize("variant", ["v1", "v1.5"])
def test_population_of_resnet50(double, variant):
    model, x = resnet(variant), images(12, 64)
    expected, _ = brute_force(model, x)
    found = statistics.population(model, split(x, [5, 5, 2]))
    assert_same(found, expected, 1e-12)
    assert_same(statistics.population(model, split(x, [8, 4])), found, 1e-12)


def test_population_of_resnet50_in_single_precision():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        model, x = resnet(), images(12, 64)
        expected, _ = brute_force(model, x)
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    single = resnet()
    weights.from_arrays(single, weights.to_arrays(model))
    # 53 layers deep, one float32 batch is itself some 1e-5 from float64: the limit is what the framework does
    limit = furthest(brute_force(single, x)[0], expected)
    assert_same(statistics.population(single, split(x, [5, 5, 2])), expected, 2 * limit)
    assert limit < 1e-4


@pytest.mark.usefixtures("double")
def test_population_of_vectors():
    model = randomise(
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(5), BN(), keras.layers.Dense(2)])
    )
    x = images()[:, 0, 0]
    ((mean, variance),) = statistics.population(model, split(x, [5, 5, 2])).values()
    rows = model.layers[0](x).numpy()
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, rows.var(0), rtol=1e-12)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_population_of_values_of_half_precision(policy):
    """NumPy has no bfloat16 of its own."""
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="bn", dtype=policy)(inputs))
    x = np.arange(32, dtype=np.float32).reshape(8, 4)  # exact in either
    mean, variance = statistics.population(model, [x[:5], x[5:]])["bn"]
    np.testing.assert_allclose(mean, x.mean(0))
    np.testing.assert_allclose(variance, x.var(0))


@pytest.mark.usefixtures("double")
def test_masked_positions_dont_count():
    inputs = keras.Input((6, 3))
    x = keras.layers.Masking()(inputs)
    model = randomise(keras.Model(inputs, BN(name="bn")(x)))
    x = images()[:, 0, :6]
    x[::2, 3:] = 0
    mean, variance = statistics.population(model, split(x, [5, 5, 2]))["bn"]
    rows = x[(x != 0).any(-1)].astype("float64")
    assert len(rows) == 54
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, rows.var(0), rtol=1e-12)


@pytest.mark.usefixtures("double")
def test_many_values_are_pooled_piece_by_piece(monkeypatch):
    model, x = subclassed(), images()
    expected, _ = brute_force(model, x)
    monkeypatch.setattr(lockstep, "_PIECE", 100)
    assert_same(statistics.population(model, [x]), expected, 1e-12)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("sizes", SPLITS[:2])
def test_a_sample_that_counts_three_times_is_three_samples(sizes, monkeypatch):
    monkeypatch.setattr(lockstep, "_PIECE", 100)
    model, x = subclassed(), images()
    counts = np.arange(12) % 4 + 1
    expected, _ = brute_force(model, np.repeat(x, counts, axis=0))
    found = statistics.population(model, split(x, sizes), split(counts, sizes))
    assert_same(found, expected, 1e-12)


@pytest.mark.usefixtures("double")
def test_what_the_model_makes_of_the_batches_can_be_had():
    model, x = subclassed(), images()
    _, output = brute_force(model, x)
    taken = {}
    statistics.population(model, split(x, [5, 5, 2]), take=taken.__setitem__)
    assert relative(np.concatenate([taken[i] for i in range(3)]), output) < 1e-12


def test_weights_that_a_layer_cannot_give_its_vectors():
    with pytest.raises(ValueError, match="weights are of 7 samples; a layer.s input has"):
        statistics.population(subclassed(), [images()], [np.ones(7)])


def without_between_batch_term(moments):
    counts, means, squares = (np.array(values) for values in zip(*moments, strict=True))
    return counts @ means / counts.sum(), squares.sum(0) / counts.sum()


def every_batch_alike(moments):
    mean = np.mean([mean for _, mean, _ in moments], axis=0)
    return mean, np.mean([squares / count + (m - mean) ** 2 for count, m, squares in moments], axis=0)


def unbiased(moments):
    count = sum(count for count, _, _ in moments)
    mean, variance = lockstep_pool(moments)
    return mean, variance * count / (count - 1)


lockstep_pool = lockstep.pool


@pytest.mark.parametrize("mutant", [without_between_batch_term, every_batch_alike, unbiased])
def test_a_wrong_pooling_would_be_seen(monkeypatch, mutant):
    model, x = subclassed(), images()
    expected, _ = brute_force(model, x)
    monkeypatch.setattr(lockstep, "pool", mutant)
    found = statistics.population(model, split(x, [5, 5, 2]))
    with pytest.raises(AssertionError):
        assert_same(found, expected, 1e-4)


def test_normalising_with_the_moving_statistics_would_be_seen(monkeypatch):
    model, x = subclassed(), images()
    expected, _ = brute_force(model, x)
    monkeypatch.setattr(statistics, "_put", lambda layers, statistics: None)
    found = statistics.population(model, split(x, [5, 5, 2]))
    with pytest.raises(AssertionError):
        assert_same(found, expected, 1e-4)


def test_every_batch_is_read_once():
    class Counting(list):
        read = ()

        def __getitem__(self, i):
            self.read = (*self.read, i)
            return super().__getitem__(i)

    batches = Counting((batch, None) for batch in split(images(), [5, 5, 2]))
    statistics.population(nested(), batches)
    assert batches.read == (0, 1, 2)


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
    assert [count for name, count in alive if name == "left/bn"] == [
        3,
        2,
        1,
    ]  # each normalises its own and drops it
    assert [count for name, count in alive if name == "joined"] == [0, 0, 0]


@pytest.mark.parametrize("build", [subclassed, nested])
def test_model_is_left_as_it_was(build):
    model, x = build(), images()
    before = snapshot(model)
    expected = keras.tree.flatten(model(x, training=False))[0].numpy()
    statistics.population(model, split(x, [5, 5, 2]))
    assert_unchanged(model, before)
    np.testing.assert_array_equal(keras.tree.flatten(model(x, training=False))[0].numpy(), expected)


@pytest.mark.parametrize("fails", ["data", "second layer"])
def test_model_is_left_as_it_was_by_a_batch_that_raises(monkeypatch, fails):
    class Failing(list):
        def __getitem__(self, i):
            if i == 1 and fails == "data":
                raise OSError("image 7 is unreadable")
            return super().__getitem__(i)

    model, x = nested(), images()
    expected = statistics.population(model, [x])
    before = snapshot(model)
    if fails != "data":
        layer, calls = model.get_layer("joined"), []
        normalise = layer.call

        def call(inputs, training=None, mask=None):
            calls.append(1)
            if len(calls) == 2:
                raise OSError("image 7 is unreadable")
            return normalise(inputs, training=training, mask=mask)

        vars(layer)["call"] = call
    with pytest.raises(OSError, match="image 7"):
        statistics.population(model, Failing(split(x, [5, 5, 2])))
    if fails != "data":
        assert vars(layer).pop("call") is call  # the user's own wrapper is back in its place
    assert_unchanged(model, before)
    assert_same(statistics.population(model, split(x, [5, 5, 2])), expected, 1e-5)


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


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("twice", "layer a is used twice"),
        ("never", "never reach layer b"),
        ("order", "different orders: a, b"),
        ("early end", "different orders: b, the end"),
    ],
)
def test_ways_without_a_population(way, message):
    model = Wayward(way)
    model.build((None, 12, 12, 3))
    before = snapshot(randomise(model))
    with pytest.raises(ValueError, match=message):
        statistics.population(model, split(images(), [5, 5, 2]))
    assert_unchanged(model, before)


def test_no_batches_and_layers_without_weights():
    with pytest.raises(ValueError, match="batches is empty"):
        statistics.population(nested(), [])
    with pytest.raises(ValueError, match=r"layer \w+ isn't built yet"):
        statistics.moving(Subclassed())


def test_a_policy_doesnt_change_the_population():
    model, x = resnet(), images(8, 32)
    expected = statistics.population(model, split(x, [4, 4]))
    bn_policy.apply(model, bn_policy.Policy("head", "batch", False, "batch"))
    before = snapshot(model)
    found = statistics.population(model, split(x, [4, 4]))
    assert_same(found, expected, 1e-12)
    assert_unchanged(model, before)


def test_recalibrate():
    model, x = subclassed(), images()
    expected, output = brute_force(model, x)
    statistics.recalibrate(model, split(x, [5, 5, 2]))
    assert_same(statistics.moving(model), expected, 1e-5)
    assert {variable.dtype for variable in model.non_trainable_variables if "moving" in variable.name} == {
        "float32"
    }
    assert relative(model(x, training=False), output) < 1e-5


def test_substituted():
    model = nested()
    before = snapshot(model)
    found = statistics.moving(model)
    other = {name: (mean + 1 / 3, variance * 7) for name, (mean, variance) in found.items()}
    partly = {"joined": other["joined"]}
    with statistics.substituted(model, partly):
        assert_same(statistics.moving(model), found | partly, 1e-6)
    assert_unchanged(model, before)
    with pytest.raises(ZeroDivisionError), statistics.substituted(model, other):
        1 / 0  # noqa: B018
    assert_unchanged(model, before)
    for wrong, message in [
        ({"joined": other["joined"], "bn9": other["joined"]}, "'bn9'; the model's are"),
        (
            {"left/bn": other["left/bn"], "joined": (np.zeros(1), np.ones(1))},
            r"joined are \(1,\); its are \(5,\)",
        ),
    ]:
        with pytest.raises(ValueError, match=message), statistics.substituted(model, wrong):
            pass
        assert_unchanged(model, before)


def test_moving_is_a_copy():
    model = nested()
    found = statistics.moving(model)["joined"]
    kept = [array.copy() for array in found]
    for weight in model.weights:
        weight.assign(weight + 1)
    np.testing.assert_array_equal(found, kept)


def test_names():
    model = resnet()
    arrays = weights.to_arrays(model)
    names = statistics.batch_norms(model)
    assert set(names) == {key.removesuffix("/gamma") for key in arrays if key.endswith("/gamma")}
    assert next(iter(names)) == "conv1_bn"
    for name, (mean, variance) in statistics.moving(model).items():
        np.testing.assert_array_equal(mean, arrays[f"{name}/moving_mean"])
        np.testing.assert_array_equal(variance, arrays[f"{name}/moving_variance"])
    assert sorted(statistics.batch_norms(nested())) == ["joined", "left/bn", "right/bn"]
