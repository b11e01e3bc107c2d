"""Keras programs as people write them, each beside one that is nearly the same and has another answer."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import compare
from tests.keras.diagnosis.toys import BN, Dense, compiled, fitted, net, normed, toy


def causes(found):
    return [finding.cause for finding in found.findings]


@pytest.mark.parametrize("stateful", [True, False])
def test_a_recurrent_layer_that_goes_on_from_its_last_state_makes_an_evaluation_change_the_next(stateful):
    x = np.random.default_rng(0).normal(size=(64, 6, 4)).astype("float32")
    y = (x[:, :, 0].sum(1) > 0).astype("int64")
    recurrent = layers.GRU(8, stateful=stateful, name="gru")
    model = compiled(keras.Sequential([keras.Input(batch_shape=(32, 6, 4)), recurrent, Dense(2)]))
    model.fit(x, y, batch_size=32, epochs=3, verbose=0, shuffle=False)
    found = compare.diagnose(model, (x, y), batch_size=32)
    assert found.harmful == stateful
    assert (causes(found)[0] == "evaluation-changes-state") == stateful
    assert found.probes.restored == "same"
    if stateful:
        assert "gru.states" in found.findings[0].evidence
        exec(found.findings[0].cure.code, {"model": model})
        assert not np.any([ops.convert_to_numpy(state) for state in recurrent.states])


class SaysFalse(keras.Model):
    """Calls what it normalises with by the statistics that are stored, in fit too."""

    def __init__(self):
        super().__init__()
        self.hidden, self.norm, self.out = Dense(16), BN(momentum=0.9, name="norm"), Dense(3)

    def call(self, x, training=None):
        return self.out(ops.relu(self.norm(self.hidden(x), training=False)))


@pytest.mark.parametrize("pretrained", [True, False])
def test_training_false_in_a_call_is_meant_where_statistics_are_anothers_and_not_where_they_are_as_made(
    pretrained,
):
    x, y = toy()
    model = compiled(SaysFalse())
    history = model.fit(x, y, epochs=12, verbose=0)
    if pretrained:
        model.norm.moving_mean.assign(np.linspace(-0.1, 0.1, 16))
    found = compare.diagnose(model, (x, y), reported=None if pretrained else history)
    assert found.harmful != pretrained
    if not pretrained:
        first = found.findings[0]
        assert (first.cause, first.layers) == ("mode-override", ("norm",))
        assert "its call in says_false" in first.evidence
        assert "says training=False, in fit too" in first.evidence


def test_dropout_that_a_graph_asks_for_in_evaluation_too_is_missed_there_however_small_the_losses_are():
    """Evaluation's loss is half of training's, and both are small beside an untrained network's."""
    x, y = toy()
    inputs = keras.Input((8,))
    hidden = layers.Dropout(0.5)(Dense(32, "relu")(inputs), training=True)
    model = compiled(keras.Model(inputs, Dense(3)(hidden)))
    found = compare.diagnose(model, (x, y), reported=fitted(model, x, y, 20))
    assert found.measured["fit_loss"] > 1.3 * found.measured["evaluate_loss"]
    assert causes(found)[0] == "mode-override"
    assert "overridden by evaluate" in found.findings[0].evidence


def test_smoothed_targets_are_named_before_one_of_many_weights_that_comes_near_by_chance():
    x, y = toy()
    one_hot = keras.utils.to_categorical(y, 3)
    model = compiled(
        net(Dense(16, "relu")), 0.05, keras.losses.CategoricalCrossentropy(True, label_smoothing=0.2)
    )
    said = fitted(model, x, one_hot, 30, 64).history
    compiled(model, loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    loss, accuracy = model.evaluate(x, one_hot, verbose=0)
    reported = {"loss": said["loss"][-1], "accuracy": said["accuracy"][-1]}
    reported |= {"evaluate_loss": loss, "evaluate_accuracy": accuracy}
    found = compare.diagnose(model, (x, one_hot), reported=reported, batch_size=64)
    assert causes(found)[0] == "objective"
    assert "smoothed by 0.2" in found.findings[0].evidence


@pytest.mark.parametrize("asked", ["afterwards", "in training"])
def test_figures_are_those_of_the_epoch_whose_weights_an_early_stop_restored(asked):
    """Against the last epoch's training loss the best epoch's weights would have a gap of their own."""
    x, y = toy(192)
    other, labels = toy(96, seed=4)
    y = np.where(np.random.default_rng(0).random(192) < 0.2, (y + 1) % 3, y)
    model = compiled(net(Dense(64, "relu"), Dense(64, "relu")))
    stop = keras.callbacks.EarlyStopping(patience=6, restore_best_weights=True)
    own = compare.keras.Diagnose((x, y), evaluate_data=(other, labels), verbose=False)
    callbacks = [stop, own] if asked == "in training" else [stop]
    history = model.fit(x, y, epochs=40, validation_data=(other, labels), verbose=0, callbacks=callbacks)
    found = own.diagnosis
    if asked == "afterwards":
        found = compare.diagnose(model, (x, y), evaluate_data=(other, labels), reported=history)
    best = int(np.argmin(history.history["val_loss"]))
    assert best < len(history.epoch) - 4
    assert found.reported["loss"] == history.history["loss"][best]
    assert found.gap == pytest.approx(history.history["val_loss"][best] - history.history["loss"][best])
    assert any(f"epoch {best + 1}, and not the last one's" in note for note in found.notes)
    assert not found.harmful


@pytest.mark.parametrize("order", [[1, 2, 0], [0, 1, 2]])
def test_classes_that_validation_numbers_otherwise_are_told_by_what_the_network_takes_them_for(order):
    x, y = toy()
    other, labels = toy(120, seed=4)
    model = compiled(net(Dense(32, "relu")))
    fitted(model, x, y, 15)
    evaluated = (other, np.argsort(order)[labels])
    found = compare.diagnose(model, (x, y), evaluate_data=evaluated)
    assert found.harmful == (order != [0, 1, 2])
    if found.harmful:
        first = found.findings[0]
        assert (first.cause, first.cure.text[:18]) == ("samples", "Number the classes")
        names = {"np": np, "y": evaluated[1]}
        exec(first.cure.code, names)
        assert np.array_equal(names["y"], labels)


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_fifteen_batches_of_a_class_each_are_unmixed_though_the_classes_lie_near_one_another(order):
    keras.utils.set_random_seed(11)
    x, y = toy(240)
    places = np.argsort(y, kind="stable") if order == "sorted" else np.arange(240)
    x, y = x[places], y[places]
    model = compiled(net(*normed(0.9)))
    history = model.fit(x, y, batch_size=16, epochs=20, shuffle=False, verbose=0)
    batches = [(x[start : start + 16], y[start : start + 16]) for start in range(0, 240, 16)]
    found = compare.diagnose(model, batches, reported=history)
    assert ("unmixed-batches" in causes(found)) == (order == "sorted")


def test_a_file_that_isnt_compiled_is_refused_with_the_ways_out():
    with pytest.raises(ValueError, match=r"isn't compiled: give loss, or FILE\.py:NAME"):
        compare.diagnose(net(Dense(4)), toy(32))


@pytest.mark.parametrize(("metric", "harmful"), [("categorical_accuracy", True), ("binary_accuracy", False)])
def test_an_accuracy_of_one_class_a_sample_is_another_metric_where_several_are_right_at_once(metric, harmful):
    x, _ = toy()
    y = (x[:, :4] > 0.8).astype("float32")
    model = net(Dense(24, "relu"), classes=4)
    compiled(model, loss=keras.losses.BinaryCrossentropy(from_logits=True), metrics=[metric])
    if metric == "binary_accuracy":
        compiled(model, loss=model.loss, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)])
    found = compare.diagnose(model, (x, y), reported=fitted(model, x, y, 15))
    assert found.harmful == harmful
    assert (causes(found)[0] == "metric") == harmful
