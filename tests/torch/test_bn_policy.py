"""What each policy really does in PyTorch, after real training steps."""

import numpy as np
import pytest
import torch

from compare.frameworks import FRAMEWORKS
from compare.spec import POLICIES
from tests.support.observed_audit import audit
from tests.support.policy_checks import BN, batches, changed_kinds, expected_kinds, normalised, train

SIDE = FRAMEWORKS["torch"].implementation


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


@pytest.mark.parametrize("mode", ["fit", "evaluate"])
@pytest.mark.parametrize("name", POLICIES)
def test_normalises_with_the_right_statistics(trained, name, mode):
    """What goes into and comes out of a BN module while `fit` and `evaluate` themselves run."""
    model, _, _ = trained[name]
    arrays = SIDE.weights.to_arrays(model)
    seen = []
    bn = model.backbone.conv1_bn
    hook = bn.register_forward_hook(lambda m, x, y: seen.append((x[0].detach().clone(), y.detach().clone())))
    if mode == "fit":
        SIDE.training.fit(model, SIDE.optimizers.adam(model, 1e-9), lambda epoch: batches()[:1], epochs=1)
    else:
        SIDE.training.evaluate(model, batches()[:1])
    hook.remove()
    (x, y), statistics = seen[0], getattr(POLICIES[name], f"{mode}_statistics")
    x, y = (tensor.permute(0, 2, 3, 1).numpy() for tensor in (x, y))
    other = {"batch": "moving", "moving": "batch"}[statistics]
    np.testing.assert_allclose(y, normalised(x, statistics, arrays), atol=1e-4)
    assert np.abs(y - normalised(x, other, arrays)).max() > 0.1


@pytest.mark.parametrize("name", POLICIES)
def test_a_policys_facts_are_what_the_layers_do(trained, name):
    policy, model = POLICIES[name], trained[name][0]
    model.train()
    rows = audit(SIDE, model, batches()[0])
    assert list(rows) == list(SIDE.statistics.batch_norms(model))
    assert len(rows) == 53
    for row in rows.values():
        assert row.affine_trains == (policy.trains in ("bn", "all"))
        assert row.fit_statistics == policy.fit_statistics
        assert row.updates == policy.updates
        assert row.evaluate_statistics == policy.evaluate_statistics


def test_train_undoes_eval_and_hold_puts_it_back(trained):
    """PyTorch's relapse: a parent's .train() wakes the frozen BN modules."""
    model, _, _ = trained["frozen"]
    bn = model.backbone.conv1_bn
    model.train()
    assert bn.training
    SIDE.bn_policy.hold(model)
    assert not bn.training
    assert model.head.training


def test_native_moving_statistics_follow_pytorchs_rule():
    model, before, _ = train(SIDE, "frozen-drifting")
    mean, variance = before[f"{BN}/moving_mean"], before[f"{BN}/moving_variance"]
    for x in _inputs_of_bn(before):
        mean = 0.9 * mean + 0.1 * x.mean((0, 1, 2))
        variance = 0.9 * variance + 0.1 * x.var((0, 1, 2), ddof=1)
    after = SIDE.weights.to_arrays(model)
    np.testing.assert_allclose(after[f"{BN}/moving_mean"], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after[f"{BN}/moving_variance"], variance, rtol=1e-4)


def test_matched_moving_statistics_follow_kerass_rule():
    model, before, _ = train(SIDE, "frozen-drifting", "matched")
    mean, variance = before[f"{BN}/moving_mean"], before[f"{BN}/moving_variance"]
    for x in _inputs_of_bn(before):
        mean = 0.99 * mean + 0.01 * x.mean((0, 1, 2))
        variance = 0.99 * variance + 0.01 * x.var((0, 1, 2))
    after = SIDE.weights.to_arrays(model)
    np.testing.assert_allclose(after[f"{BN}/moving_mean"], mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after[f"{BN}/moving_variance"], variance, rtol=1e-5)


def _inputs_of_bn(arrays):
    """The first convolution's output for each batch, in float64."""
    kernel = torch.from_numpy(arrays["conv1_conv/kernel"].transpose(3, 2, 0, 1)).double()
    bias = torch.from_numpy(arrays["conv1_conv/bias"]).double()
    for images, _ in batches():
        x = torch.from_numpy(images).permute(0, 3, 1, 2).double()
        yield torch.nn.functional.conv2d(x, kernel, bias, 2, 3).permute(0, 2, 3, 1).numpy()
