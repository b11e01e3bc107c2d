"""Whatever a model keeps in its attributes comes back, however deep, and however a diagnosis ends."""

import random
from collections import deque
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import compare
from compare.spec import InputError
from tests.keras.diagnosis.toys import BN, Dense, compiled, net, normed, toy

DROP = keras.layers.Dropout


class Hoarder(keras.Model):
    """Changes everything that it keeps at every call, and may fail at one."""

    def __init__(self):
        super().__init__()
        self.hidden, self.norm, self.drop, self.out = Dense(8), BN(), DROP(0.3), Dense(3)
        self.average = self.add_weight(shape=(8,), trainable=False, name="average")
        self.error, self.at, self.calls = None, 0, 0
        self.array, self.box, self.last = np.zeros(3), SimpleNamespace(deep=[[1]]), deque([1], maxlen=2)
        self.cache, self.numpy, self.python = {"n": [1]}, np.random.default_rng(3), random.Random(3)

    def call(self, x, training=None):
        self.calls += 1
        self.array += 1
        self.box.deep[0].append(self.calls)
        self.cache["n"].append(self.calls)
        self.last.append(self.calls)
        self.numpy.random(), self.python.random(), random.random(), np.random.rand()  # noqa: NPY002
        if self.error is not None and self.calls == self.at:
            raise self.error
        if training:
            self.average.assign(0.9 * self.average + 0.1 * keras.ops.mean(x, 0))
        return self.out(self.drop(self.norm(self.hidden(x), training=training), training=training))

    def held(self):
        numbers = [
            self.calls,
            self.array.tolist(),
            str(self.box.deep),
            str(dict(self.cache)),
            list(self.last),
        ]
        states = [self.numpy.bit_generator.state, self.python.getstate(), random.getstate()]
        variables = [
            *self.variables,
            *self.optimizer.variables,
            *(v for m in self.metrics for v in m.variables),
        ]
        values = [keras.ops.convert_to_numpy(variable).tolist() for variable in variables]
        return [numbers, states, np.random.get_state()[1].tolist(), values]  # noqa: NPY002


@pytest.mark.parametrize(
    ("error", "at"),
    [(None, 0), (RuntimeError("mine"), 1), (RuntimeError("mine"), 6), (KeyboardInterrupt(), 3), (SystemExit(3), 9)],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)  # fmt: skip
def test_what_a_model_keeps_comes_back(error, at):
    x, y = toy(64)
    model = compiled(Hoarder())
    model.fit(x, y, epochs=1, verbose=0)
    model.error, model.at, model.calls = error, at, 0
    before = model.held()
    functions = (model.train_function, model.test_function)
    if error is None:
        assert compare.diagnose(model, (x, y), batch_size=16).probes.restored == "same"
    else:
        with pytest.raises((KeyboardInterrupt, SystemExit, InputError)):
            compare.diagnose(model, (x, y), batch_size=16)
    assert model.held() == before
    assert functions == (model.train_function, model.test_function)
    model.error = None
    model(x[:4])  # the comparison sees one call
    assert model.held() != before


MODELS = {
    "spectral norm": lambda: (net(keras.layers.SpectralNormalization(Dense(8)), BN()), {}),
    "an average of weights": lambda: (net(*normed()), {"use_ema": True}),
    "accumulated gradients": lambda: (net(*normed()), {"gradient_accumulation_steps": 2}),
    "float16": lambda: (net(Dense(8, dtype="mixed_float16"), BN(dtype="mixed_float16")), {}),
}


@pytest.mark.parametrize("kind", MODELS)
def test_models_and_optimizers_of_all_kinds_are_put_back(kind):
    x, y = toy(64)
    model, options = MODELS[kind]()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    top = keras.metrics.SparseTopKCategoricalAccuracy(2)
    model.compile(keras.optimizers.Adam(0.01, **options), loss, metrics=["accuracy", top], jit_compile=False)
    model.fit(x, y, epochs=2, verbose=0)
    variables = [
        *model.variables,
        *model.optimizer.variables,
        *(v for m in model.metrics for v in m.variables),
    ]
    before = [keras.ops.convert_to_numpy(variable).tobytes() for variable in variables]
    found = compare.diagnose(model, (x, y), batch_size=32)
    assert found.probes.restored == "same"
    assert before == [keras.ops.convert_to_numpy(variable).tobytes() for variable in variables]
    assert not found.harmful or found.findings[0].cause == "stale-statistics"


def test_a_training_goes_on_as_if_nothing_had_been_asked():
    x, y = toy(64)

    def train(asked):
        keras.utils.set_random_seed(5)
        model = compiled(net(*normed(), DROP(0.3)))
        model.fit(x, y, epochs=2, verbose=0)
        if asked:
            assert compare.diagnose(model, (x, y), batch_size=32).probes.restored == "same"
            assert compare.audit(model).rows
        history = model.fit(x, y, epochs=2, verbose=0).history
        return history, [keras.ops.convert_to_numpy(variable).tolist() for variable in model.variables]

    assert train(True) == train(False)


def test_the_state_that_a_recurrent_layer_goes_on_from_comes_back():
    """Keras doesn't list it among a model's variables."""
    x, y = np.random.default_rng(0).normal(size=(64, 5, 8)).astype("float32"), toy(64)[1]
    recurrent = keras.layers.LSTM(6, stateful=True)
    model = compiled(keras.Sequential([keras.Input(batch_shape=(32, 5, 8)), recurrent, Dense(3)]))
    model.fit(x, y, batch_size=32, verbose=0, shuffle=False)

    def held():
        return [keras.ops.convert_to_numpy(state).tolist() for state in recurrent.states]

    before = held()
    found = compare.diagnose(model, (x, y), batch_size=32)
    assert (found.probes.restored, found.probes.evaluate_twice) == ("same", "same")
    assert held() == before
    assert "random-evaluation" not in {finding.cause for finding in found.findings}
    model.evaluate(x, y, batch_size=32, verbose=0)  # the comparison sees one evaluation
    assert held() != before


class Foreign(keras.layers.Layer):
    """Keeps TensorFlow's own variables and generator, as layers from before Keras 3 do."""

    def __init__(self):
        super().__init__()
        self.calls, self.deep = tf.Variable(0.0), [{"seen": tf.Variable([0.0, 0.0])}]
        self.drawn = tf.random.Generator.from_seed(3)
        self.around = [self.deep]
        self.around.append(self.around)

    def call(self, x):
        self.calls.assign_add(1.0)
        self.deep[0]["seen"].assign_add([1.0, 2.0])
        return x + 0.01 * self.drawn.normal(tf.shape(x))

    def held(self):
        return [v.numpy().tolist() for v in (self.calls, self.deep[0]["seen"], self.drawn.state)]


def test_variables_and_generators_of_the_frameworks_own_come_back():
    x, y = toy(64)
    layer = Foreign()
    model = compiled(net(Dense(8), layer, BN()))
    model.run_eagerly = True
    model.fit(x, y, batch_size=32, verbose=0)
    before = layer.held()
    assert compare.diagnose(model, (x, y), batch_size=32).probes.restored == "same"
    assert layer.held() == before
    model(x[:4])
    assert [a != b for a, b in zip(layer.held(), before, strict=True)] == [True] * 3
