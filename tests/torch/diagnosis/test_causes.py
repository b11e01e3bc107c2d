"""Each cause that people meet is the first finding of a small case of its kind, with the right exit code."""

import math
from functools import cache

import pytest

import compare
from compare.diagnosis.show import words
from compare.words import plain
from tests.torch.diagnosis import figures, stories

NO_HARM = {"stale-statistics", "foreign-statistics", "decay", "batch-noise", "unmixed-batches", "not-frozen"}
# story -> (causes that may be first, what must not be called harmful)
HARMFUL = {
    stories.average_that_has_not_arrived: (
        {"stale-statistics"},
        {"foreign-statistics", "batch-noise", "input-scale"},
    ),
    stories.statistics_never_updated: ({"stale-statistics"}, {"batch-noise", "other-weights"}),
    stories.statistics_of_another_data_set: ({"foreign-statistics"}, {"stale-statistics", "batch-noise"}),
    figures.batches_of_one_image: ({"batch-noise"}, {"unmixed-batches", "decay"}),
    stories.batches_of_one_source_each: ({"unmixed-batches"}, {"batch-noise", "stale-statistics", "decay"}),
    stories.momentum_of_the_other_framework: ({"decay"}, {"foreign-statistics", "unmixed-batches"}),
    stories.one_layer_for_two_inputs: ({"shared-layer"}, {"stale-statistics", "batch-noise"}),
    stories.frozen_backbone_drifts: ({"not-frozen"}, {"batch-noise", "data-differ"}),
    stories.frozen_backbone_has_drifted_without_a_gap: ({"not-frozen"}, {"stale-statistics"}),
    stories.train_forgets_its_argument: ({"mode-override"}, {"stale-statistics"}),
    stories.call_says_training: ({"mode-override"}, {"stale-statistics", "random-evaluation"}),
    stories.evaluated_in_training_mode: ({"mode-in-evaluation"}, {"dropout", "other-weights"}),
    stories.dropout_left_on: ({"random-evaluation"}, {"dropout", "evaluation-changes-state"}),
    stories.batch_statistics_of_sorted_samples: ({"mode-in-evaluation"}, {"stale-statistics", "samples"}),
    stories.noise_that_never_stops: ({"random-evaluation"}, {"dropout", "evaluation-changes-state"}),
    stories.average_without_buffers: ({"other-weights"}, {"stale-statistics", "foreign-statistics"}),
    stories.broken_statistics: ({"numerics"}, {"stale-statistics", "foreign-statistics"}),
    stories.infinite_variances: ({"numerics"}, {"stale-statistics", "batch-noise"}),
    stories.instances_with_a_memory: ({"batch-noise"}, {"stale-statistics"}),
    figures.threshold_of_logits: ({"metric"}, {"aggregation"}),
    figures.accuracy_of_the_wrong_kind: ({"metric"}, {"other-weights"}),
    figures.scaled_twice: ({"input-scale"}, {"batch-noise", "foreign-statistics"}),
    figures.evaluation_is_not_scaled: ({"data-differ"}, NO_HARM),
    figures.evaluation_has_the_channels_in_the_other_order: ({"data-differ"}, NO_HARM),
    figures.labels_of_another_order: ({"samples"}, NO_HARM),
    figures.labels_taken_in_another_pass: ({"samples"}, NO_HARM),
    figures.nothing_of_the_file_fits: ({"other-weights"}, {"stale-statistics", "weights-moved"}),
    figures.part_of_the_file_fits: ({"other-weights"}, {"stale-statistics"}),
    figures.sums_leave_half_precision: ({"numerics"}, {"stale-statistics"}),
}
HARMLESS = {
    stories.healthy: {"none"},
    stories.nothing_acts: {"none"},
    stories.frozen_backbone_in_evaluation_mode: {"none"},
    stories.batch_statistics_on_purpose: {"none"},
    stories.noise_in_training: {"dropout", "none"},
    stories.much_dropout: {"dropout"},
    stories.augmentation_in_the_model: {"augmentation"},
    stories.augmentation_in_the_data: {"augmentation"},
    figures.weights_move: {"weights-moved"},
    figures.last_batch_counts_as_a_whole_one: {"aggregation"},
    figures.four_micro_batches: {"aggregation"},
    figures.one_metric_object_for_both: {"aggregation", "samples"},
    figures.smoothing_in_training: {"objective"},
    figures.weighted_samples: {"objective"},
    figures.held_out_samples: {"samples"},
}


@cache
def ask(story):
    model, data, options = story()
    found = compare.diagnose(model, data, **options)
    assert found.probes.restored == "same"
    total = sum(term.value for term in found.terms)
    assert math.isclose(total, found.gap, rel_tol=1e-6, abs_tol=1e-6) or math.isnan(found.gap)
    return found


@pytest.mark.parametrize("story", HARMFUL, ids=lambda story: story.__name__)
def test_a_harmful_cause_is_first(story):
    first, never = HARMFUL[story]
    found = ask(story)
    assert found.findings[0].cause in first
    assert found.findings[0].harmful
    assert found.findings[0].evidence
    assert found.findings[0].cure.text
    assert not {finding.cause for finding in found.findings if finding.harmful} & never


@pytest.mark.parametrize("story", HARMLESS, ids=lambda story: story.__name__)
def test_what_is_harmless_is_named_and_not_called_harmful(story):
    found = ask(story)
    assert found.findings[0].cause in HARMLESS[story]
    assert not found.harmful


def test_a_cause_that_costs_most_explains_most():
    for story in (
        stories.average_that_has_not_arrived,
        stories.one_layer_for_two_inputs,
        figures.scaled_twice,
    ):
        found = ask(story)
        assert found.findings[0].value > 0.8 * found.gap


def test_a_model_in_which_nothing_acts_is_told_so_in_one_sentence():
    found = ask(stories.nothing_acts)
    assert found.findings[0].evidence.startswith("Nothing in this model acts differently")
    assert found.findings[0].evidence.count(". ") == 0
    assert plain(words.answer(found, figures=False)).count(".") == 1


def test_batch_statistics_on_purpose_are_said_and_no_harm():
    found = ask(stories.batch_statistics_on_purpose)
    assert "1, 4 normalises with the batch's own statistics in evaluation, too" in found.findings[0].evidence
    assert found.probes.alone_and_in_batch == "differs"
