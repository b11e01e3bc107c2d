"""Keras's optimizers compute what tests/optimizer_steps.py says, and their state has neutral names."""

import keras
import numpy as np
import pytest

from keras_impl import optimizers
from tests.support.backends import FRAMEWORK, double, numpy
from tests.support.optimizer_steps import CASES, RATE, expected, gradients

pytestmark = pytest.mark.backend
ROUNDS = FRAMEWORK.backend == "tensorflow"
LAST_BIT = (
    0 if ROUNDS else 1e-14
)  # XLA and PyTorch may fuse a multiplication with an addition: a rounding less


@pytest.fixture
def float64():
    with double():
        yield


def dense(seed=3):
    inputs = keras.Input((40,))
    model = keras.Model(inputs, keras.layers.Dense(30, name="head_dense_1")(inputs))
    model.layers[-1].kernel.assign(np.random.default_rng(seed).normal(size=(40, 30)))
    return model


def train(model, optimizer, steps):
    kernel, bias = model.layers[-1].kernel, model.layers[-1].bias
    for gradient in steps:
        gradient = keras.ops.convert_to_tensor(gradient, kernel.dtype)
        optimizer.apply([gradient, keras.ops.zeros(bias.shape, bias.dtype)], [kernel, bias])
    return kernel.numpy()


def make(case, model):
    return optimizers.make(case.split()[0], model, RATE, **CASES[case])


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("case", CASES)
def test_steps_are_the_formulas_to_the_last_bit(case):
    model = dense()
    start = model.layers[-1].kernel.numpy().copy()
    found = train(model, make(case, model), gradients(start.shape))
    wanted = expected(case, start, gradients(start.shape), ROUNDS)
    np.testing.assert_allclose(found, wanted, rtol=LAST_BIT, atol=LAST_BIT)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("case", CASES)
def test_unrounded_they_are_the_textbooks_on_every_backend(case):
    model = dense()
    start = model.layers[-1].kernel.numpy().copy()
    steps = gradients(start.shape)
    found = train(model, optimizers.unrounded(model, make(case, model)), steps)
    np.testing.assert_allclose(found, expected(case, start, steps, False), rtol=1e-14, atol=1e-14)
    rounded = np.abs(expected(case, start, steps, True) - found).max()
    assert (rounded > 1e-10) == (case not in ("rmsprop", "sgd"))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("case", CASES)
def test_a_state_that_moved_goes_on_where_it_was(case):
    straight, first, second = dense(), dense(), dense()
    steps = gradients((40, 30))
    whole = train(straight, make(case, straight), steps)
    before = make(case, first)
    train(first, before, steps[:3])
    second.set_weights(first.get_weights())
    after = make(case, second)
    optimizers.from_arrays(second, after, optimizers.to_arrays(first, before))
    np.testing.assert_array_equal(train(second, after, steps[3:]), whole)


@pytest.mark.usefixtures("float64")
def test_state_of_step_zero_clears_the_slots():
    model = dense()
    optimizer = make("adam", model)
    train(model, optimizer, gradients((40, 30))[:2])
    optimizers.from_arrays(model, optimizer, {"step": np.array(0)})
    arrays = optimizers.to_arrays(model, optimizer)
    assert int(arrays["step"]) == 0
    assert not arrays["momentum/head_dense_1/kernel"].any()


def test_coupled_decay_is_a_regulariser_of_kernels_only():
    model = dense()
    optimizers.make("sgd", model, RATE, weight_decay=0.1)
    kernel = model.layers[-1].kernel.numpy()
    assert float(numpy(sum(model.losses))) == pytest.approx(0.05 * (kernel**2).sum(), rel=1e-5)
    facts = optimizers.configuration(model, optimizers.make("sgd", model, RATE, weight_decay=0.1))
    assert facts["weight_decay"] == pytest.approx(0.1)
    optimizers.make("sgd", model, RATE)
    assert not model.losses


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "lion"}, "name is 'lion'; it can be adam, adamw, rmsprop, sgd"),
        ({"name": "adam", "momentum": 0.9}, "momentum is 0.9; only sgd has one"),
        ({"name": "adam", "weight_decay": 0.1}, "weight_decay is 0.1; only sgd and adamw"),
    ],
)
def test_errors_say_what_is_right(arguments, words):
    with pytest.raises(ValueError, match=words):
        optimizers.make(model=dense(), **arguments)
