"""Each cure that the model must be trained with, or that changes its call: with it the finding is gone."""

import keras
import numpy as np
import pytest
from keras import layers

from compare.diagnosis.cures import cure
from compare.diagnosis.diagnosis import diagnose
from tests.keras.diagnosis import stories
from tests.keras.diagnosis.toys import BN, Dense, compiled, fitted, net, normed, toy


def harm(found):
    return {finding.cause for finding in found.findings if finding.harmful}


def offered(found, cause):
    return next(finding.cure.code for finding in found.findings if finding.cause == cause)


# Keras says so where a data set doesn't know how many batches it has, as after unbatch
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@pytest.mark.parametrize(
    ("name", "cause", "momentum"),
    [("batches_of_a_class_each", "unmixed-batches", 0.9), ("batches_of_four", "batch-noise", 0.95)],
)
def test_other_batches_close_the_gap(name, cause, momentum):
    import tensorflow as tf

    _, data, *_, before = stories.told(name)
    keras.utils.set_random_seed(7)
    names = {"train_ds": tf.data.Dataset.from_tensor_slices(data).batch(4)}
    exec(offered(before, cause), names)
    model = compiled(net(*normed(momentum)))
    model.fit(names["train_ds"], epochs=25, shuffle=False, verbose=0)
    after = diagnose(model, names["train_ds"])
    assert cause in harm(before)
    assert cause not in harm(after)
    assert abs(after.gap) < before.gap / 2


class Careless(keras.Model):
    """Its call forgets the mode."""

    def __init__(self):
        super().__init__()
        self.body, self.head = keras.Sequential([*normed(0.9), layers.Dropout(0.5)]), Dense(3)

    def call(self, x):
        return self.head(self.body(x))


class Stuck(Careless):
    """Its call says that it is always a training."""

    def call(self, x, training=None):
        return self.head(self.body(x, training=True))


@pytest.mark.parametrize(
    ("kind", "causes"),
    [(Careless, {"mode-override"}), (Stuck, {"random-evaluation", "evaluation-changes-state"})],
)
def test_a_call_that_passes_the_mode_on_lets_it_decide(kind, causes):
    found = {}
    for mended in (False, True):
        keras.utils.set_random_seed(7)
        names = {}
        exec(cure("keras", next(iter(causes))).code, names)
        made = type("Mended", (kind,), {"call": names["call"]}) if mended else kind
        x, y = toy()
        model = compiled(made())
        found[mended] = diagnose(model, (x, y), reported=fitted(model, x, y))
    assert causes <= harm(found[False])
    assert not harm(found[True])
    assert "dropout" in {term.term for term in found[True].terms}


def test_a_layer_for_each_input_closes_the_gap():
    rng = np.random.default_rng(0)
    x = [(shift + rng.normal(size=(192, 6))).astype("float32") for shift in (0, 6)]
    y = (x[0][:, 0] * (x[1][:, 1] - 6) > 0).astype("int64")
    found = {}
    for apart in (False, True):
        keras.utils.set_random_seed(7)
        names = {"keras": keras}
        exec(cure("keras", "shared-layer").code, names)
        norms = names["norms"] if apart else [BN(momentum=0.9)] * 2
        for norm in norms:
            norm.momentum = 0.9
        inputs = [keras.Input((6,)), keras.Input((6,))]
        parts = [norm(part) for norm, part in zip(norms, inputs, strict=True)]
        model = compiled(keras.Model(inputs, Dense(2)(Dense(24, "relu")(layers.Concatenate()(parts)))))
        found[apart] = diagnose(model, (x, y), reported=fitted(model, x, y, 20), batch_size=32)
    assert found[False].findings[0].cause == "shared-layer"
    assert not harm(found[True])
    assert found[True].gap < found[False].gap / 10


def test_a_layer_with_a_call_of_its_own_acts_in_evaluation_too():
    x, y = toy()
    names = {"keras": keras}
    exec(cure("keras", "mode-override", (), "always").code, names)
    found = {}
    for own in (False, True):
        keras.utils.set_random_seed(7)
        inputs = keras.Input((8,))
        hidden = Dense(24, "relu")(inputs)
        hidden = names["Always"](0.5)(hidden) if own else layers.Dropout(0.5)(hidden, training=True)
        model = compiled(keras.Model(inputs, Dense(3)(hidden)))
        found[own] = diagnose(model, (x, y), reported=fitted(model, x, y))
    assert offered(found[False], "mode-override") == cure("keras", "mode-override", (), "always").code
    assert found[True].probes.evaluate_twice == "differs"
    assert found[False].probes.evaluate_twice == "same"


def test_weights_that_are_loaded_whole_close_the_gap(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(7)
    x, y = toy()
    trained = compiled(net(*normed(0.9)))
    history = fitted(trained, x, y, 20)
    trained.save_weights("trained.weights.h5")
    model = compiled(net(*normed(0.9)))
    model.optimizer.build(model.trainable_variables)
    before = diagnose(model, (x, y), reported=history)
    exec(offered(before, "other-weights"), {"model": model, "keras": keras})
    after = diagnose(model, (x, y), reported=history)
    assert not harm(after)
    assert abs(after.gap) < before.gap / 5


def test_an_evaluation_with_fits_weights_is_fits_figure():
    model, (x, y, weights), options, _, found = stories.told("weighted_samples")
    code = offered(found, "objective")
    said = []
    exec(
        f"said.append({code.splitlines()[-1]})",
        {"model": model, "x": x, "y": y, "weights": weights, "said": said},
    )
    fit = options["reported"].history["loss"][-1]
    assert np.isclose(said[0][0], fit, rtol=1e-3)
    assert not np.isclose(model.evaluate(x, y, verbose=0)[0], fit, rtol=0.05)
