"""What people meet, as small models that show it: name -> (model, data, options of `compare.diagnose`, causes).

The causes are those that may come first; where the first of them is harmful the diagnosis must be, too.
"""

from functools import cache

import keras
import numpy as np
from keras import layers, ops

BN = layers.BatchNormalization
Dense = layers.Dense


def toy(samples=256, width=8, classes=3, shift=0.0, scale=1.0, seed=0):
    """Normal inputs whose label a linear map decides."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(samples, width))
    y = (z @ np.random.default_rng(99).normal(size=(width, classes))).argmax(1)
    return (shift + scale * z).astype("float32"), y


def net(*middle, width=8, classes=3):
    return keras.Sequential([keras.Input((width,)), *middle, Dense(classes)])


def normed(momentum=0.9, count=2, width=24):
    parts = []
    for _ in range(count):
        parts += [Dense(width, use_bias=False), BN(momentum=momentum), layers.ReLU()]
    return parts


def compiled(model, rate=0.01, loss=None, metrics=("accuracy",), **options):
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=list(metrics), jit_compile=False, **options)
    return model


def fitted(model, x, y, epochs=6, batch_size=32, settle=True, **options):
    """Fit, and report what the last epoch said; it has a rate so low that the weights stay."""
    model.fit(x, y, epochs=epochs, batch_size=batch_size, verbose=0, **options)
    if settle:
        model.optimizer.learning_rate = 1e-6
    return model.fit(x, y, epochs=1, batch_size=batch_size, verbose=0, **options)


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


class Forgetful(keras.Model):
    def __init__(self):
        super().__init__()
        self.body, self.drop, self.out = [*normed(0.9)], layers.Dropout(0.5), Dense(3)

    def call(self, x):
        for layer in self.body:
            x = layer(x)
        return self.out(self.drop(x))


def a_call_that_passes_no_mode_on():
    x, y = toy()
    model = compiled(Forgetful())
    return model, (x, y), {"reported": fitted(model, x, y)}, ["mode-override"]


class AlwaysNoisy(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.drop, self.out = Dense(24, "relu"), layers.Dropout(0.5), Dense(3)

    def call(self, x, training=None):
        return self.out(self.drop(self.hidden(x), training=True))


def dropout_in_evaluation():
    x, y = toy()
    model = compiled(AlwaysNoisy())
    return model, (x, y), {"reported": fitted(model, x, y)}, ["random-evaluation", "mode-in-evaluation"]


class AlwaysTraining(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.bn, self.out = Dense(24), BN(momentum=0.9), Dense(3)

    def call(self, x, training=None):
        return self.out(ops.relu(self.bn(self.hidden(x), training=True)))


def statistics_that_move_in_evaluation():
    x, y = toy()
    model = compiled(AlwaysTraining())
    causes = ["evaluation-changes-state", "mode-in-evaluation"]
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


class Smoothed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = Dense(24, "relu"), Dense(3)

    def call(self, x):
        return self.out(self.hidden(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + 0.5 * ops.mean(ops.square(y_pred)) if training else loss


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
    )
}  # fmt: skip


@cache
def told(name):
    """Build and fit a story's model, once."""
    keras.utils.set_random_seed(7)
    return STORIES[name]()
