"""The matched optimizers compute what Keras does, and their state crosses over under neutral names."""

import numpy as np
import pytest
import torch

from tests.support.optimizer_steps import CASES, RATE, expected, gradients
from torch_impl import optimizers


def dense(rows=40, columns=30, seed=3):
    model = torch.nn.Sequential()
    model.add_module("head_dense_1", torch.nn.Linear(rows, columns).double())
    with torch.no_grad():
        model[0].weight.copy_(torch.from_numpy(np.random.default_rng(seed).normal(size=(columns, rows))))
    return model


def train(model, optimizer, steps):
    for gradient in steps:
        model[0].weight.grad = torch.from_numpy(gradient.copy())
        model[0].bias.grad = torch.zeros_like(model[0].bias)
        optimizer.step()
    return model[0].weight.detach().numpy()


def make(case, model, numerics="matched"):
    return optimizers.make(case.split()[0], model, RATE, numerics, **CASES[case])


@pytest.mark.parametrize("case", CASES)
def test_steps_are_keras_to_the_last_bit(case):
    model = dense()
    start = model[0].weight.detach().numpy().copy()
    got, wanted = (
        train(model, make(case, model), gradients(start.shape)),
        expected(case, start, gradients(start.shape)),
    )
    if case == "rmsprop":  # torch.sqrt, vectorised, is off by a rounding at times
        np.testing.assert_array_max_ulp(got, wanted, maxulp=2)
    else:
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("numerics", ["matched", "native"])
@pytest.mark.parametrize("case", CASES)
def test_a_state_that_moved_goes_on_where_it_was(case, numerics):
    straight, first, second = dense(), dense(), dense()
    steps = gradients((30, 40))
    whole = train(straight, make(case, straight, numerics), steps)
    before = make(case, first, numerics)
    train(first, before, steps[:3])
    second.load_state_dict(first.state_dict())
    after = make(case, second, numerics)
    optimizers.from_arrays(second, after, optimizers.to_arrays(first, before))
    np.testing.assert_allclose(train(second, after, steps[3:]), whole, rtol=1e-13, atol=1e-15)


def test_state_has_neutral_names_and_layouts():
    model = dense()
    optimizer = make("adam", model, "native")
    train(model, optimizer, gradients((30, 40))[:2])
    arrays = optimizers.to_arrays(model, optimizer)
    assert int(arrays["step"]) == 2
    np.testing.assert_array_equal(
        arrays["velocity/head_dense_1/kernel"], optimizer.state[model[0].weight]["exp_avg_sq"].numpy().T
    )


def test_native_sgd_keeps_its_momentum_in_keras_units():
    model = dense()
    optimizer = make("sgd with momentum", model, "native")
    gradient = gradients((30, 40))[0]
    train(model, optimizer, [gradient])
    kept = optimizers.to_arrays(model, optimizer)["momentum/head_dense_1/kernel"]
    np.testing.assert_allclose(kept, -RATE * gradient.T, rtol=1e-15)


def test_coupled_decay_acts_on_kernels_only_and_shows_in_the_gradient():
    model = dense()
    weight = model[0].weight.detach().clone()
    bias = model[0].bias.detach().clone()
    optimizer = optimizers.make("sgd", model, RATE, "matched", weight_decay=0.1)
    train(model, optimizer, [np.zeros((30, 40))])
    torch.testing.assert_close(model[0].weight.grad, weight * 0.1, rtol=1e-7, atol=0)
    torch.testing.assert_close(model[0].bias.detach(), bias, rtol=0, atol=0)


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


def test_configuration_says_where_epsilon_goes():
    model = dense()
    places = {n: optimizers.configuration(model, make("adam", model, n)) for n in ("matched", "native")}
    assert places["matched"]["epsilon_place"] == "uncorrected root"
    assert places["matched"]["epsilon"] == 1e-7
    assert places["native"]["epsilon_place"] == "corrected root"
    assert places["native"]["epsilon"] == 1e-8
