import numpy as np
import pytest
import torch
from torch import nn

import torch_impl.statistics
from compare.frameworks import FRAMEWORKS
from compare.spec import POLICIES
from compare.verdict.cures import FREEZE, REESTIMATE, lower_decay
from tests.support.report_code import audits
from tests.support.torch_models import small


@pytest.fixture(scope="module")
def model():
    return small()


@pytest.mark.parametrize("policy", POLICIES)
def test_the_code_on_the_page_sets_the_policy(model, policy):
    shown, real = audits(FRAMEWORKS["torch"].implementation, "torch", policy, model)
    assert len(real) == 53
    assert shown == real


def test_the_cures_do_what_they_say():
    model = small().train()
    layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    exec(lower_decay(0.8).code["torch"], {"model": model, "nn": nn})
    assert {layer.momentum for layer in layers} == {0.2}
    exec(FREEZE.code["torch"], {"model": model, "nn": nn})
    assert model.training
    assert not any(layer.training for layer in layers)

    batches = [np.random.default_rng(0).normal(2, 3, (8, 32, 32, 3)).astype(np.float32)]
    before = layers[0].running_mean.clone()
    model.train()
    exec(REESTIMATE.code["torch"], {"model": model, "batches": batches})
    assert not model.training
    assert not torch.equal(layers[0].running_mean, before)
    measured = torch_impl.statistics.population(model, batches)["conv1_bn"][0]
    np.testing.assert_allclose(layers[0].running_mean, measured, rtol=1e-6)
