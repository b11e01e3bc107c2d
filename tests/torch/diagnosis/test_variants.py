"""The same causes in other networks and with other losses: first finding right, and no harm that isn't there."""

import pytest

from tests.torch.diagnosis import variants
from tests.torch.diagnosis.test_causes import ask

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
