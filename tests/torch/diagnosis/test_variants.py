"""The same causes in other networks and with other losses: first finding right, and no harm that isn't there."""

import pytest
import torch
from torch import nn

import compare
from tests.torch.diagnosis import variants
from tests.torch.diagnosis.stories import told
from tests.torch.diagnosis.test_causes import ask
from tests.torch.diagnosis.toys import evaluated, fit, loader, mlp, norms, toy
from torch_impl.objectives import accuracy

MODES = {"random-evaluation", "evaluation-changes-state", "mode-in-evaluation"}
# story -> the cause that comes first, and harm that may stand beside it
HARMFUL = {
    variants.stale_regression: ("stale-statistics", set()),
    variants.stale_masks: ("stale-statistics", set()),
    variants.stale_labels: ("stale-statistics", set()),
    variants.stale_loss_of_next_to_nothing: ("stale-statistics", set()),
    variants.foreign_regression: ("foreign-statistics", set()),
    variants.foreign_masks: ("foreign-statistics", set()),
    variants.foreign_by_a_subclass: ("foreign-statistics", set()),
    variants.noisy_masks_of_one_image: ("batch-noise", set()),
    variants.noisy_regression_of_four: ("batch-noise", set()),
    variants.unmixed_regression: ("unmixed-batches", set()),
    variants.unmixed_masks: ("unmixed-batches", set()),
    variants.decay_regression: ("decay", set()),
    variants.shared_in_time: ("shared-layer", set()),
    variants.shared_by_levels: ("shared-layer", set()),
    variants.not_frozen_regression: ("not-frozen", set()),
    variants.a_forward_that_calls_train: ("evaluation-changes-state", MODES),
    variants.a_nested_part_that_stays_in_training: ("mode-override", MODES),
    variants.an_eval_that_does_nothing: ("mode-override", MODES),
    variants.a_code_that_is_drawn: ("random-evaluation", set()),
    variants.a_centre_that_moves: ("evaluation-changes-state", set()),
    variants.a_head_that_was_not_loaded: ("other-weights", set()),
    variants.no_number_in_evaluation: ("numerics", set()),
    variants.threshold_of_masks: ("metric", set()),
}
HARMLESS = (variants.dropout_inside_attention_and_lstm, variants.paths_and_blocks_dropped)


@pytest.mark.parametrize("story", HARMFUL, ids=lambda story: story.__name__)
def test_the_cause_is_first_and_alone(story):
    cause, beside = HARMFUL[story]
    found = ask(story)
    assert found.findings[0].cause == cause
    assert found.findings[0].harmful
    assert {finding.cause for finding in found.findings if finding.harmful} <= {cause, *beside}


@pytest.mark.parametrize("story", HARMLESS, ids=lambda story: story.__name__)
def test_dropout_of_every_kind_is_named(story):
    found = ask(story)
    assert not found.harmful
    assert "dropout" in {term.term for term in found.terms}
    assert found.findings[0].cause in ("dropout", "none", "weights-moved")


def noise_that_dropout_outweighs():
    """Half of the data a batch, always the same: dropout costs far more than the batches' noise."""
    x, _ = toy(128)
    y = x @ torch.randn(8, 1, generator=variants.drawn(5))
    net = mlp(classes=1, drop=0.5)
    return told(net, loader((x, y), 64), loss=variants.MSE, epochs=20, settle=False)


def test_evaluation_that_is_better_for_dropout_is_healthy():
    found = ask(noise_that_dropout_outweighs)
    terms = {term.term: term.value for term in found.terms}
    assert terms["variance-shift"] > 0.1 * found.measured["fit_loss"]
    assert found.gap < 0
    assert not found.harmful


def test_sources_so_unlike_that_each_batch_has_its_own_loss_are_no_chance():
    x, y = toy(256)
    source = torch.arange(256) // 32
    moved = (4 * torch.randn(8, generator=variants.drawn(10)))[source][:, None]
    data = loader((x * (0.4 + 0.3 * source)[:, None] + moved, y))
    net, _, options = told(mlp(), data, epochs=12)
    found = compare.diagnose(net, data, **options)
    assert found.findings[0].cause == "unmixed-batches"
    assert found.harmful


def test_inputs_are_found_scaled_twice_though_later_layers_have_learned_since():
    net = variants.convolutions()
    fit(net.train(), loader(variants.signals(256, 128.0, 40.0)), 12, loss=variants.MSE)
    for norm in norms(net):
        norm.momentum = 0.003
    x, y = variants.signals(256, 128.0, 40.0, 7)
    data = loader((x / 255, y))
    seen = {"loss": fit(net, data, 3, 0.002, loss=variants.MSE)}
    seen["evaluate_loss"] = evaluated(net, data, variants.MSE)
    found = compare.diagnose(net, data, loss=variants.MSE, reported=seen)
    assert found.findings[0].cause == "input-scale"
    assert found.findings[0].cure.code == "x = x * 255"


def test_logits_that_happen_to_be_between_0_and_1_are_told_by_the_loss():
    outputs, targets = torch.tensor([[0.2], [0.3], [0.9]]), torch.tensor([[1.0], [1.0], [0.0]])
    for measure, right in ((nn.BCEWithLogitsLoss(), 2 / 3), (nn.BCELoss(), 0.0)):
        assert accuracy(outputs, targets, measure(outputs, targets).item()) == pytest.approx(right)
