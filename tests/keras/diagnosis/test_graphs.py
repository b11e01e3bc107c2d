"""Passes in a graph, which many samples go through, are those of one operation after the other."""

import keras
import numpy as np
import pytest
from keras import layers

from compare.diagnosis.diagnosis import diagnose
from keras_impl import graphs
from keras_impl.probing import Subject
from tests.keras.diagnosis import models
from tests.keras.diagnosis.toys import BN, Dense, compiled

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="graphs are made on TensorFlow's backend"
)
EVERY = frozenset({"normalisation", "dropout"})
SETS = [frozenset(), frozenset({"normalisation"}), frozenset({"dropout"}), EVERY]
SIZES = (16, 16, 16, 5)


def network(*more):
    keras.utils.set_random_seed(4)
    parts = [keras.Input((8, 8, 2)), layers.Conv2D(6, 3), BN(momentum=0.9, name="one"), layers.ReLU(), *more]
    parts += [layers.Dropout(0.4), layers.Conv2D(5, 3), BN(name="two"), layers.Flatten(), Dense(3)]
    model = compiled(keras.Sequential(parts))
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        norm = model.get_layer(name)
        norm.moving_mean.assign(rng.normal(size=norm.moving_mean.shape))
        norm.moving_variance.assign(rng.random(norm.moving_variance.shape) + 0.5)
    return model


def data():
    rng, count = np.random.default_rng(1), sum(SIZES)
    return (2 + rng.normal(size=(count, 8, 8, 2))).astype("float32"), rng.integers(0, 3, count)


def subject(model, monkeypatch, worth):
    monkeypatch.setattr(graphs, "WORTH", worth)
    one, (x, y) = Subject(model), data()
    ends = np.cumsum(SIZES)
    batches = [one.batch((x[e - s : e], y[e - s : e])) for s, e in zip(SIZES, ends, strict=True)]
    one.layers(batches[:1])
    return one, batches


@pytest.mark.parametrize("fit", SETS, ids=lambda fit: "+".join(sorted(fit)) or "none")
def test_a_pass_in_a_graph_is_the_pass(monkeypatch, fit):
    model, found = network(), []
    for worth in (10**9, 0):
        one, batches = subject(model, monkeypatch, worth)
        before = one.state()
        given = None if "normalisation" in fit else {"one": (np.ones(6), np.full(6, 4.0))}
        with one.kept():
            found.append([one.run(batches, fit, statistics=given, collect=True, seed=s) for s in (0, 1)])
            assert bool(one.graphs._made) == (worth == 0)
        assert one.state() == before
    for slow, quick in zip(*found, strict=True):
        np.testing.assert_allclose([s.loss for s in slow.steps], [q.loss for q in quick.steps], rtol=1e-5)
        assert slow.figures.keys() == quick.figures.keys()
        assert list(slow.seen) == list(quick.seen)
        for name, seen in slow.seen.items():
            for part in ("mean", "variance", "batch_variance", "between", "expected"):
                ours, theirs = getattr(seen, part), getattr(quick.seen[name], part)
                np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)
    # masks are drawn anew by another seed, and by none where nothing is random
    first, second = (one.figures["loss"] for one in found[1])
    assert (first != second) == ("dropout" in fit)


def test_statistics_that_are_put_in_place_are_what_it_normalises_with(monkeypatch):
    one, batches = subject(network(), monkeypatch, 0)
    with one.kept():
        stored = one.run(batches, frozenset())
        other = one.run(batches, frozenset(), statistics={"two": (np.zeros(5), np.full(5, 100.0))})
    assert abs(stored.figures["loss"] - other.figures["loss"]) > 0.01


def test_the_population_of_all_samples_at_once_is_that_of_the_passes_in_lockstep(monkeypatch):
    model, found = network(), []
    for worth in (10**9, 0):
        one, batches = subject(model, monkeypatch, worth)
        with one.kept():
            found.append(one.population(batches))
    (pooled, slow), (at_once, quick) = found
    assert pooled.keys() == at_once.keys() == {"one", "two"}
    for name, pair in pooled.items():
        np.testing.assert_allclose(pair[0], at_once[name][0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(pair[1], at_once[name][1], rtol=1e-5)
    np.testing.assert_allclose([s.loss for s in slow.steps], [q.loss for q in quick.steps], rtol=1e-5)


def test_what_is_evaluated_in_a_graph_is_what_evaluate_gives(monkeypatch):
    monkeypatch.setattr(graphs, "WORTH", 0)
    model, (x, y) = network(), data()
    said = model.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)
    found = diagnose(model, (x, y), batch_size=16)
    for name, value in said.items():
        assert np.isclose(found.measured[f"evaluate_{name}"], value, rtol=1e-6)
    assert found.probes.restored == "same"


@pytest.mark.parametrize(
    ("more", "usable"),
    [
        ([], True),
        ([layers.Dense(6, activity_regularizer="l2")], False),
        ([layers.TimeDistributed(Dense(6))], False),
        ([layers.Lambda(lambda x: 2 * x)], False),
        ([models.Doubling()], False),
        ([BN(renorm=True)], False),
    ],
    ids=[
        "plain",
        "a penalty on outputs",
        "a wrapper",
        "a function of one's own",
        "a layer of one's own",
        "renorm",
    ],
)
def test_only_what_shows_all_in_one_pass_is_traced(monkeypatch, more, usable):
    one, _ = subject(network(*more), monkeypatch, 0)
    assert one.graphs.usable == usable


def test_images_of_another_size_pass_as_they_did_before(monkeypatch):
    keras.utils.set_random_seed(4)
    parts = [
        layers.Conv2D(6, 3),
        BN(name="one"),
        layers.Dropout(0.4),
        layers.GlobalAveragePooling2D(),
        Dense(3),
    ]
    model = compiled(keras.Sequential([keras.Input((None, None, 2)), *parts]))
    rng, found = np.random.default_rng(1), []
    raw = [
        (rng.normal(size=(8, size, size, 2)).astype("float32"), rng.integers(0, 3, 8))
        for size in (8, 8, 11, 8)
    ]
    for worth in (10**9, 0):
        monkeypatch.setattr(graphs, "WORTH", worth)
        one = Subject(model)
        batches = [one.batch(each) for each in raw]
        one.layers(batches[:1])
        with one.kept():
            found.append(one.run(batches, EVERY, collect=True))
        assert one.graphs.usable
    slow, quick = found
    np.testing.assert_allclose([s.loss for s in slow.steps], [q.loss for q in quick.steps], rtol=1e-5)
    assert slow.seen["one"].count == quick.seen["one"].count
    np.testing.assert_allclose(slow.seen["one"].variance, quick.seen["one"].variance, rtol=1e-5)
