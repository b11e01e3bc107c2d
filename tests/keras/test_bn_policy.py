"""What each policy really does in Keras, after real training steps."""

import keras
import numpy as np
import pytest

from compare.implementation import implementation
from compare.spec import POLICIES
from tests.policy_checks import BN, batches, changed_kinds, expected_kinds, normalised, train

SIDE = implementation("keras")


@pytest.fixture(scope="module")
def trained():
    """Each policy trained once: the model, its arrays before and after."""
    return {name: train(SIDE, name) for name in POLICIES}


@pytest.mark.parametrize("name", POLICIES)
def test_exactly_the_right_arrays_change(trained, name):
    _, before, after = trained[name]
    changed = changed_kinds(before, after)
    assert changed["head"] == {"kernel", "bias"}
    assert changed["backbone"] == expected_kinds(POLICIES[name])


@pytest.mark.parametrize("name", POLICIES)
def test_evaluate_normalises_with_the_right_statistics(trained, name):
    model, _, arrays = trained[name]
    backbone = SIDE.transfer.parts(model)[0]
    layer = backbone.get_layer("conv1_bn")
    images = batches()[0][0]
    probe = keras.Model(backbone.inputs, [layer.input, layer.output])
    x, y = (array.numpy() for array in probe(images, training=False))
    statistics = POLICIES[name].evaluate_statistics
    other = {"batch": "moving", "moving": "batch"}[statistics]
    np.testing.assert_allclose(y, normalised(x, statistics, arrays), atol=1e-4)
    assert np.abs(y - normalised(x, other, arrays)).max() > 0.1


@pytest.mark.parametrize("name", POLICIES)
def test_fit_normalises_with_the_right_statistics(trained, name):
    """The loss that `fit` itself reports for one batch is the one computed from those statistics."""
    model, _, arrays = trained[name]
    SIDE.weights.from_arrays(model, arrays)
    backbone, head = SIDE.transfer.parts(model)
    losses = {}
    for statistics in ("batch", "moving"):
        plain = keras.models.clone_model(backbone)
        SIDE.weights.from_arrays(plain, SIDE.weights.to_arrays(backbone))
        images, labels = batches()[0]
        features = plain(images, training=statistics == "batch").numpy().mean((1, 2))
        p = head(features, training=False).numpy().astype(np.float64)
        losses[statistics] = -np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p))
    for layer in SIDE.bn_policy.leaves(model):
        if layer.name.startswith("head_dropout"):
            layer.rate = 0.0
    reported = SIDE.training.fit(
        model, SIDE.optimizers.adam(model, 1e-9), lambda epoch: batches()[:1], epochs=1
    )[0]["loss"]
    SIDE.weights.from_arrays(model, arrays)
    statistics = POLICIES[name].fit_statistics
    other = {"batch": "moving", "moving": "batch"}[statistics]
    assert reported == pytest.approx(losses[statistics], rel=1e-4)
    assert reported != pytest.approx(losses[other], rel=1e-2)


@pytest.mark.parametrize("name", POLICIES)
def test_audit_reads_the_facts_off_the_model(trained, name):
    policy = POLICIES[name]
    rows = SIDE.bn_policy.audit(trained[name][0])
    assert len(rows) == 53
    for row in rows:
        assert row["trains"] == (policy.trains in ("bn", "all"))
        assert row["fit_statistics"] == policy.fit_statistics
        assert row["updates"] == policy.updates
        assert row["evaluate_statistics"] == policy.evaluate_statistics


def test_moving_statistics_follow_kerass_rule(trained):
    model, before, after = trained["frozen-drifting"]
    backbone = SIDE.transfer.parts(model)[0]
    probe = keras.Model(backbone.inputs, backbone.get_layer("conv1_conv").output)
    mean, variance = before[f"{BN}/moving_mean"], before[f"{BN}/moving_variance"]
    for images, _ in batches():
        x = probe(images).numpy().astype(np.float64)
        mean = 0.99 * mean + 0.01 * x.mean((0, 1, 2))
        variance = 0.99 * variance + 0.01 * x.var((0, 1, 2))
    np.testing.assert_allclose(after[f"{BN}/moving_mean"], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after[f"{BN}/moving_variance"], variance, rtol=1e-5)
