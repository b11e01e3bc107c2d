import keras
import numpy as np
import pytest

import keras_impl.statistics
from compare.frameworks import FRAMEWORKS
from compare.spec import POLICIES
from compare.verdict.cures import FREEZE, REESTIMATE, lower_decay
from tests.support.keras_models import small
from tests.support.report_code import audits
from tests.support.shallow import BATCH_NORMS, shallow


@pytest.fixture(scope="module")
def model():
    with shallow():
        return small()


@pytest.mark.parametrize("policy", POLICIES)
def test_the_code_on_the_page_sets_the_policy(model, policy):
    shown, real = audits(FRAMEWORKS["keras"].implementation, "keras", policy, model)
    assert len(real) == BATCH_NORMS
    assert shown == real


def test_the_cures_do_what_they_say():
    pieces = [
        layer for _ in range(3) for layer in (keras.layers.Conv2D(2, 1), keras.layers.BatchNormalization())
    ]
    base = keras.Sequential([keras.Input((8, 8, 3)), *pieces])
    layers = [layer for layer in base.layers if isinstance(layer, keras.layers.BatchNormalization)]
    exec(lower_decay(0.8).code["keras"], {"base": base, "keras": keras})
    assert {layer.momentum for layer in layers} == {0.8}
    exec(FREEZE.code["keras"], {"base": base, "keras": keras})
    assert len(layers) == 3
    assert not any(layer.trainable for layer in layers)

    with shallow():
        model = small()
    model.compile(loss="binary_crossentropy")
    x = np.random.default_rng(0).normal(2, 3, (8, 32, 32, 3)).astype(np.float32)
    exec(REESTIMATE.code["keras"], {"model": model, "batches": [x], "x": x, "y": np.ones((8, 1))})
    moving = keras_impl.statistics.moving(model)["conv1_bn"][0]
    measured = keras_impl.statistics.population(model, [x])["conv1_bn"][0]
    np.testing.assert_allclose(moving, measured, rtol=1e-6)
