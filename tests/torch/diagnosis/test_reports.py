"""Each public report whose cause is known, made small: the cause that it had is the first finding.

The table names the thread of each; keras-team's and TensorFlow's own are in ``tests/keras/diagnosis``.
"""

import dataclasses

import numpy as np
import pytest

import compare
from compare.diagnosis.averages import by_layer
from compare.diagnosis.data import Data
from compare.diagnosis.passes import Passes
from tests.torch.diagnosis import figures, reports, stories
from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.test_causes import ask
from torch_impl.probing import Subject

HARMLESS = {"none", "dropout", "augmentation", "weights-moved", "aggregation", "objective"}
# other samples do harm where their labels are of others
OTHER_SAMPLES = {reports.a_few_steps_of_sorted_samples}
# thread -> what it came to, the causes that may be first
REPORTS = {
    "discuss.pytorch.org/t/7146": (stories.average_that_has_not_arrived, {"stale-statistics"}),
    "pytorch/vision#2079": (stories.frozen_backbone_has_drifted_without_a_gap, {"not-frozen"}),
    "kdexd/virtex#16": (stories.frozen_backbone_drifts, {"not-frozen"}),
    "open-mmlab/mmsegmentation#362": (reports.norm_eval_covers_the_backbone_only, {"none"}),
    "jfzhang95/pytorch-deeplab-xception#140": (reports.a_freeze_that_train_undoes, {"not-frozen"}),
    "Lightning-AI/pytorch-lightning#20179": (figures.one_metric_object_for_both, {"aggregation", "samples"}),
    "Lightning-AI/torchmetrics#597": (figures.last_batch_counts_as_a_whole_one, {"aggregation"}),
    "Lightning-AI/torchmetrics#597 (Dice)": (reports.dice_by_batch, {"aggregation"}),
    "Lightning-AI/pytorch-lightning#18813": (stories.dropout_left_on, {"random-evaluation"}),
    "Lightning-AI/pytorch-lightning#20216": (reports.evaluation_mode_stays_on_in_training, {"mode-override"}),
    "HuiZeng/Grid-Anchor-based-Image-Cropping#2": (
        reports.evaluation_mode_stays_on_in_training,
        {"mode-override"},
    ),
    "princeton-vl/pytorch_stacked_hourglass#44": (
        reports.validation_in_training_mode_learns_the_images,
        {"random-evaluation", "evaluation-changes-state", "mode-in-evaluation"},
    ),
    "Lightning-AI/pytorch-lightning#16827": (reports.validation_draws_random_numbers, {"none"}),
    "Lightning-AI/pytorch-lightning#21531": (
        reports.normalisation_trains_inside_a_frozen_backbone,
        {"none"},
    ),
    "pytorch/ignite#2590": (stories.average_without_buffers, {"other-weights"}),
    "pytorch/pytorch#26338": (stories.noise_that_never_stops, {"random-evaluation"}),
    "junyanz/pytorch-CycleGAN-and-pix2pix#1005": (reports.images_of_their_own_brightness, {"batch-noise"}),
    "junyanz/pytorch-CycleGAN-and-pix2pix#395": (stories.instances_with_a_memory, {"batch-noise"}),
    "facebookresearch/higher#55": (
        reports.buffers_of_a_functional_copy,
        {"other-weights", "stale-statistics"},
    ),
    "huggingface/transformers#37766": (figures.four_micro_batches, {"aggregation"}),
    "flairNLP/flair#670": (stories.much_dropout, {"dropout"}),
    "lxztju/pytorch_classification#9": (reports.smoothed_targets, {"objective"}),
    "ecs-vlc/FMix#28": (reports.mixup, {"augmentation"}),
    "pytorch/pytorch#181696": (reports.a_constant_input, {"none"}),
    "TissueImageAnalytics/tiatoolbox#896": (figures.nothing_of_the_file_fits, {"other-weights"}),
    "qubvel/segmentation_models#250": (
        reports.a_frozen_encoder_and_a_loss_of_the_whole_batch,
        {"foreign-statistics"},
    ),
    "qubvel/classification_models#4": (
        reports.the_other_preprocessing_of_a_pretrained_network,
        {"input-scale"},
    ),
    "qubvel/efficientnet#149": (reports.a_file_without_statistics, {"other-weights"}),
    "tensorflow/tensorflow#41980": (reports.one_layer_whose_variance_exploded, {"numerics"}),
    "keras-team/keras#3326": (reports.the_weights_follow_the_last_samples, {"weights-moved"}),
    "keras-team/keras#13212": (reports.labels_taken_in_one_pass_and_outputs_in_another, {"samples"}),
    "keras-team/keras#9646": (stories.infinite_variances, {"numerics"}),
    "keras-team/keras-core#338": (reports.variances_that_are_never_updated, {"stale-statistics"}),
    "tensorflow/tensorflow#25254": (reports.a_few_steps_of_sorted_samples, {"samples"}),
    "tensorflow/tensorflow#30109": (stories.one_layer_for_two_inputs, {"shared-layer"}),
    "keras-team/keras#15813": (figures.scaled_twice, {"input-scale"}),
    "keras-team/keras#14231": (figures.accuracy_of_the_wrong_kind, {"metric"}),
    "keras-team/keras#15373": (figures.weighted_samples, {"objective"}),
    "keras-team/keras#17385": (stories.augmentation_in_the_model, {"augmentation"}),
    "keras-team/keras#6839": (stories.momentum_of_the_other_framework, {"decay"}),
    "tensorflow/tensorflow#45568": (figures.sums_leave_half_precision, {"numerics"}),
    "stackoverflow.com/questions/73708667": (figures.evaluation_is_not_scaled, {"data-differ"}),
}


@pytest.mark.parametrize("thread", REPORTS)
def test_the_cause_that_the_thread_found_is_the_first(thread):
    story, causes = REPORTS[thread]
    found = ask(story)
    assert found.findings[0].cause in causes
    assert found.harmful == (not causes & HARMLESS and story not in OTHER_SAMPLES)


def test_what_a_frozen_backbone_does_is_told_layer_by_layer():
    """mmsegmentation#362: several policies in one network, each in its own row."""
    rows = {row.layer: row for row in ask(reports.norm_eval_covers_the_backbone_only).audit.rows}
    assert {row.fit for name, row in rows.items() if name.startswith("backbone")} == {"moving"}
    assert {(row.fit, row.moves) for name, row in rows.items() if name.startswith("head")} == {
        ("batch", True)
    }


def test_normalisation_that_trains_inside_a_frozen_backbone_is_told_layer_by_layer():
    """lightning#21531."""
    found = ask(reports.normalisation_trains_inside_a_frozen_backbone)
    rows = [row for row in found.audit.rows if row.role == "normalisation"]
    assert [(row.trains, row.fit, row.moves) for row in rows] == [(True, "batch", True)] * 2
    frozen = ask(stories.frozen_backbone_drifts)
    assert not any(row.trains for row in frozen.audit.rows)


def test_a_mean_of_small_batches_variances_is_not_the_populations():
    """timgaripov/swa#8: the two differ by the variance of the batches' means, layer by layer."""
    net, data, _ = reports.batches_of_two()
    subject = Subject(net, loss=CE)
    passes = Passes(subject, Data(data, "data", None, None), 320)
    subject.layers(list(passes)[:2])
    with subject.kept():
        pooled, _ = subject.population(list(passes))
        seen = subject.run(passes, frozenset({"normalisation"}), collect=True).seen
    first = next(iter(pooled))
    between = seen[first].between
    biased = by_layer(seen)[first][1] / 2  # PyTorch stores n / (n - 1) of what it normalises with, here twice
    np.testing.assert_allclose(pooled[first][1], biased + between, rtol=0.1)
    assert np.median(biased / pooled[first][1]) < 0.7


def test_a_figure_outside_all_that_the_batches_gave_is_of_other_weights():
    model, data, options = figures.weights_move()
    with compare.torch.watch(model) as seen:
        for x, y in data:
            seen(CE(model(x), y), len(y))
    told = seen.reported({"loss": 3 * max(seen.losses)})
    found = compare.diagnose(model, data, loss=options["loss"], reported=told)
    assert found.findings[0].cause == "other-weights"
    fine = dataclasses.replace(told, fit={"loss": seen.figures["loss"]})
    assert not compare.diagnose(model, data, loss=options["loss"], reported=fine).harmful
