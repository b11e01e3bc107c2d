"""Fit and evaluate in Keras: the framework's own loops.

A batch is ``(images, labels)``: float32 arrays ``(N, H, W, C)`` (or features ``(N, C)``) and ``(N, 1)``;
of K classes ``(N, K)``, 1 in the class's column.
"""

import math
from weakref import WeakKeyDictionary

import keras

from .batches import Epochs
from .metrics import crossentropy, metrics

# model -> the shapes of a sample -> batches, and the data set that gives them, which takes longer to make than to pass
_evaluated: WeakKeyDictionary = WeakKeyDictionary()


class NonFiniteLossError(ArithmeticError):
    """The training loss became NaN or infinite; ``epoch`` and ``step`` (from 1) say when."""

    def __init__(self, epoch, step):
        super().__init__(f"loss is not finite at epoch {epoch}, step {step}")
        self.epoch, self.step = epoch, step


def start(seed):
    """Forget earlier models of this process and seed the framework, so that a training repeats itself."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)


def fit(model, optimizer, train, *, epochs, patience=5, reduce_lr=False, after_step=None, after_epoch=None):
    """Train on cross-entropy with ``model.fit``.

    Args:
        model: a transfer model, or its head, with the policy already set (`bn_policy.apply`).
        optimizer: of the model's trainable parameters.
        train: maps an epoch (from 0) to its sequence of batches.
        epochs: at most this many.
        patience: epochs without a lower val_loss before training stops.
        reduce_lr: multiply the learning rate by 0.1 after 5 epochs in which val_loss fell by less than 1e-4.
        after_step: called with (epoch, step, mean loss of the epoch so far), all counted from 0.
        after_epoch: called with (epoch, the epoch's row of the history); returns the val_loss that the last two watch.

    Returns:
        For each epoch a dict of ``loss``, the metrics (`metrics.measure`) and ``learning_rate``.

    Raises:
        NonFiniteLossError: the mean loss of the epoch so far is no longer a finite number.
    """
    compile(model, optimizer)
    optimizer.build(model.trainable_variables)  # else the first step makes its variables, and is traced twice
    epochs_of = Epochs(train)
    watch = _Watch(epochs_of, after_step, after_epoch)
    callbacks = [watch, keras.callbacks.EarlyStopping("val_loss", patience=patience, mode="min")]
    if reduce_lr:
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=5, min_delta=1e-4, mode="min")
        )
    model.fit(epochs_of.untuned(), epochs=epochs, shuffle=False, callbacks=callbacks, verbose=0)
    model.train_function = None  # its graph takes 100 MB, and the next fit compiles anew
    return watch.history


def compile(model, optimizer=None):  # noqa: A001 - Keras's own word for it
    """Compile a model, or its head alone, with the project's loss and metrics."""
    model.compile(
        optimizer or "adam",
        loss=crossentropy(model.output_shape[-1]),
        metrics=metrics(model.output_shape[-1]),
    )


class _Watch(keras.callbacks.Callback):
    """Moves the data on, watches the loss, and lets the caller evaluate after each epoch."""

    def __init__(self, data, after_step, after_epoch):
        super().__init__()
        self.data, self.after_step, self.after_epoch = data, after_step, after_epoch
        self.history = []

    def on_epoch_begin(self, epoch, logs=None):
        self.data.begin(epoch)
        self.rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def on_train_batch_end(self, step, logs=None):
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise NonFiniteLossError(self.data.epoch + 1, step + 1)
        if self.after_step:
            self.after_step(self.data.epoch, step, loss)

    def on_epoch_end(self, epoch, logs=None):
        self.history.append({**logs, "learning_rate": self.rate})
        # the next callbacks in the list read val_loss from the same dict
        logs["val_loss"] = self.after_epoch(epoch, self.history[-1]) if self.after_epoch else logs["loss"]


def evaluate(model, batches):
    """Measure loss and metrics in inference mode (as the model's policy has it) with ``model.evaluate``.

    Returns:
        A dict of ``loss`` and the metrics (`metrics.measure`).
    """
    if not model.compiled:
        compile(model)
    kept, shapes = _evaluated.setdefault(model, {}), tuple(array.shape[1:] for array in batches[0])
    if shapes not in kept:
        epochs = Epochs(lambda epoch: batches)
        kept[shapes] = epochs, epochs.untuned(counted=False)
    epochs, data = kept[shapes]
    epochs.turn_to(batches)
    try:
        return model.evaluate(data, steps=len(batches), verbose=0, return_dict=True)
    finally:
        epochs.turn_to(())
