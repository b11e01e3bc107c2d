"""Every cure that a story's diagnosis offers runs when it is pasted beside that story's own model and data."""

import copy
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

import compare
from compare.diagnosis.cures import CURES
from tests.torch.diagnosis import (
    figures,
    stories,
    test_causes,
    test_reports,
    test_variants,
    variants,
)
from tests.torch.diagnosis.stories import CE, told
from tests.torch.diagnosis.toys import evaluated, loader, toy

# closed without another training, by pasting it as often as there are normalisations behind one another
AT_ONCE = {"stale-statistics", "foreign-statistics", "decay", "not-frozen"}
# harmless, unless noise before a normalisation spoils what that stores
NOTHING_TO_DO = {"none", "dropout", "augmentation", "weights-moved"}


class ByHand(nn.Module):
    """A normalisation that a person wrote, whose average moves by a thousandth a step."""

    def __init__(self, size):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_var", torch.ones(size))

    def forward(self, x):
        mean, variance = self.running_mean, self.running_var
        if self.training:
            with torch.no_grad():
                mean.lerp_(x.mean(0), 0.001)
                variance.lerp_(x.var(0), 0.001)
            mean, variance = x.mean(0), x.var(0, unbiased=False)
        return (x - mean) / (variance + 1e-5).sqrt()


class ByFunction(ByHand):
    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, training=self.training, momentum=0.001)


def network(norm):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 24), norm, nn.ReLU(), nn.Linear(24, 3))


def normalised_by_hand():
    return told(network(ByHand(24)), loader(toy(shift=3.0, scale=2.0)), epochs=6)


def normalised_by_a_function():
    return told(network(ByFunction(24)), loader(toy(shift=3.0, scale=2.0)), epochs=6)


def loss_reported_as_no_number():
    net, data, options = stories.healthy()
    return net, data, options | {"reported": options["reported"] | {"loss": float("nan")}}


def batches_by_a_step_of_ones_own():
    """The mean of the batches' means, in a training whose loss is a step's."""
    net, data, options = figures.last_batch_counts_as_a_whole_one()
    del options["loss"]
    return net, data, options | {"step": lambda model, batch: CE(model(batch[0]), batch[1])}


def infinity_by_hand():
    net, data, options = normalised_by_hand()
    net[1].running_var[:3] = torch.inf
    return net, data, options


def small_differences_in_half_precision():
    """One plus a little, less one: float16 has three digits."""
    x = torch.randn(64, 8, generator=variants.drawn()).half()
    torch.manual_seed(0)
    net = nn.Linear(8, 1).half()
    with torch.no_grad():
        y = net(x) + 0.02 * torch.randn(64, 1, generator=variants.drawn(1)).half()
    return net, loader((x, y)), {"loss": lambda outputs, y: ((1 + (outputs - y) ** 2) - 1).mean()}


def an_evaluation_of_nobody_knows_what():
    net, data, options = stories.healthy()
    return net, data, options | {"reported": options["reported"] | {"evaluate_loss": 0.7}}


def evaluation_data_that_change():
    net, data, options = stories.healthy()
    x, y = toy(128)

    def noisy():
        return loader((x + torch.randn(x.shape), y))

    return net, data, options | {"evaluate_data": noisy}


class Turns(nn.Module):
    def forward(self, x):
        return x if self.training else -x


def a_layer_that_computes_something_else():
    return told(network(Turns()), loader(toy()), epochs=6)


def a_loss_that_draws():
    net, data, _ = stories.healthy()
    return net, data, {"loss": lambda outputs, y: CE(outputs + torch.randn_like(outputs), y)}


def a_softmax_too_many_in_evaluation():
    net, data, options = stories.healthy()
    wrong = evaluated(net, data, lambda outputs, y: CE(outputs.softmax(1), y))
    return net, data, options | {"reported": options["reported"] | {"evaluate_loss": wrong}}


def classes_in_another_order():
    """Evaluation's folders, listed in another order."""
    net, data, _ = stories.healthy()
    x, y = toy(256, seed=5)
    return net, data, {"loss": CE, "evaluate_data": loader((x, (y + 1) % 3))}


MORE = (
    a_softmax_too_many_in_evaluation, classes_in_another_order,
    an_evaluation_of_nobody_knows_what, evaluation_data_that_change, a_layer_that_computes_something_else,
    a_loss_that_draws,
    normalised_by_hand, normalised_by_a_function, loss_reported_as_no_number, batches_by_a_step_of_ones_own,
    infinity_by_hand, small_differences_in_half_precision,
)  # fmt: skip
EVERY = dict.fromkeys([
    *test_causes.HARMFUL, *test_causes.HARMLESS, *test_variants.HARMFUL, *test_variants.HARMLESS,
    *(story for story, _ in test_reports.REPORTS.values()), *MORE,
])  # fmt: skip


@cache
def asked(story):
    model, data, options = story()
    return model, data, options, compare.diagnose(model, data, **options)


def paste(code, model, data, options):
    """Run code where a person has a model, a loader, its first batch, and what they gave the diagnosis."""
    first = next(iter(data))
    x, y = (first[0], first[1]) if isinstance(first, list | tuple) else (first, None)
    names = {name: options[name] for name in ("loss", "step") if name in options}
    names |= {"torch": torch, "nn": nn, "F": F, "copy": copy, "DataLoader": DataLoader}
    names |= {
        "model": model,
        "loader": data,
        "x": x,
        "targets": y,
        "state": copy.deepcopy(model.state_dict()),
    }
    if "outputs" in code and "model(x)" not in code:
        with torch.no_grad():
            names["outputs"] = model(x)
    exec(code, names)
    torch.autograd.set_detect_anomaly(False)
    return names


@pytest.mark.parametrize("story", EVERY, ids=lambda story: story.__name__)
def test_what_is_offered_runs_beside_the_model_that_it_is_for(story):
    model, data, options, found = asked(story)
    for finding in found.findings:
        bare = finding.cause in NOTHING_TO_DO and "stored variances" not in finding.evidence
        assert bool(finding.cure.code) != bare
        other = copy.deepcopy(model)
        for _ in range(2):
            paste(finding.cure.code, other, data, options)
        if finding.cause in AT_ONCE and "in place of the layer" not in finding.cure.code:
            given = {name: value for name, value in options.items() if name != "reported"}
            after = compare.diagnose(other, data, **given)
            assert finding.cause not in {f.cause for f in after.findings if f.harmful}


def test_the_stories_have_every_cause_and_most_of_what_sets_a_case_apart():
    found = [finding for story in EVERY for finding in asked(story)[3].findings]
    ours = {key: cure for key, cure in CURES.items() if key[0] == "torch"}
    assert {finding.cause for finding in found} == {cause for _, cause, _ in ours}
    texts = {cure.text for cure in ours.values()}
    assert len(texts - {finding.cure.text for finding in found}) < 0.1 * len(texts)


def test_a_loss_that_draws_is_random_though_outputs_are_not():
    found = asked(a_loss_that_draws)[3]
    assert found.findings[0].cause == "random-evaluation"
    assert found.probes.evaluate_twice == "differs"
    assert found.harmful


@pytest.mark.parametrize("story", [normalised_by_hand, normalised_by_a_function])
def test_the_frameworks_own_layer_in_place_of_ones_own_closes_the_gap(story):
    model, data, options, before = asked(story)
    norm = paste(before.findings[0].cure.code, model, data, options)["norm"]
    model, data, options = told(network(norm), data, epochs=20)
    after = compare.diagnose(model, data, **options)
    assert before.findings[0].cause == "stale-statistics"
    assert not after.harmful
    assert abs(after.gap) < before.gap / 10


def test_a_loss_in_float32_is_what_half_precision_loses():
    model, data, options, found = asked(small_differences_in_half_precision)
    names = paste(found.findings[0].cure.code, model, data, options)
    with torch.no_grad():
        x, y = next(iter(data))
        right = F.mse_loss(model(x).float(), y.float())
        assert torch.isclose(names["in_float32"](model(x), y), right, rtol=1e-3)
        assert not torch.isclose(options["loss"](model(x), y).float(), right, rtol=0.05)


def test_statistics_that_an_audit_finds_broken_are_reset_by_its_cure():
    model, data, options = stories.broken_statistics()
    found = compare.audit(model).findings[0]
    assert found.cause == "numerics"
    for _ in range(2):
        paste(found.cure.code, model, data, options)
    assert not compare.audit(model).findings


def test_weights_that_an_audit_finds_drifting_are_kept_by_its_cure():
    model, data, options = variants.not_frozen_regression()
    found = compare.audit(model.train()).findings[0]
    assert found.cause == "not-frozen"
    paste(found.cure.code, model, data, options)
    assert not compare.audit(model).findings
