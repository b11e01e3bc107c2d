"""Noise in fit's pipeline alone is an augmentation, however strong; another scale is another preprocessing."""

import keras
import pytest
import tensorflow as tf

from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis.toys import Dense, compiled, net, toy


def noisy(x, y):
    return x + tf.random.normal(tf.shape(x), stddev=3.0), y


def ten_times(x, y):
    return 10 * (x + tf.random.normal(tf.shape(x), stddev=0.1)), y


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("change", "harm"), [(noisy, []), (ten_times, ["data-differ"])])
def test_noise_is_told_from_another_scale(change, harm, shuffle):
    keras.utils.set_random_seed(0)
    x, y = toy()
    plain = tf.data.Dataset.from_tensor_slices((x, y))
    ours = (plain.shuffle(256) if shuffle else plain).batch(32).map(change)
    theirs = plain.batch(32)
    model = compiled(net(Dense(32, "relu")))
    model.fit(ours, epochs=10, verbose=0, shuffle=False)
    model.optimizer.learning_rate = 1e-6
    history = model.fit(ours, verbose=0, shuffle=False).history
    seen = {
        "loss": history["loss"][-1],
        "evaluate_loss": model.evaluate(theirs, verbose=0, return_dict=True)["loss"],
    }
    found = diagnose(model, ours, evaluate_data=theirs, reported=seen)
    assert [f.cause for f in found.findings if f.harmful] == harm
    assert ("augmentation" in {term.term for term in found.terms}) == (not harm)
