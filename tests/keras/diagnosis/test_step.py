"""A step of the person's own, in which the code says no mode: it is passed as fit and as evaluate would pass it."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis.toys import BN, Dense, compiled, fitted, net, normed, toy

X, Y = toy(96, shift=3.0)
BATCHES = [X[start : start + 32] for start in range(0, 96, 32)]


def entropy(y, outputs):
    return ops.mean(keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=True))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    made = compiled(net(*normed(0.99), layers.Dropout(0.3)))
    fitted(made, X, Y)
    return made


def test_it_measures_what_the_compiled_loss_does(model):
    def step(net, batch):
        outputs = net(batch[0])
        return {
            "loss": entropy(batch[1], outputs),
            "n": len(batch[1]),
            "outputs": outputs,
            "targets": batch[1],
        }

    mine, keras_own = (diagnose(model, (X, Y), batch_size=32, **given) for given in ({"step": step}, {}))
    assert mine.findings[0].cause == keras_own.findings[0].cause == "stale-statistics"
    for name in ("fit_loss", "evaluate_loss"):
        assert mine.measured[name] == pytest.approx(keras_own.measured[name], rel=1e-6)
    values = [{term.term: term.value for term in found.terms} for found in (mine, keras_own)]
    assert values[0] == pytest.approx(values[1], rel=1e-3, abs=1e-6)
    assert {"dropout", "batch-noise", "stale-statistics"} <= set(values[0])
    assert mine.probes.restored == "same"
    assert mine.probes.alone_and_in_batch == "same"


def test_a_mode_that_it_says_is_the_one(model):
    found = diagnose(
        model, (X, Y), batch_size=32, step=lambda net, b: entropy(b[1], net(b[0], training=True))
    )
    assert "mode-in-evaluation" in {finding.cause for finding in found.findings if finding.harmful}
    found = diagnose(
        model, (X, Y), batch_size=32, step=lambda net, b: entropy(b[1], net(b[0], training=False))
    )
    assert found.gap == 0


class Coder(keras.Model):
    """Two parts, which a step may call without the model around them."""

    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential([keras.Input((8,)), Dense(8), BN(momentum=0.99), Dense(4)])
        self.outer = keras.Sequential([keras.Input((4,)), Dense(8), layers.Dropout(0.3), Dense(8)])

    def call(self, x):
        return self.outer(self.inner(x))


def test_parts_that_it_calls_by_themselves_act_too():
    keras.utils.set_random_seed(1)
    model = Coder()
    model(X[:2])
    found = diagnose(model, BATCHES, step=lambda m, x: ops.mean(ops.square(m.outer(m.inner(x)) - x)))
    assert found.findings[0].cause == "stale-statistics"
    assert {"dropout", "stale-statistics"} <= {term.term for term in found.terms}
    assert sum(term.value for term in found.terms) == pytest.approx(found.gap, rel=1e-6)
    assert np.isfinite(found.gap)
