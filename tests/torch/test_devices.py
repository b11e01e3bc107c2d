"""Whatever reads a tensor back fetches it from its device first: on tensors that can't be read where they are."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import compare
from compare.frameworks import FRAMEWORKS
from compare.gap.evaluations import Whole
from compare.gap.explaining import explain
from compare.spec import POLICIES
from tests.support.far import Far, far
from tests.support.torch_gap import build
from tests.support.torch_models import randomise
from torch_impl import keeping, training, transfer

SIDE = FRAMEWORKS["torch"].implementation


def batches(n=3):
    rng = np.random.default_rng(0)
    labels = (np.arange(4) % 2)[:, None].astype(np.float32)
    return [(rng.normal(size=(4, 6, 6, 3)).astype(np.float32), labels) for _ in range(n)]


def tiny():
    """Convolution, BN, dropout and three dense layers."""
    return randomise(build(0.5))


def resnet():
    return randomise(transfer.build("resnet50", width=0.0625, numerics="matched"))


def trained(model, policy="fine-tune", numerics="matched"):
    SIDE.bn_policy.apply(model, SIDE.bn_policy.Policy(**POLICIES[policy].facts))
    optimizer = SIDE.optimizers.adam(model, 1e-3, numerics)
    return SIDE.training.fit(model, optimizer, lambda epoch: batches(), epochs=1), optimizer


def both(function, build=tiny):
    """What a function gives of a model that is here, and of the same one far away."""
    return function(build()), function(far(build()))


def test_a_far_tensor_cannot_be_read_where_it_is():
    (parameter, *_) = far(tiny()).parameters()
    assert isinstance(parameter * 2, Far)
    with pytest.raises(TypeError, match="fetch it"):
        (parameter.detach() * 2).numpy()
    assert np.isfinite(parameter.detach().cpu().numpy()).all()


def test_training_gives_the_same_figures():
    here, away = both(lambda model: trained(model)[0])
    assert here == away


@pytest.mark.parametrize("policy", ["frozen-batch-stats", "fine-tune"])
def test_the_gap_is_explained(policy):
    def explained(model):
        random = SIDE.replay.random_state(model)
        (logs,), _ = trained(model, policy)
        evaluate = SIDE.training.evaluate(model, batches())
        whole = Whole(SIDE, model, batches(), random)
        return explain(whole, logs, evaluate, POLICIES[policy].behaviour, epoch=1, steps=3)

    here, away = both(explained)
    assert here == away
    assert here.layers


def test_weights_and_optimizers_state_come_back():
    there = []

    def state(model):
        _, optimizer = trained(model)
        arrays = SIDE.weights.to_arrays(model)
        slots = SIDE.optimizers.to_arrays(model, optimizer)
        SIDE.weights.from_arrays(model, arrays)
        SIDE.optimizers.from_arrays(model, optimizer, slots)
        kept = [slot for state in optimizer.state.values() for slot in state.values()]
        there.append({type(slot) for slot in kept if isinstance(slot, torch.Tensor) and slot.ndim})
        return arrays | slots

    here, away = both(state)
    for name, array in here.items():
        np.testing.assert_array_equal(array, away[name])
    assert there == [
        {torch.Tensor},
        {Far},
    ]  # a step mixes it with the gradients, which are where the model is


def test_layers_are_traced_and_steps_recorded():
    def traced(model):
        SIDE.bn_policy.apply(model, SIDE.bn_policy.Policy(**POLICIES["fine-tune"].facts))
        step = SIDE.tracing.Training(model, SIDE.optimizers.adam(model, 1e-3, "matched"))
        images, labels = (
            np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32),
            batches()[0][1][:2],
        )
        outputs = SIDE.tracing.forward(model, images, training=True)
        step.step(images, labels)
        return outputs | step.gradients() | step.to_arrays() | {"evaluated": step.evaluate(images, labels)[1]}

    here, away = both(traced, resnet)
    for name, array in here.items():
        np.testing.assert_array_equal(array, away[name])


def test_behaviour_is_observed_and_state_is_hashed():
    def seen(model):
        SIDE.bn_policy.apply(model, SIDE.bn_policy.Policy(**POLICIES["frozen-drifting"].facts))
        rows = SIDE.behaviour.observe(model, batches()[0], True)
        hashes = keeping.state(model)
        return len(rows), {name: value for name, value in hashes.items() if name.startswith("weights")}

    here, away = both(seen)
    assert here == away


def test_losses_read_back_some_at_a_time_are_the_same(monkeypatch):
    def told():
        steps = []
        training.start(0)
        model = tiny()
        optimizer = SIDE.optimizers.adam(model)
        history = training.fit(
            model, optimizer, lambda epoch: batches(5), epochs=2, after_step=lambda *step: steps.append(step)
        )
        return history, steps

    at_once = told()
    looks, stack = [], torch.stack
    monkeypatch.setitem(training.LOOK, "cpu", 2)
    monkeypatch.setattr(training.torch, "stack", lambda losses: looks.append(len(losses)) or stack(losses))
    assert told() == at_once
    assert looks == [2, 2, 1] * 2


@pytest.mark.parametrize("look", [1, 2, 16])
def test_a_loss_that_is_not_finite_is_found_at_its_step_though_read_later(monkeypatch, look):
    monkeypatch.setitem(training.LOOK, "cpu", look)
    model, poisoned = tiny(), batches(4)
    poisoned[1] = (poisoned[1][0] * np.float32("nan"), poisoned[1][1])
    with pytest.raises(training.NonFiniteLossError, match="epoch 1, step 2"):
        training.fit(model, SIDE.optimizers.adam(model), lambda epoch: poisoned, epochs=1)


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.InstanceNorm1d])
def test_a_default_device_that_is_not_the_models_makes_no_difference(kind):
    """Nothing that is made on the way is left to the default: on ``meta`` it would have no values."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Unflatten(1, (2, 4)),
        kind(2, track_running_stats=True),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(8, 3),
    )
    data = [(3 + torch.randn(16, 8), torch.arange(16) % 3) for _ in range(4)]
    for x, _ in data:
        model(x)

    def said():
        found = compare.diagnose(model, data, loss=F.cross_entropy)
        return found.terms, [finding.cause for finding in found.findings], compare.audit(model).rows

    usual = said()
    with torch.device("meta"):
        assert said() == usual
