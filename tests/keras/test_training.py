"""Training with Keras's own loops: what goes in, when it stops, what it reports."""

import dataclasses

import keras
import numpy as np
import pytest

from compare.gap.records import Status
from keras_impl import optimizers, training
from keras_impl.batches import Epochs
from keras_impl.layers import CounterDropout
from keras_impl.metrics import crossentropy
from keras_impl.transfer import head
from tests.support.backends import numpy
from tests.support.shallow import shallow
from tests.support.small_run import SMALL, train

pytestmark = pytest.mark.backend

FEATURES = [
    (
        np.random.default_rng(i).normal(size=(8, 12)).astype(np.float32),
        (np.arange(8) % 2)[:, None].astype(np.float32),
    )
    for i in range(3)
]


def _fit(val_losses, **settings):
    training.start(0)
    model = head(12)
    watched = iter(val_losses)
    return training.fit(
        model,
        optimizers.adam(model),
        lambda epoch: FEATURES,
        after_epoch=lambda *_: next(watched),
        **settings,
    )


def test_stops_early_after_patience_epochs_without_a_lower_val_loss():
    assert len(_fit([1.0, 0.9, 0.95, 0.9, 0.91, 0.92, 0.93, 0.94], epochs=8, patience=3)) == 5


def test_reduces_the_learning_rate():
    rates = [
        row["learning_rate"] for row in _fit([1.0, *[0.99995] * 8], epochs=9, patience=99, reduce_lr=True)
    ]
    assert rates == pytest.approx([1e-3] * 6 + [1e-4] * 3)


def test_a_loss_that_is_not_finite_ends_the_training_with_its_place():
    model = head(12)
    # the labels: TensorFlow's relu makes 0 of a NaN that comes in with the features
    poisoned = [FEATURES[0], (FEATURES[1][0], np.full((8, 1), np.nan, np.float32))]
    with pytest.raises(training.NonFiniteLossError, match="loss is not finite at epoch 1, step 2"):
        training.fit(model, optimizers.adam(model), lambda epoch: poisoned, epochs=2)


def test_fit_sees_each_epochs_own_batches_in_order():
    """A model whose output is its input: the loss that `fit` reports tells which batches it saw."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Activation("sigmoid")(keras.layers.Dense(1)(inputs)))
    model.layers[1].set_weights([np.ones((1, 1), np.float32), np.zeros(1, np.float32)])
    epochs = [[_batch(10 * epoch + step) for step in range(5)] for epoch in range(3)]
    seen = []
    history = training.fit(
        model,
        keras.optimizers.SGD(1e-12),
        lambda epoch: epochs[epoch],
        epochs=3,
        after_step=lambda epoch, step, loss: seen.append((epoch, step, loss)),
    )
    assert [place[:2] for place in seen] == [(epoch, step) for epoch in range(3) for step in range(5)]
    for epoch, batches in enumerate(epochs):
        losses = [np.log1p(np.exp(-x)).mean() for x, _ in batches]
        assert history[epoch]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
        assert [loss for e, _, loss in seen if e == epoch] == pytest.approx(
            (np.cumsum(losses) / np.arange(1, 6)).tolist(), rel=1e-5
        )


def _batch(seed):
    return np.random.default_rng(seed).normal(size=(4, 1)).astype(np.float32), np.ones((4, 1), np.float32)


def test_the_same_seed_trains_the_same():
    runs = []
    for seed in (0, 0, 1):
        training.start(seed)
        model = head(12, seed=seed)
        runs.append(training.fit(model, optimizers.adam(model), lambda epoch: FEATURES, epochs=2))
    assert runs[0] == runs[1] != runs[2]


def test_counter_dropout_keeps_the_right_share_and_repeats_itself():
    layer = CounterDropout(0.3, seed=4)
    x = np.ones((400, 64), np.float32)
    first, second = (numpy(layer(x, training=True)) for _ in range(2))
    assert (first == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert first.max() == pytest.approx(1 / 0.7)
    assert not np.array_equal(first, second)
    layer.step.assign(0)
    np.testing.assert_array_equal(numpy(layer(x, training=True)), first)
    np.testing.assert_array_equal(numpy(layer(x, training=False)), x)


def test_counter_dropout_draws_the_mixers_bits():
    """The same on every backend, and in `torch_impl`."""

    def mix(x):
        for shift, factor in ((18, 0x4260BB47), (13, 0x27E8E1ED)):
            x = (((x & 0xFFFFFFFF) ^ ((x & 0xFFFFFFFF) >> shift)) * factor) & 0xFFFFFFFF
        return x ^ (x >> 15)

    layer = CounterDropout(0.3, seed=2**31 - 5)
    for step in (1, 2):
        start = mix(np.int64(2**31 - 5) + mix(np.int64(step)))
        uniform = mix(np.arange(1200) ^ start).astype(np.float32) / np.float32(2**32)
        kept = numpy(layer(np.ones((40, 30), np.float32), training=True)) > 0
        np.testing.assert_array_equal(kept.ravel(), uniform >= np.float32(0.3))


def test_a_diverging_cell_fails_with_its_place(tmp_path):
    with shallow():
        settings = dataclasses.replace(SMALL, learning_rate=1e30)
        result = train("keras", "fine-tune", tmp_path, settings=settings)
    assert result.ending.startswith("failed: loss is not finite at epoch 1, step ")
    assert result.status is Status.NOT_FINITE
    assert result.history == ()


def test_an_epochs_batches_are_asked_for_once():
    """They may be made ahead in threads: whoever asks anew at every step has each made five times and waits."""
    asked = []

    def batches_of(epoch):
        asked.append(epoch)
        return [(np.full((2, 3), step, "float32"), np.ones((2, 1), "float32")) for step in range(4)]

    training.fit(head(3), keras.optimizers.SGD(0.1), batches_of, epochs=3)
    assert asked[1:] == [0, 1, 2]  # and once for the number of batches


def test_a_model_is_given_the_epochs_own_batches_and_no_thread_tunes_them():
    def batches_of(epoch):
        return [
            (np.full((2, 3), 10 * epoch + step, "float32"), np.zeros((2, 1), "float32")) for step in (0, 1)
        ]

    epochs = Epochs(batches_of)
    given = epochs.untuned()
    if keras.backend.backend() != "tensorflow":
        assert given is epochs
        return
    assert given.options().autotune.enabled is False
    assert len(given) == 2
    for epoch in (0, 3):
        epochs.begin(epoch)
        assert [images[0, 0] for images, _ in given.as_numpy_iterator()] == [10 * epoch, 10 * epoch + 1]


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_loss_of_a_saturated_probability_is_cut_off_by_each_backend_but_tensorflow(outputs):
    score = keras.layers.Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax", use_bias=False)
    model = keras.Sequential([keras.Input((1,)), score])
    score.set_weights([np.array([[-40.0, 0.0][:outputs]], np.float32)])
    model.compile(loss=crossentropy(outputs))
    labels = np.array([[1.0, 0.0][:outputs]], np.float32)  # wrong, and certain
    loss = float(model.test_on_batch(np.ones((1, 1), np.float32), labels, return_dict=True)["loss"])
    expected = 40 if keras.backend.backend() == "tensorflow" else -np.log(keras.config.epsilon())
    assert loss == pytest.approx(expected, rel=1e-3)
