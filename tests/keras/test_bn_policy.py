"""What each policy really does in Keras, after real training steps."""

import keras
import numpy as np
import pytest

from compare.spec import POLICIES
from tests.support.arrays import random_arrays
from tests.support.backends import FRAMEWORK, SIDE, numpy
from tests.support.observed_audit import audit
from tests.support.policy_checks import BN, batches, changed_kinds, expected_kinds, normalised, train
from tests.support.shallow import BATCH_NORMS, shallow

FIRST_LOSSES = {}
# those that between them set every flag, for the backends that take long to compile a training step
TELLING = ("frozen-batch-stats", "frozen-drifting", "bn-trainable", "batch-stats")
EACH = [pytest.param(name, marks=[pytest.mark.backend] * (name in TELLING)) for name in POLICIES]


class Trained(dict):
    """Each policy trained once, when it is first asked for: the model, its arrays before and after."""

    def __missing__(self, name):
        return self.setdefault(name, train(SIDE, name, first_losses=FIRST_LOSSES))


@pytest.fixture(scope="module", autouse=True)
def few_blocks():
    with shallow(FRAMEWORK.name):
        yield


@pytest.fixture(scope="module")
def trained():
    return Trained()


@pytest.mark.parametrize("name", EACH)
def test_exactly_the_right_arrays_change(trained, name):
    _, before, after = trained[name]
    changed = changed_kinds(before, after)
    assert changed["head"] == {"kernel", "bias"}
    assert changed["backbone"] == expected_kinds(POLICIES[name])


@pytest.mark.parametrize("name", EACH)
def test_evaluate_normalises_with_the_right_statistics(trained, name):
    model, _, arrays = trained[name]
    backbone = SIDE.transfer.parts(model)[0]
    layer = backbone.get_layer("conv1_bn")
    images = batches()[0][0]
    probe = keras.Model(backbone.input, [layer.input, layer.output])
    x, y = (numpy(array) for array in probe(images, training=False))
    statistics = POLICIES[name].evaluate_statistics
    other = {"batch": "moving", "moving": "batch"}[statistics]
    np.testing.assert_allclose(y, normalised(x, statistics, arrays), atol=1e-4)
    assert np.abs(y - normalised(x, other, arrays)).max() > 0.1


@pytest.fixture(scope="module")
def plain_losses():
    """The loss of the first batch from either kind of statistics, by the layers' own forward pass."""
    model = SIDE.transfer.build("resnet50", "v1", 0.0625, dropout=0.0)
    arrays, losses = random_arrays(SIDE.weights.to_arrays(model)), {}
    images, labels = batches()[0]
    for statistics in ("batch", "moving"):
        SIDE.weights.from_arrays(model, arrays)
        p = numpy(model(images, training=statistics == "batch")).astype(np.float64)
        losses[statistics] = -np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p))
    return losses


@pytest.mark.parametrize("name", EACH)
def test_fit_normalises_with_the_right_statistics(trained, plain_losses, name):
    """The loss that `fit` itself reports for its first batch is the one computed from those statistics."""
    statistics = POLICIES[name].fit_statistics
    assert trained[name]
    other = {"batch": "moving", "moving": "batch"}[statistics]
    assert FIRST_LOSSES[name] == pytest.approx(plain_losses[statistics], rel=1e-4)
    assert FIRST_LOSSES[name] != pytest.approx(plain_losses[other], rel=1e-2)


@pytest.mark.parametrize("name", EACH)
def test_a_policys_facts_are_what_the_layers_do(trained, name):
    policy = POLICIES[name]
    rows = audit(SIDE, trained[name][0], batches()[0])
    assert list(rows) == list(SIDE.statistics.batch_norms(trained[name][0]))
    assert len(rows) == BATCH_NORMS
    for row in rows.values():
        assert row.affine_trains == (policy.trains in ("bn", "all"))
        assert row.fit_statistics == policy.fit_statistics
        assert row.updates == policy.updates
        assert row.evaluate_statistics == policy.evaluate_statistics


@pytest.mark.backend
def test_moving_statistics_follow_kerass_rule(trained):
    model, before, after = trained["frozen-drifting"]
    backbone = SIDE.transfer.parts(model)[0]
    probe = keras.Model(backbone.input, backbone.get_layer("conv1_conv").output)
    mean, variance = before[f"{BN}/moving_mean"], before[f"{BN}/moving_variance"]
    for images, _ in batches():
        x = numpy(probe(images)).astype(np.float64)
        mean = 0.99 * mean + 0.01 * x.mean((0, 1, 2))
        variance = 0.99 * variance + 0.01 * x.var((0, 1, 2))
    np.testing.assert_allclose(after[f"{BN}/moving_mean"], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after[f"{BN}/moving_variance"], variance, rtol=1e-5)
