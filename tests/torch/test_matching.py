"""A person's module computes as Keras does after one line, with the same names and weights."""

import pytest
import torch
from torch import nn

from torch_impl.matching import as_keras


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(3, 4, 2), nn.BatchNorm1d(4, momentum=0.3), nn.Sequential(nn.BatchNorm1d(4))
    )


def test_the_moving_variance_takes_in_the_biased_one():
    model = as_keras(network()).double().train()
    x = torch.randn(5, 3, 6, dtype=torch.float64)
    seen = model[0](x)
    model(x)
    expected = 0.7 * torch.ones(4, dtype=torch.float64) + 0.3 * seen.var((0, 2), unbiased=False)
    torch.testing.assert_close(model[1].running_var, expected, rtol=1e-12, atol=0)
    plain = network().double().train()
    plain(x)
    assert not torch.allclose(plain[1].running_var, expected, rtol=1e-3)


def test_names_weights_and_outputs_stay():
    plain, changed = network().double(), as_keras(network()).double()
    assert plain.state_dict().keys() == changed.state_dict().keys()
    x = torch.randn(5, 3, 6, dtype=torch.float64)
    for mode in (True, False):
        torch.testing.assert_close(changed.train(mode)(x), plain.train(mode)(x), rtol=1e-12, atol=1e-12)
        assert torch.equal(changed[1].running_mean, plain[1].running_mean)
        changed[1].running_var.copy_(plain[1].running_var)
        changed[2][0].running_var.copy_(plain[2][0].running_var)


def test_dropout_draws_masks_from_a_seed_and_adds_nothing_to_a_state_dict():
    def made(seed):
        return as_keras(nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5))), seed).train()

    x = torch.ones(4, 6)
    first, again, other = made(3)(x), made(3)(x), made(4)(x)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not made(3).state_dict()
    model = made(3)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), x)


def test_an_image_s_values_are_numbered_as_keras_has_them():
    drop = as_keras(nn.Dropout(0.5), 3).train()
    image = drop(torch.ones(2, 3, 4, 5))
    flat = as_keras(nn.Dropout(0.5), 3).train()(torch.ones(2, 60))
    assert torch.equal(image.movedim(1, -1).reshape(2, 60), flat)


def test_dropout_of_whole_channels_is_refused():
    with pytest.raises(ValueError, match="channels"):
        as_keras(nn.Sequential(nn.Dropout2d(0.5)), 0)


def test_a_model_of_it_can_be_trained_twice_through_one_layer():
    model = as_keras(network()).double().train()
    x = torch.randn(5, 3, 6, dtype=torch.float64)
    (model(x).square().mean() + model(x + 1).square().mean()).backward()
    gradient = model[0].weight.grad.clone()
    plain = network().double().train()
    (plain(x).square().mean() + plain(x + 1).square().mean()).backward()
    torch.testing.assert_close(gradient, plain[0].weight.grad, rtol=1e-10, atol=1e-12)
