"""Population statistics are those of one batch of all samples, for any model. Both frameworks' tests import these.

The fixture ``wing`` is theirs, see `Wing`.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.support.arrays import relative

SPLITS = [[12], [5, 5, 2], [1] * 12, [7, 5]]


@dataclass
class Wing:
    """A framework.

    Attributes:
        side: its modules.
        builds: name -> function that makes a model in float64, whose weights all matter.
        branches: makes one of them in float32: a person's own, with a layer that has a branch, and dropout.
        wayward: makes a model of layers ``a`` and ``b`` that passes them in a way, ``twice`` ... ``early end``.
        resnet: makes a quarter-width ResNet50 of a variant, in a dtype.
        double: context in which models compute in float64.
        brute_force: the statistics and the output of one batch of all samples.
        snapshot: all that may not change in a model.
        watched: context in which a model's passes are counted, or the second one fails: ``(model, where, act)``.
        layers: names of two layers of ``branches``.
    """

    side: Any
    builds: dict[str, Callable]
    branches: Callable
    wayward: Callable
    resnet: Callable
    double: Callable
    brute_force: Callable
    snapshot: Callable
    watched: Callable
    layers: tuple[str, str]


def images(n=12, size=12):
    """Samples whose mean and spread grow from first to last, so that batches differ."""
    rng = np.random.default_rng(1)
    scale = np.linspace(0.5, 3, n).reshape(-1, 1, 1, 1)
    return (rng.normal(scale, scale, (n, size, size, 3))).astype("float32")


def split(x, sizes):
    return np.split(x, np.cumsum(sizes)[:-1])


def assert_same(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, pair in expected.items():
        for a, b in zip(found[name], pair, strict=True):
            assert a.dtype == np.float64
            assert relative(a, b) < tolerance, name


def furthest(found, expected):
    return max(relative(a, b) for name in expected for a, b in zip(found[name], expected[name], strict=True))


@contextmanager
def unchanged(wing, model):
    """Whatever the block does, the model is as it was."""
    before = wing.snapshot(model)
    yield
    after = wing.snapshot(model)
    assert after[1:] == before[1:]
    for values, expected in zip(after[0], before[0], strict=True):
        np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("sizes", SPLITS)
def test_population_is_that_of_one_batch_of_all_samples(wing, sizes):
    with wing.double():
        for name, build in wing.builds.items():
            model, x = build(), images()
            expected, _ = wing.brute_force(model, x)
            assert expected, name
            assert_same(wing.side.statistics.population(model, split(x, sizes)), expected, 1e-12)


@pytest.mark.parametrize("variant", ["v1", "v1.5"])
def test_population_of_resnet50(wing, variant):
    x = images(12, 64)
    with wing.double():
        model = wing.resnet(variant)
        expected, _ = wing.brute_force(model, x)
        found = wing.side.statistics.population(model, split(x, [5, 5, 2]))
        assert_same(found, expected, 1e-12)
        assert_same(wing.side.statistics.population(model, split(x, [2, 5, 5])), found, 1e-12)
    single = wing.resnet(variant)
    wing.side.weights.from_arrays(single, wing.side.weights.to_arrays(model))
    # many layers deep, one float32 batch is itself some 1e-5 from float64: the limit is what the framework does
    limit = furthest(wing.brute_force(single, x)[0], expected)
    assert_same(wing.side.statistics.population(single, split(x, [5, 5, 2])), expected, 2 * limit)
    assert limit < 1e-4


def test_many_values_are_pooled_piece_by_piece(wing, monkeypatch):
    with wing.double():
        model, x = next(iter(wing.builds.values()))(), images()
        expected, _ = wing.brute_force(model, x)
        monkeypatch.setattr(wing.side.lockstep, "_PIECE", 100)
        assert_same(wing.side.statistics.population(model, [x]), expected, 1e-12)


@pytest.mark.parametrize("sizes", SPLITS[:2])
def test_a_sample_that_counts_three_times_is_three_samples(wing, sizes, monkeypatch):
    monkeypatch.setattr(wing.side.lockstep, "_PIECE", 100)
    with wing.double():
        model, x = next(iter(wing.builds.values()))(), images()
        counts = np.arange(12) % 4 + 1
        expected, _ = wing.brute_force(model, np.repeat(x, counts, axis=0))
        found = wing.side.statistics.population(model, split(x, sizes), split(counts, sizes))
        assert_same(found, expected, 1e-12)


def test_what_the_model_makes_of_the_batches_can_be_had(wing):
    with wing.double():
        model, x = next(iter(wing.builds.values()))(), images()
        _, output = wing.brute_force(model, x)
        taken = {}
        wing.side.statistics.population(model, split(x, [5, 5, 2]), take=taken.__setitem__)
        assert relative(np.concatenate([taken[i] for i in range(3)]), output) < 1e-12


def test_weights_that_a_layer_cannot_give_its_vectors(wing):
    with pytest.raises(ValueError, match="weights are of 7 samples; a layer's input has 12"):
        wing.side.statistics.population(wing.branches(), [images()], [np.ones(7)])


def without_between_batch_term(pool, moments):
    counts, means, squares = (np.array(values) for values in zip(*moments, strict=True))
    return counts @ means / counts.sum(), squares.sum(0) / counts.sum()


def every_batch_alike(pool, moments):
    mean = np.mean([mean for _, mean, _ in moments], axis=0)
    return mean, np.mean([squares / count + (m - mean) ** 2 for count, m, squares in moments], axis=0)


def unbiased(pool, moments):
    count = sum(count for count, _, _ in moments)
    mean, variance = pool(moments)
    return mean, variance * count / (count - 1)


@pytest.mark.parametrize("mutant", [without_between_batch_term, every_batch_alike, unbiased])
def test_a_wrong_pooling_would_be_seen(wing, monkeypatch, mutant):
    model, x, pool = wing.branches(), images(), wing.side.lockstep.pool
    expected, _ = wing.brute_force(model, x)
    monkeypatch.setattr(wing.side.lockstep, "pool", lambda moments: mutant(pool, moments))
    found = wing.side.statistics.population(model, split(x, [5, 5, 2]))
    with pytest.raises(AssertionError):
        assert_same(found, expected, 1e-4)


def test_normalising_with_the_moving_statistics_would_be_seen(wing, monkeypatch):
    model, x = wing.branches(), images()
    expected, _ = wing.brute_force(model, x)
    monkeypatch.setattr(wing.side.statistics, "_put", lambda layers, statistics: None)
    found = wing.side.statistics.population(model, split(x, [5, 5, 2]))
    with pytest.raises(AssertionError):
        assert_same(found, expected, 1e-4)


def test_every_batch_is_read_and_run_once(wing):
    class Counting(list):
        read = ()

        def __getitem__(self, i):
            self.read = (*self.read, i)
            return super().__getitem__(i)

    model, runs = wing.branches(), []
    batches = Counting((batch, None) for batch in split(images(), [5, 5, 2]))
    with wing.watched(model, "first", lambda: runs.append(1)):
        wing.side.statistics.population(model, batches)
    assert batches.read == (0, 1, 2)
    assert len(runs) == 3


def test_model_is_left_as_it_was(wing):
    for build in (wing.branches, *wing.builds.values()):
        model = build()
        with unchanged(wing, model):
            wing.side.statistics.population(model, split(images(), [5, 5, 2]))


@pytest.mark.parametrize("fails", ["first", "last", "data"])
def test_model_is_left_as_it_was_by_a_batch_that_raises(wing, fails):
    def unreadable():
        raise OSError("image 7 is unreadable")

    class Failing(list):
        def __getitem__(self, i):
            return unreadable() if i == 1 and fails == "data" else super().__getitem__(i)

    model, x, calls = wing.branches(), images(), []

    def second():
        calls.append(1)
        if len(calls) == 2 and fails != "data":
            unreadable()

    expected = wing.side.statistics.population(model, [x])
    watched = wing.watched(model, "first" if fails == "data" else fails, second)
    with unchanged(wing, model), watched, pytest.raises(OSError, match="image 7"):
        wing.side.statistics.population(model, Failing(split(x, [5, 5, 2])))
    assert_same(wing.side.statistics.population(model, split(x, [5, 5, 2])), expected, 1e-5)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("twice", "layer a is used twice"),
        ("never", "never reach layer b"),
        ("order", "different orders: a, b"),
        ("early end", "different orders: b, the end"),
    ],
)
def test_ways_without_a_population(wing, way, message):
    model = wing.wayward(way)
    with unchanged(wing, model), pytest.raises(ValueError, match=message):
        wing.side.statistics.population(model, split(images(), [5, 5, 2]))


def test_no_batches(wing):
    with pytest.raises(ValueError, match="batches is empty"):
        wing.side.statistics.population(wing.branches(), [])


def test_a_policy_doesnt_change_the_population(wing):
    bn_policy = wing.side.bn_policy
    with wing.double():
        model, x = wing.resnet("v1"), images(12, 64)
        expected = wing.side.statistics.population(model, split(x, [5, 5, 2]))
        bn_policy.apply(model, bn_policy.Policy("head", "batch", False, "batch"))
        with unchanged(wing, model):
            assert_same(wing.side.statistics.population(model, split(x, [2, 5, 5])), expected, 1e-12)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_recalibrate(wing, precision):
    def checked(model, tolerance):
        x = images()
        expected, output = wing.brute_force(model, x)
        wing.side.statistics.recalibrate(model, split(x, [5, 5, 2]))
        assert_same(wing.side.statistics.moving(model), expected, tolerance)
        taken = wing.side.replay.features(model, [(x,)])
        assert relative(taken, output) < max(tolerance, 1e-6)  # features are float32

    if precision == "single":
        checked(wing.branches(), 1e-5)
    else:
        with wing.double():
            checked(next(iter(wing.builds.values()))(), 1e-12)


def test_substituted(wing):
    model, statistics = wing.branches(), wing.side.statistics
    one, other = wing.layers
    found = statistics.moving(model)
    changed = {name: (mean + 1 / 3, variance * 7) for name, (mean, variance) in found.items()}
    partly = {one: changed[one]}
    with unchanged(wing, model), statistics.substituted(model, partly):
        assert_same(statistics.moving(model), found | partly, 1e-6)
    with unchanged(wing, model), pytest.raises(ZeroDivisionError), statistics.substituted(model, changed):
        1 / 0  # noqa: B018
    channels = len(found[other][0])
    for wrong, message in [
        ({one: changed[one], "bn9": changed[one]}, "'bn9'; the model's are"),
        (
            {one: changed[one], other: (np.zeros(1), np.ones(1))},
            rf"{other} are \(1,\); its are \({channels},\)",
        ),
    ]:
        refused = pytest.raises(ValueError, match=message)
        with unchanged(wing, model), refused, statistics.substituted(model, wrong):
            pass


def test_moving_is_a_copy(wing):
    model, (one, _) = wing.branches(), wing.layers
    found = wing.side.statistics.moving(model)[one]
    kept = [array.copy() for array in found]
    arrays = wing.side.weights.to_arrays(model)
    wing.side.weights.from_arrays(model, {name: array + 1 for name, array in arrays.items()})
    np.testing.assert_array_equal(found, kept)
    assert (wing.side.statistics.moving(model)[one][0] != kept[0]).all()


def test_layers_have_the_names_of_their_arrays(wing):
    model = wing.resnet("v1")
    arrays, found = wing.side.weights.to_arrays(model), wing.side.statistics.batch_norms(model)
    assert set(found) == {key.removesuffix("/gamma") for key in arrays if key.endswith("/gamma")}
    assert next(iter(found)) == "conv1_bn"
    for name, (mean, variance) in wing.side.statistics.moving(model).items():
        np.testing.assert_array_equal(mean, arrays[f"{name}/moving_mean"])
        np.testing.assert_array_equal(variance, arrays[f"{name}/moving_variance"])
    assert list(wing.side.statistics.batch_norms(wing.side.transfer.body(model))) == list(found)
