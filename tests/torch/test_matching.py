"""A person's module computes as Keras does after one line, with the same names and weights."""

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
