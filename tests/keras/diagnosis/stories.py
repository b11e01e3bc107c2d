"""What people meet, as small models that show it: name -> (model, data, options of `compare.diagnose`, causes).

The causes are those that may come first; where the first of them is harmful the diagnosis must be, too.
"""

from functools import cache

import keras
import numpy as np
from keras import layers, ops

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis.toys import (
    BN,
    AlwaysNoisy,
    AlwaysTraining,
    Batches,
    Dense,
    Forgetful,
    OwnStep,
    Smoothed,
    compiled,
    fitted,
    net,
    normed,
    toy,
)  # fmt: skip


def healthy():
    x, y = toy()
    model = compiled(net(*normed(0.9)))
    history = fitted(model, x, y, 20)
    return model, (x, y), {"reported": history}, ["none"]


def few_steps_under_a_long_decay():
    x, y = toy(shift=3, scale=2)
    model = compiled(net(*normed(0.999)))
    return model, (x, y), {"reported": fitted(model, x, y)}, ["stale-statistics"]


def statistics_of_another_data_set():
    x, y = toy()
    model = compiled(net(*normed(0.9)))
    fitted(model, x, y, 20)
    for layer in model.layers:
        if isinstance(layer, BN):
            layer.momentum = 1.0
    x, y = toy(shift=4, seed=1)
    compiled(model, 0.003)
    return model, (x, y), {"reported": fitted(model, x, y)}, ["foreign-statistics", "not-frozen"]


def batches_of_four():
    """Always the same four together, so that the network learns them by their neighbours."""
    x, y = toy(96)
    model = compiled(net(*normed(0.95, width=48)), 0.005)
    history = fitted(model, x, y, 40, 4, shuffle=False)
    return model, (x, y), {"reported": history, "batch_size": 4}, ["batch-noise"]


def batches_of_a_class_each():
    x, y = toy(240, scale=1.5)
    order = np.argsort(y, kind="stable")
    x, y = x[order], y[order]
    model = compiled(net(*normed(0.9)))
    history = fitted(model, x, y, 25, 24, shuffle=False)
    return model, (x, y), {"reported": history, "batch_size": 24}, ["unmixed-batches"]


def the_other_frameworks_decay():
    x, y = toy(206, 12, shift=2, scale=2)
    model = compiled(net(*normed(0.1), width=12))
    history = fitted(model, x, y, 40, 50, shuffle=False)  # the last batch has 6 samples
    return model, (x, y), {"reported": history, "batch_size": 50}, ["decay"]


def one_normalisation_for_every_time_step():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(192, 4, 6)) + 4 * np.arange(4)[:, None]
    y = (x[:, 0, 0] * x[:, 1, 1] > 0).astype("int64")
    middle = [layers.TimeDistributed(BN(momentum=0.9)), layers.Flatten(), Dense(24, "relu")]
    model = compiled(keras.Sequential([keras.Input((4, 6)), *middle, Dense(2)]))
    return model, (x.astype("float32"), y), {"reported": fitted(model, x, y, 30)}, ["shared-layer"]


def a_graph_whose_mode_fit_overrides():
    x, y = toy()
    base = keras.Sequential([keras.Input((8,)), *normed(0.99)], name="base")
    inputs = keras.Input((8,))
    pretrained = compiled(keras.Model(inputs, Dense(3)(base(inputs))))
    fitted(pretrained, x, y, 40)
    model = compiled(keras.Model(inputs, Dense(3)(base(inputs, training=False))), 0.003)
    x, y = toy(shift=4, seed=1)
    return model, (x, y), {"reported": fitted(model, x, y, 3)}, ["mode-override"]


def a_call_that_passes_no_mode_on():
    x, y = toy()
    model = compiled(Forgetful())
    return model, (x, y), {"reported": fitted(model, x, y)}, ["mode-override"]


def dropout_in_evaluation():
    x, y = toy()
    model = compiled(AlwaysNoisy())
    return model, (x, y), {"reported": fitted(model, x, y)}, ["random-evaluation", "mode-override"]


def statistics_that_move_in_evaluation():
    x, y = toy()
    model = compiled(AlwaysTraining())
    causes = ["evaluation-changes-state", "mode-override"]
    return model, (x, y), {"reported": fitted(model, x, y)}, causes


def dropout():
    x, y = toy()
    model = compiled(net(Dense(32, "relu"), layers.Dropout(0.5)))
    return model, (x, y), {"reported": fitted(model, x, y, 20)}, ["dropout", "none"]


def augmentation_in_the_model():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 8, 8, 1)).astype("float32")
    y = rng.integers(0, 2, 128)
    x[y == 1, :, :4] += 1
    middle = [layers.RandomFlip("horizontal", seed=1), layers.Flatten(), Dense(16, "relu")]
    model = compiled(keras.Sequential([keras.Input((8, 8, 1)), *middle, Dense(2)]))
    return model, (x, y), {"reported": fitted(model, x, y, 10)}, ["augmentation", "none"]


def weights_that_moved():
    x, y = toy()
    model = compiled(net(Dense(32, "relu")), 0.02)
    history = model.fit(x, y, epochs=1, batch_size=16, verbose=0)
    return model, (x, y), {"reported": history}, ["weights-moved", "none"]


def weighted_samples():
    x, y = toy()
    weights = np.where(y == 0, 0.05, 1.0).astype("float32")
    model = compiled(net(Dense(24, "relu")))
    history = fitted(model, x, y, 3, sample_weight=weights)
    return model, (x, y, weights), {"reported": history, "evaluate_data": (x, y)}, ["objective"]


def a_loss_with_one_more_part_in_training():
    x, y = toy()
    model = compiled(Smoothed())
    return model, (x, y), {"reported": fitted(model, x, y, 10)}, ["objective"]


def a_metric_for_other_labels():
    x, y = toy()
    model = compiled(net(Dense(24, "relu")), metrics=["sparse_categorical_accuracy"])
    history = fitted(model, x, y, 10)
    loss, accuracy = model.evaluate(x, y, verbose=0)
    said = {
        "loss": history.history["loss"][-1],
        "accuracy": history.history["sparse_categorical_accuracy"][-1],
    }
    wrong = float((y == 0).mean())  # categorical, on whole labels
    model = _recompiled(model, [keras.metrics.CategoricalAccuracy(name="accuracy")])
    del accuracy
    return (
        model,
        (x, y),
        {"reported": {**said, "evaluate_loss": loss, "evaluate_accuracy": wrong}},
        ["metric"],
    )


def inputs_scaled_twice():
    x, y = toy(shift=128, scale=30)
    model = compiled(net(layers.Rescaling(1 / 255), *normed(0.9)))
    fitted(model, x, y, 20)
    for layer in model.layers:
        if isinstance(layer, BN):
            layer.momentum = 0.99
    compiled(model, 0.001)
    x = x / 255
    return model, (x, y), {"reported": fitted(model, x, y, 1)}, ["input-scale"]


def evaluation_without_the_preprocessing():
    x, y = toy(shift=100, scale=50)
    model = compiled(net(Dense(24, "relu")))
    history = fitted(model, x / 255, y, 20)
    options = {"reported": history, "evaluate_data": (x, y)}
    return model, (x / 255, y), options, ["data-differ", "input-scale"]


def other_samples():
    x, y = toy(300)
    order = np.argsort(y, kind="stable")
    model = compiled(net(Dense(24, "relu")))
    some = np.concatenate([np.repeat(np.flatnonzero(y == 0), 5), np.flatnonzero(y != 0)[:20]])
    history = fitted(model, x[some], y[some], 3)
    options = {"reported": history, "evaluate_data": (x[order], y[order])}
    return model, (x[some], y[some]), options, ["samples"]


def weights_that_were_never_loaded():
    x, y = toy()
    make = lambda: compiled(net(*normed(0.9)))  # noqa: E731
    history = fitted(make(), x, y, 20)
    return make(), (x, y), {"reported": history}, ["other-weights"]


def averaged_weights():
    x, y = toy()
    model = net(Dense(24, "relu"))
    optimizer = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.999)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    history = model.fit(x, y, epochs=12, verbose=0)
    return model, (x, y), {"reported": history}, ["other-weights"]


def a_variance_that_is_no_number():
    x, y = toy()
    model = compiled(net(*normed(0.9)))
    history = fitted(model, x, y, 10)
    layer = next(layer for layer in model.layers if isinstance(layer, BN))
    layer.moving_variance.assign(np.r_[np.nan, np.ones(23)].astype("float32"))
    return model, (x, y), {"reported": history}, ["numerics"]


def batch_renormalisation_under_a_long_decay():
    x, y = toy(shift=3, scale=2)
    norm = BN(momentum=0.999, renorm=True, renorm_clipping={"rmax": 3.0, "rmin": 0.3, "dmax": 5.0})
    model = compiled(net(Dense(24), norm, layers.ReLU()))
    return model, (x, y), {"reported": fitted(model, x, y, 10)}, ["stale-statistics"]


def frozen_after_compile():
    x, y = toy()
    base = keras.Sequential([keras.Input((8,)), *normed(0.9, 1)], name="base")
    model = compiled(keras.Sequential([keras.Input((8,)), base, Dense(3)]))
    fitted(model, x, y, 10)
    base.trainable = False  # fit doesn't know: it goes on as it was compiled
    x, y = toy(shift=3, seed=2)
    history = model.fit(x, y, epochs=1, verbose=0)
    return model, (x, y), {"reported": history}, ["mode-override", "not-frozen"]


def a_step_that_forgets_the_mode():
    x, y = toy()
    model = compiled(OwnStep())
    data = Batches(x, y)
    model.fit(data, epochs=6, verbose=0)
    return model, data, {}, ["mode-override"]


def losses_in_half_precision():
    rng = np.random.default_rng(0)
    x, mask = rng.normal(size=(4, 200, 200, 1)).astype("float32"), np.ones((4, 200, 200, 1), "float32")

    def dice(y, p):
        y, p = ops.cast(y, "float16"), ops.cast(p, "float16")
        return 1 - 2 * ops.sum(y * p) / (ops.sum(y) + ops.sum(p))

    model = keras.Sequential([keras.Input((200, 200, 1)), layers.Conv2D(1, 1, activation="sigmoid")])
    model.compile("sgd", dice, jit_compile=False)
    return model, (x, mask), {"batch_size": 4}, ["numerics"]


def _recompiled(model, metrics):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.001), loss, metrics=metrics, jit_compile=False)
    return model


HARMLESS = {"none", "dropout", "augmentation", "weights-moved", "aggregation", "objective", "samples"}
STORIES = {
    story.__name__: story
    for story in (
        healthy, few_steps_under_a_long_decay, statistics_of_another_data_set, batches_of_four, batches_of_a_class_each,
        the_other_frameworks_decay, one_normalisation_for_every_time_step, a_graph_whose_mode_fit_overrides,
        a_call_that_passes_no_mode_on, dropout_in_evaluation, statistics_that_move_in_evaluation, dropout,
        augmentation_in_the_model, weights_that_moved, weighted_samples, a_loss_with_one_more_part_in_training,
        a_metric_for_other_labels, inputs_scaled_twice, evaluation_without_the_preprocessing, other_samples,
        weights_that_were_never_loaded, averaged_weights, a_variance_that_is_no_number,
        batch_renormalisation_under_a_long_decay, frozen_after_compile, a_step_that_forgets_the_mode,
        losses_in_half_precision,
    )
}  # fmt: skip


@cache
def told(name):
    """Build and fit a story's model, and diagnose it, once for all tests: model, data, options, causes, diagnosis.

    Who changes the model may have no other test look at it.
    """
    keras.utils.set_random_seed(7)
    model, data, options, causes = STORIES[name]()
    return model, data, options, causes, diagnose(model, data, **options)
