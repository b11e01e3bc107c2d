"""The emulated releases of Keras train as the real ones did: loss, moving statistics and evaluation of every step."""

from dataclasses import replace
from functools import lru_cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from compare.cells.releases import names
from compare.cells.settings import Settings
from compare.spec import POLICIES
from keras_impl import bn_policy, optimizers, releases, resnet50, tracing, transfer, weights
from tests.support import legacy
from tests.support.small_run import train
from tools.legacy_keras import given


def network(release):
    images = x = keras.Input((given.SIDE, given.SIDE, 3))
    for n in (1, 2):
        x = keras.layers.Conv2D(given.CHANNELS[n], 3, padding="same", name=f"conv{n}")(x)
        x = releases.BatchNorm(release=release, name=f"bn{n}")(x)
        x = keras.layers.ReLU()(x)
    mask = keras.Input((given.CHANNELS[-1],))
    x = keras.layers.GlobalAveragePooling2D()(x) * mask
    model = keras.Model([images, mask], keras.layers.Dense(1, name="head_dense")(x))
    start = {name.replace("dense", "head_dense"): array for name, array in given.network().items()}
    weights.from_arrays(model, start)
    return model


def train_as(release, policy, name, record=None):
    """Train with ``release``'s arithmetic; return the departures from what ``record`` did."""
    model = network(release)
    bn_policy.apply(model, bn_policy.Policy(**POLICIES[policy].facts))
    optimizer = optimizers.make(name, model, given.OPTIMIZERS[name], release=release)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def step(images, masks, labels):
        with tf.GradientTape() as tape:
            value = loss(labels, model([images, masks], training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    @tf.function
    def evaluate(images, labels):
        return loss(labels, model([images, tf.ones((given.BATCH, given.CHANNELS[-1]))], training=False))

    return legacy.departures(
        record or release, policy, name, lambda: weights.to_arrays(model), step, evaluate
    )


@pytest.mark.parametrize(("release", "policy", "optimizer"), legacy.trainings())
def test_trains_as_the_release_did(release, policy, optimizer):
    departures = train_as(release, policy, optimizer)
    assert max(departures.values()) < legacy.TOLERANCE, departures


@pytest.mark.parametrize(
    ("release", "other"),
    [
        ("keras-2.1.2", "tf.keras-1.15"),  # biased, unbiased
        ("keras-2.1.3", "keras-2.2.4"),  # unbiased, doubly corrected
        ("keras-2.2.4", "keras-2.3.1"),  # zero-debiased, not
    ],
)
def test_another_releases_rule_is_told_apart(release, other):
    departures = train_as(other, "bn-trainable", "sgd", record=release)
    assert departures["bn1/moving_variance"] > 10 * legacy.TOLERANCE


def test_adams_epsilon_is_the_releases():
    """At gradients of its size: a parameter whose gradient is 1e-8 moves by half a step, not by nearly none."""
    steps = {}
    for release in ("keras-2.1.2", "keras-2.1.3"):
        inputs = keras.Input((1,))
        model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
        kernel = model.trainable_variables[0]
        start = float(kernel.numpy()[0, 0])
        optimizer = optimizers.make("adam", model, 0.1, release=release)
        optimizer.apply([np.full((1, 1), 1e-6, "float32")], [kernel])
        steps[release] = start - float(kernel.numpy()[0, 0])
    # sqrt(v) is sqrt(0.001) of the gradient, 3.16e-8, after the first step
    assert steps["keras-2.1.2"] == pytest.approx(0.1 * 3.162 / (3.162 + 1), rel=1e-3)
    assert steps["keras-2.1.3"] == pytest.approx(0.1 * 3.162 / (3.162 + 10), rel=1e-3)


@pytest.mark.parametrize("name", releases.RELEASES)
def test_the_table_says_what_was_recorded(name):
    rows, record = legacy.semantics(name)
    rule = rows["BatchNormalization()"]["facts"]["rule"]
    release = releases.RELEASES[name]
    assert (release.variance, release.zero_debiased) == (rule["variance"], rule["zero_debiased"])
    assert release.adam_epsilon == record["adam_epsilon"]


def test_a_release_that_is_none():
    with pytest.raises(ValueError, match=r"release is 'keras-9'; it can be keras-1.2.2, .*, tf-keras-2.21"):
        releases.BatchNorm(release="keras-9")
    with pytest.raises(ValueError, match=r"release is 'keras-2.2.4'; only adam and sgd"):
        optimizers.make("rmsprop", keras.Sequential([keras.layers.Dense(1)]), release="keras-2.2.4")


def test_a_model_with_it_is_saved_and_loaded(tmp_path):
    model = network("keras-2.3.1")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_layer("bn1").release == releases.RELEASES["keras-2.3.1"]
    assert legacy.same(weights.to_arrays(model), weights.to_arrays(again))


def test_the_table_has_the_releases_that_a_run_can_be_as():
    assert set(releases.RELEASES) == set(names())


def test_a_cell_trains_as_its_settings_release(tmp_path, monkeypatch):
    """Model and optimizer are the release's; what those do is tested above."""
    asked = {}
    for module, name in ((transfer, "build"), (optimizers, "adam")):
        make = getattr(module, name)

        def made(*arguments, _make=make, _name=name, **options):
            asked[_name] = options.get("release", arguments[-1])
            return _make(*arguments, **options)

        monkeypatch.setattr(module, name, made)
    settings = Settings(images=16, image_size=32, batch_size=8, epochs=1, explain="nothing")
    train("keras", "frozen", tmp_path, settings=replace(settings, release="keras-2.2.4"), weights="random")
    assert asked == {"build": "keras-2.2.4", "adam": "keras-2.2.4"}


@lru_cache
def model_of(variant):
    return resnet50.resnet50(variant, legacy.WIDTH)


def features(variant, arrays, images):
    model = model_of(variant)
    weights.from_arrays(model, arrays)
    return model(images, training=False).numpy().mean((1, 2))


@pytest.mark.parametrize("release", releases.RELEASES)
def test_weights_of_a_release_make_its_features(release):
    found = features(legacy.STRUCTURES[release], legacy.resnet50_arrays(release), given.image())
    assert legacy.departure(found, legacy.resnet50(release)[0]) < legacy.TOLERANCE


@pytest.mark.parametrize("release", ["keras-2.0.0", "keras-2.1.2", "keras-2.2.4", "tf.keras-2.0"])
def test_another_structure_is_told_apart(release):
    """One release of each structure: any other variant is off by a hundred times the tolerance."""
    recorded, _ = legacy.resnet50(release)
    for variant in set(resnet50.EPSILON) - {"v1.5", legacy.STRUCTURES[release]}:
        found = features(variant, legacy.resnet50_arrays(release), given.image())
        assert legacy.departure(found, recorded) > 100 * legacy.TOLERANCE, variant


def test_an_old_structures_configuration_is_the_same_on_both_sides():
    """What parity compares: tests/torch and tests/keras expect the same facts."""
    facts = tracing.configuration(transfer.build("resnet50", "v1-old-same", legacy.WIDTH))
    assert (facts["conv1_conv"]["padding"], facts["conv1_conv"]["stride"]) == ("same", [2, 2])
    assert facts["pool1_pool"]["padding"] == [0, 0, 0, 0]
    assert facts["conv1_bn"]["epsilon"] == 1e-3
