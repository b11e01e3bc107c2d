"""What people reported in public, made small: (model, data, options of `compare.diagnose`, causes that may be first).

Those that `stories` holds already aren't here; `test_reports` has the table of all of them.
"""

import keras
import numpy as np
from keras import ops

from tests.keras.diagnosis.toys import BN, Batches, Dense, compiled, fitted, net, normed, toy

# of data that change from pass to pass; nobody who diagnoses them can seed it
DRAW = np.random.default_rng(3)


def said(model, x, y, history):
    """What a person reads off fit's last epoch and off evaluate."""
    figures = {name: values[-1] for name, values in history.history.items()}
    evaluated = model.evaluate(x, y, verbose=0, return_dict=True)
    return figures | {f"evaluate_{name}": value for name, value in evaluated.items()}


def weights_of_classes():
    """keras#15373: ``class_weight`` is fit's alone, and nobody tells the diagnosis of it."""
    x, y = toy(240, classes=2)
    y = (x[:, 0] > 0.8).astype("int64")
    model = compiled(net(Dense(24, "relu"), classes=2), 0.003)
    rare = float((y == 0).sum() / (y == 1).sum())
    history = fitted(model, x, y, 3, class_weight={0: 1.0, 1: rare})
    return model, (x, y), {"reported": said(model, x, y, history), "batch_size": 32}, ["objective"]


def balanced_weights_of_three_classes():
    x, y = toy(300)
    y = np.digitize(x[:, 0], [0.8, 1.6])
    counts = np.bincount(y)
    model = compiled(net(Dense(24, "relu")), 0.003)
    weights = {i: len(y) / (3 * count) for i, count in enumerate(counts)}
    history = fitted(model, x, y, 4, class_weight=weights)
    return model, (x, y), {"reported": said(model, x, y, history), "batch_size": 32}, ["objective"]


def rare_samples_drawn_more_often():
    """Oversampling in fit's pipeline; the person gives the diagnosis the plain data."""
    x, _ = toy(300)
    y = (x[:, 0] > 1.2).astype("int64")
    more = np.concatenate([np.flatnonzero(y == 0), np.resize(np.flatnonzero(y == 1), (y == 0).sum())])
    model = compiled(net(Dense(24, "relu"), classes=2), 0.003)
    history = fitted(model, x[more], y[more], 4)
    return model, (x, y), {"reported": said(model, x, y, history), "batch_size": 32}, ["samples", "objective"]


def parts_of_a_loss_with_a_penalty():
    """tensorflow#36006: the penalty is in both figures, and so are the loss weights."""
    inputs = keras.Input((8,))
    hidden = Dense(16, "relu", kernel_regularizer=keras.regularizers.L2(0.1))(inputs)
    model = keras.Model(inputs, {"a": Dense(1, name="a")(hidden), "b": Dense(3, name="b")(hidden)})
    losses = {"a": "mse", "b": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    model.compile(keras.optimizers.SGD(0.0), losses, loss_weights={"a": 1.0, "b": 0.3}, jit_compile=False)
    x, labels = toy()
    y = {"a": x[:, :1], "b": labels}
    history = model.fit(x, y, epochs=1, batch_size=32, verbose=0)
    return model, (x, y), {"reported": said(model, x, y, history), "batch_size": 32}, ["none"]


def a_penalty_that_evaluation_leaves_out():
    """A person's own evaluation takes the loss function alone."""
    x, y = toy()
    model = compiled(net(Dense(24, "relu", kernel_regularizer=keras.regularizers.L2(0.02))))
    history = fitted(model, x, y, 8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    figures = {
        "loss": history.history["loss"][-1],
        "evaluate_loss": float(loss(y, model.predict(x, verbose=0))),
    }
    return model, (x, y), {"reported": figures, "batch_size": 32}, ["objective"]


def a_few_steps_of_sorted_samples():
    """tensorflow#25254: ``steps_per_epoch`` of sorted samples shows fit the first classes only."""
    x, y = toy()
    order = np.argsort(y, kind="stable")
    x, y = x[order], y[order]
    model = compiled(net(Dense(24, "relu")))
    history = fitted(model, x[:96], y[:96], 10)
    options = {"reported": said(model, x, y, history), "evaluate_data": Batches(x, y), "steps": 3}
    return model, Batches(x, y), options, ["samples"]


def an_evaluation_inside_the_epoch():
    """keras#16526: evaluate in mid-epoch wipes fit's averages; the figure is of the last batches and of others."""
    x, y = toy(320)
    model = compiled(net(Dense(24, "relu")))
    model.fit(x, y, epochs=3, verbose=0)
    model.optimizer.learning_rate = 0.0
    other = (toy(100, seed=4)[0], np.arange(100) % 3)

    class Evaluates(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 4:
                self.model.evaluate(*other, verbose=0)

    history = model.fit(x, y, epochs=1, shuffle=False, verbose=0, callbacks=[Evaluates()])
    figures = {"loss": history.history["loss"][-1]}
    return model, Batches(x, y), {"reported": figures, "evaluate_data": other}, ["samples", "aggregation"]


class Resets(keras.callbacks.Callback):
    """Puts the variances back after every step, as a layer does that never assigns them."""

    def on_train_batch_end(self, batch, logs=None):
        for layer in self.model._flatten_layers():
            if isinstance(layer, BN):
                layer.moving_variance.assign(ops.ones_like(layer.moving_variance))


def variances_that_are_never_updated():
    """keras-core#338: the means moved and the variances didn't."""
    x, y = toy(scale=0.1)
    model = compiled(net(*normed(0.9)))
    history = fitted(model, x, y, 12, callbacks=[Resets()])
    return model, (x, y), {"reported": said(model, x, y, history), "batch_size": 32}, ["stale-statistics"]


def validation_inputs_without_the_scaling():
    """Stack Overflow 73708667: fit's own validation is right, and evaluate was given other inputs."""
    x, y = toy(shift=120, scale=40)
    model = compiled(net(Dense(24, "relu")))
    history = fitted(model, x / 255, y, 20)
    figures = {"loss": history.history["loss"][-1], "evaluate_loss": model.evaluate(x, y, verbose=0)[0]}
    return model, (x / 255, y), {"reported": figures, "batch_size": 32}, ["data-differ"]


class Shuffled(Batches):
    """Another order in each pass."""

    def __getitem__(self, index):
        if index == 0:
            order = DRAW.permutation(len(self.x))
            self.x, self.y = self.x[order], self.y[order]
        return super().__getitem__(index)


def labels_of_another_pass():
    """keras#13212: labels are collected in one pass, predictions in another."""
    x, y = toy()
    model = compiled(net(Dense(24, "relu")))
    history = fitted(model, x, y, 15)
    other = np.random.default_rng(0).permutation(len(y))
    figures = {name: values[-1] for name, values in history.history.items()}
    figures["evaluate_loss"] = model.evaluate(x, y[other], verbose=0)[0]
    return model, Shuffled(x, y), {"reported": figures}, ["samples"]


def augmentation_in_both_pipelines():
    """keras#17385: layers in a map run in every pass, evaluation's too."""
    x, y = toy()
    model = compiled(net(Dense(24, "relu")))
    fitted(model, x, y, 10)

    class Noisy(Batches):
        def __getitem__(self, index):
            a, b = super().__getitem__(index)
            return a + DRAW.normal(size=a.shape).astype("float32"), b

    return model, Noisy(x, y), {"evaluate_data": Noisy(x, y)}, ["random-evaluation"]


def only_what_trains_was_saved():
    """efficientnet#149: a file without the moving statistics."""
    x, y = toy(shift=3)
    model = compiled(net(*normed(0.9)))
    history = fitted(model, x, y, 12)
    other = compiled(net(*normed(0.9)))
    for mine, theirs in zip(other.trainable_weights, model.trainable_weights, strict=True):
        mine.assign(theirs)
    return other, (x, y), {"reported": history, "batch_size": 32}, ["other-weights"]


def one_variance_that_exploded():
    """tensorflow#41980."""
    x, y = toy()
    model = compiled(net(*normed(0.9)))
    history = fitted(model, x, y, 12)
    layer = [layer for layer in model.layers if isinstance(layer, BN)][1]
    layer.moving_variance.assign(6e4 * layer.moving_variance)
    return model, (x, y), {"reported": history, "batch_size": 32}, ["numerics"]


def accuracy_that_is_a_sum():
    """keras#8421: a person's metric adds up a batch, so that its figure grows with the batch."""

    def accuracy(y, p):
        return ops.sum(
            ops.cast(ops.equal(ops.cast(ops.argmax(p, -1), "int64"), ops.cast(y, "int64")), "float32")
        )

    x, y = toy()
    model = compiled(net(Dense(24, "relu")), metrics=[accuracy])
    history = fitted(model, x, y[:, None], 8)
    return (
        model,
        (x, y[:, None]),
        {"reported": said(model, x, y[:, None], history), "batch_size": 32},
        ["metric"],
    )


def inputs_far_off_zero(jit_compile=True, far=1e4):
    """keras#22512: the compiled function gives other outputs than the layers one after the other."""
    x, y = toy()
    x = (far + 1e-2 * x).astype("float32")
    model = net(BN(momentum=0.7), Dense(16, "relu"), BN(momentum=0.7))
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    history = model.fit(x, y, epochs=10, batch_size=32, verbose=0)
    return model, (x, y), {"reported": said(model, x, y, history), "batch_size": 32}, ["numerics"]


def weights_that_follow_the_last_samples():
    """keras#3326: batches of one in the order of time; the network forgets what it saw first."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 4)).astype("float32")
    y = x[:, :1] + 6 * np.linspace(-1, 1, 128, dtype="float32")[:, None]
    model = keras.Sequential([keras.Input((4,)), Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    history = model.fit(x, y, epochs=3, batch_size=1, shuffle=False, verbose=0)
    return model, (x, y), {"reported": said(model, x, y, history), "batch_size": 1}, ["weights-moved"]


def means_of_batches_whose_last_is_small():
    """torchmetrics#597: a person's own evaluation takes the mean of the batches' means."""
    x, y = toy(130)
    model = compiled(net(Dense(24, "relu")))
    fitted(model, x[:128], y[:128], 10)
    y = np.where(np.arange(130) < 128, y, (y + 1) % 3)
    parts = [model.evaluate(x[i : i + 32], y[i : i + 32], verbose=0)[0] for i in range(0, 130, 32)]
    figures = {"loss": model.evaluate(x, y, verbose=0)[0], "evaluate_loss": float(np.mean(parts))}
    return model, (x, y), {"reported": figures, "batch_size": 32}, ["aggregation"]


REPORTS = {
    report.__name__: report
    for report in (
        weights_of_classes, balanced_weights_of_three_classes, rare_samples_drawn_more_often,
        parts_of_a_loss_with_a_penalty, a_penalty_that_evaluation_leaves_out, a_few_steps_of_sorted_samples,
        an_evaluation_inside_the_epoch, variances_that_are_never_updated, validation_inputs_without_the_scaling,
        labels_of_another_pass, augmentation_in_both_pipelines, only_what_trains_was_saved, one_variance_that_exploded,
        accuracy_that_is_a_sum, inputs_far_off_zero, weights_that_follow_the_last_samples,
        means_of_batches_whose_last_is_small,
    )
}  # fmt: skip
