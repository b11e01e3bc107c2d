"""compare.keras.Diagnose: the same diagnosis from inside fit, which goes on as if nobody had looked."""

import keras
import numpy as np
import pytest

import compare.keras
from tests.keras.diagnosis import toys

BN = keras.layers.BatchNormalization


def image_net():
    keras.utils.set_random_seed(5)
    net = [
        *(keras.Input((8, 8, 2)), keras.layers.Conv2D(6, 3), BN(momentum=0.95), keras.layers.ReLU()),
        *(keras.layers.Dropout(0.3), keras.layers.Flatten(), keras.layers.Dense(3)),
    ]
    return toys.compiled(keras.Sequential(net), 0.005)


def images(samples=52):
    rng = np.random.default_rng(1)
    return rng.normal(size=(samples, 8, 8, 2)).astype("float32"), rng.integers(0, 3, samples)


def fit(*callbacks, **options):
    model, (x, y) = image_net(), images()
    history = model.fit(
        x,
        y,
        epochs=3,
        batch_size=16,
        validation_data=(x[:20], y[:20]),
        verbose=0,
        callbacks=callbacks,
        **options,
    )
    return model, history.history


@pytest.mark.parametrize("at", ["last", 2])
def test_the_figures_of_fit_are_the_same_bytes_with_it(at):
    plain, without = fit()
    callback = compare.keras.Diagnose(images(), at=at, batch_size=16, verbose=False)
    watched, figures = fit(callback)
    assert figures == without
    for one, other in zip(plain.variables, watched.variables, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())
    assert callback.diagnosis.probes.restored == "same"


def test_it_takes_the_batches_that_fit_has_dealt():
    """A rate of nearly 0: the figure of the last epoch is of one model, in batches that only fit knows."""
    keras.utils.set_random_seed(5)
    x, y = toys.toy(120)
    model = toys.compiled(toys.net(*toys.normed(0.9)))
    model.fit(x, y, epochs=10, verbose=0)
    model.optimizer.learning_rate = 1e-7
    callback = compare.keras.Diagnose((x, y), verbose=False)
    history = model.fit(x, y, epochs=1, verbose=0, callbacks=[callback])
    said = history.history["loss"][0]
    assert np.isclose(callback.diagnosis.measured["fit_loss"], said, rtol=1e-3)
    apart = abs(compare.diagnose(model, (x, y), batch_size=32).measured["fit_loss"] - said)
    assert apart > 10 * abs(callback.diagnosis.measured["fit_loss"] - said)


def test_class_weights_are_seen():
    keras.utils.set_random_seed(5)
    x, y = toys.toy(120)
    model = toys.compiled(toys.net(keras.layers.Dense(16, "relu")), 1e-5)
    callback = compare.keras.Diagnose((x, y), verbose=False)
    model.fit(x, y, epochs=1, class_weight={0: 0.1, 1: 1.0, 2: 10.0}, verbose=0, callbacks=[callback])
    assert callback.diagnosis.findings[0].cause == "objective"
    assert not callback.diagnosis.harmful


def test_a_training_that_stops_early_is_diagnosed_at_its_end(capsys):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    callback = compare.keras.Diagnose(images(), batch_size=16)
    _, figures = fit(callback, Stop())
    assert len(figures["loss"]) == 1
    assert callback.diagnosis.reported["loss"] == figures["loss"][0]
    assert str(callback.diagnosis) in capsys.readouterr().out


def test_a_training_goes_on_where_the_diagnosis_cannot(capsys):
    def step(model, batch):
        raise ValueError("no such thing")

    callback = compare.keras.Diagnose(images(), at=1, step=step)
    _, figures = fit(callback)
    assert len(figures["loss"]) == 3
    assert callback.diagnosis is None
    assert "no such thing" in capsys.readouterr().err


def test_an_epoch_that_is_none_is_refused():
    for at in ("first", 0, 1.5):
        with pytest.raises(ValueError, match="must be last or the number of an epoch"):
            compare.keras.Diagnose(images(), at=at)


@pytest.mark.parametrize(("at", "together"), [(1, 1), (2, 1), ("last", 1), (1, 2)])
def test_data_that_go_on_after_the_epoch_lose_no_batch_to_it(at, together):
    """Four of six batches an epoch: the next epoch goes on with the fifth."""
    x, y = toys.toy(96)

    def passing():
        while True:
            for start in range(0, 96, 16):
                yield x[start : start + 16], y[start : start + 16]

    def course(*callbacks):
        keras.utils.set_random_seed(5)
        model = toys.compiled(toys.net(*toys.normed(0.9)), steps_per_execution=together)
        history = model.fit(
            passing(), epochs=3, steps_per_epoch=4, verbose=0, shuffle=False, callbacks=callbacks
        )
        return history.history["loss"]

    callback = compare.keras.Diagnose(passing, at=at, verbose=False)
    assert course(callback) == course()
    assert callback.diagnosis.samples == 64
