"""Each public report whose cause is known, made small: the cause that it had is the first finding.

The table names the thread of each; PyTorch's and its trainers' own are in ``tests/torch/diagnosis``.
"""

from functools import cache

import keras
import numpy as np
import pytest
from keras import layers

import compare
from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis import reports, stories, toys, variants
from tests.keras.diagnosis.pasting import paste_all

# thread -> the story that makes it small
THREADS = {
    "keras-team/keras#15813": "inputs_scaled_twice",
    "tensorflow/tpu#567": "few_steps_under_a_long_decay",
    "tensorflow/tensorflow#30109": "one_normalisation_for_every_time_step",
    "keras-team/keras#14231": "a_metric_for_other_labels",
    "tensorflow/tensorflow#41980": "one_variance_that_exploded",
    "tensorflow/tensorflow#36006": "parts_of_a_loss_with_a_penalty",
    "keras-team/keras#13838": "a_penalty_that_evaluation_leaves_out",
    "tensorflow/tensorflow#45568": "losses_in_half_precision",
    "tensorflow/tensorflow#33771": "statistics_that_move_in_evaluation",
    "keras-team/keras-io#959": "a_step_that_forgets_the_mode",
    "keras-team/keras#15373": "weights_of_classes",
    "keras-team/keras#5616": "balanced_weights_of_three_classes",
    "tensorflow/tensorflow#25254": "a_few_steps_of_sorted_samples",
    "keras-team/keras#16526": "an_evaluation_inside_the_epoch",
    "keras-team/keras-core#338": "variances_that_are_never_updated",
    "keras-team/tf-keras#379": "a_variance_that_is_no_number",
    "stackoverflow.com/questions/73708667": "validation_inputs_without_the_scaling",
    "keras-team/keras#13212": "labels_of_another_pass",
    "keras-team/keras#17385": "augmentation_in_the_model",
    "keras-team/keras#17385 (in both pipelines)": "augmentation_in_both_pipelines",
    "qubvel/efficientnet#149": "only_what_trains_was_saved",
    "keras-team/keras#8421": "accuracy_that_is_a_sum",
    "keras-team/keras#22512": "inputs_far_off_zero",
    "keras-team/keras#6839": "the_other_frameworks_decay",
    "qubvel/segmentation_models#250": "foreign_masks_by_a_loss_of_the_whole_batch",
    "keras-team/keras#3326": "weights_that_follow_the_last_samples",
    "keras-team/autokeras#1524": "augmentation_in_the_model",
    "kdexd/virtex#16": "frozen_weights_and_moving_statistics",
    "pytorch/pytorch#26338": "dropout_in_evaluation",
    "Lightning-AI/torchmetrics#597": "means_of_batches_whose_last_is_small",
}
# other samples do no harm, but where their labels are of others
LABELS_PART = {"labels_of_another_pass"}
STORIES = reports.REPORTS | stories.STORIES | {story.__name__: story for story in variants.VARIANTS}


@cache
def told(name):
    if name in stories.STORIES:
        model, data, _, causes, diagnosis = stories.told(name)
        return model, data, diagnosis, causes
    keras.utils.set_random_seed(7)
    model, data, options, causes = STORIES[name]()
    return model, data, diagnose(model, data, **options), causes


def found(name):
    return told(name)[2:]


# those of `stories` and `variants` have their tests beside them
@pytest.mark.parametrize("thread", [name for name in THREADS if THREADS[name] in reports.REPORTS])
def test_the_cause_that_the_thread_found_is_the_first_and_its_cure_runs(thread, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, data, diagnosis, causes = told(THREADS[thread])
    assert diagnosis.findings[0].cause in causes
    harmful = causes[0] not in stories.HARMLESS or THREADS[thread] in LABELS_PART
    assert diagnosis.harmful == harmful
    assert diagnosis.probes.restored == "same"
    total = sum(term.value for term in diagnosis.terms)
    assert np.isclose(total, diagnosis.gap, rtol=1e-6, atol=1e-9)
    assert paste_all(diagnosis, model, data, tmp_path) > 0 or not diagnosis.harmful


def test_every_thread_has_a_story_and_every_report_a_thread():
    assert set(THREADS.values()) <= set(STORIES)
    assert set(reports.REPORTS) - set(THREADS.values()) == {"rare_samples_drawn_more_often"}


def test_samples_drawn_more_often_are_told_from_weights_by_the_accuracy():
    drawn, weighted = found("rare_samples_drawn_more_often")[0], found("balanced_weights_of_three_classes")[0]
    assert drawn.findings[0].cause == "samples"
    assert weighted.findings[0].cause == "objective"
    assert not drawn.harmful


def test_an_average_that_was_reset_in_mid_epoch_is_told_by_its_batches():
    """keras#16526: the figure is that of the last five of ten batches, and of an evaluation."""
    diagnosis, _ = found("an_evaluation_inside_the_epoch")
    finding = next(finding for finding in diagnosis.findings if finding.cause == "aggregation")
    assert "the last 5 of 10 batches and an evaluation" in finding.evidence
    assert not finding.harmful


def test_a_layer_called_for_every_time_step_is_told_without_data():
    """keras#16239: an audit line, and no gap claimed."""
    model = keras.Sequential(
        [keras.Input((3, 5)), layers.TimeDistributed(toys.BN()), layers.Flatten(), toys.Dense(2)]
    )
    audit = compare.audit(model)
    assert [row.calls for row in audit.rows] == [3]
    assert not audit.findings
    plain = keras.Sequential([keras.Input((3, 5)), toys.BN(), layers.Flatten(), toys.Dense(2)])
    assert [row.calls for row in compare.audit(plain).rows] == [1]


def test_an_auc_is_the_one_that_evaluate_returns():
    """keras#19934: the progress bar's is an average over batches, and isn't it."""
    keras.utils.set_random_seed(7)
    x, y = toys.toy(150, classes=2)
    model = toys.net(toys.Dense(8, "relu"), classes=1)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=[keras.metrics.AUC(from_logits=True, name="auc")], jit_compile=False)
    model.fit(x, y, epochs=2, verbose=0)
    returned = model.evaluate(x, y, verbose=0, return_dict=True)["auc"]
    assert np.isclose(diagnose(model, (x, y)).measured["evaluate_auc"], returned, rtol=1e-6)
    parts = [model.evaluate(x[i : i + 32], y[i : i + 32], verbose=0)[1] for i in range(0, 150, 32)]
    assert not np.isclose(np.mean(parts), returned, rtol=1e-4)


def test_what_xla_makes_of_a_model_is_what_evaluate_is_measured_by():
    """keras#22512: the same weights evaluate otherwise without XLA, and normalisation isn't to blame."""
    diagnosis, _ = found("inputs_far_off_zero")
    said = diagnosis.reported["evaluate_loss"]
    assert np.isclose(diagnosis.measured["evaluate_loss"], said, rtol=1e-6)
    assert "jit_compile" in diagnosis.findings[0].evidence
    assert "deviations off 0" in diagnosis.findings[0].evidence
    assert any(term.term == "numerics" and term.value for term in diagnosis.terms)


@pytest.mark.parametrize(("compiled", "far"), [(False, 1e4), (True, 0.0)], ids=["no XLA", "near 0"])
def test_without_xla_or_with_inputs_near_zero_no_outputs_differ(compiled, far):
    keras.utils.set_random_seed(7)
    model, data, options, _ = reports.inputs_far_off_zero(compiled, far)
    assert not any(finding.cause == "numerics" for finding in diagnose(model, data, **options).findings)
