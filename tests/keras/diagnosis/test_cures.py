"""The cures for Keras: code that runs when pasted, and that does what it says."""

import keras
import numpy as np
import pytest

import compare
from compare.diagnosis import cures
from compare.diagnosis.inputs import CHANGES
from compare.diagnosis.records import CAUSES
from tests.keras.diagnosis import stories, toys
from tests.keras.diagnosis.pasting import names_of

# what closes the gap without another training
CLOSED_AT_ONCE = {
    "few_steps_under_a_long_decay": "stale-statistics",
    "the_other_frameworks_decay": "decay",
    "a_variance_that_is_no_number": "numerics",
}
FROZEN = {
    "statistics_of_another_data_set": "foreign-statistics",
    "a_graph_whose_mode_fit_overrides": "mode-override",
}


def batches(data, size=32):
    x, y = data[:2]
    return [(x[start : start + size], y[start : start + size]) for start in range(0, len(x), size)]


def paste(code, model, data):
    exec(code, {"keras": keras, "np": np, "model": model, "train_ds": batches(data)})


def cured(name, cause):
    """A story's model, its data, and the code that its diagnosis gives for a cause."""
    model, data, *_, diagnosis = stories.told(name)
    return model, data, next(found.cure.code for found in diagnosis.findings if found.cause == cause)


@pytest.mark.parametrize(("name", "cause"), CLOSED_AT_ONCE.items())
def test_the_code_closes_the_gap(name, cause):
    model, data, code = cured(name, cause)
    before = model.evaluate(*data, verbose=0)[0]
    paste(code, model, data)
    after = model.evaluate(*data, verbose=0)
    after = after[0] if isinstance(after, list) else after
    assert after < 0.5 or after < before / 3
    assert not before < 0.5 * after


@pytest.mark.parametrize(("name", "cause"), FROZEN.items())
def test_frozen_layers_make_fit_and_evaluate_agree(name, cause):
    model, data, code = cured(name, cause)
    paste(code, model, data)
    model.optimizer.learning_rate = 0.0
    history = model.fit(*data, epochs=1, verbose=0)
    evaluated = model.evaluate(*data, verbose=0, return_dict=True)["loss"]
    assert np.isclose(history.history["loss"][0], evaluated, rtol=1e-4)


OF_KERAS = [key[1:] for key in cures.CURES if key[0] == "keras"]


@pytest.mark.filterwarnings("ignore")  # Keras's words on data sets that it can't shuffle, or count
@pytest.mark.parametrize(("cause", "detail"), OF_KERAS)
def test_every_code_runs(cause, detail, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, y = toys.toy(52)
    model = toys.compiled(toys.net(*toys.normed(0.9, 1), keras.layers.Dropout(0.5)))
    model.compile(keras.optimizers.Adam(0.01, use_ema=True), model.loss, jit_compile=False)
    model.save_weights("trained.weights.h5")
    names = names_of(model, (x, y, np.ones(52)))
    names |= {"step": lambda model, batch: {"loss": keras.ops.mean(model(batch[0]) ** 2)}}
    names |= {"compare": compare, "val_ds": names["train_ds"], "history": {"loss": 1.0}}
    exec(cures.cure("keras", cause, (model.layers[0].name,), detail, change="x / 255").code, names)


def test_all_code_is_python_and_every_harmful_cause_has_some():
    without = {"none", "dropout", "augmentation", "weights-moved", "input-scale"}
    of_keras = [key[1:] for key in cures.CURES if key[0] == "keras"]
    assert {cause for cause, _ in of_keras} == set(CAUSES)
    for cause, detail in of_keras:
        found = cures.cure("keras", cause, (), detail, change="x / 255")
        compile(found.code, cause, "exec")
        assert not any(mark in found.code for mark in ("{names}", "{change}"))
        assert found.text.endswith(".")
        some = (cause not in without or detail != "") and (cause, detail) not in cures.CODELESS
        assert bool(found.code) == some


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_of_inputs_is_in_code_what_it_is_on_arrays(change):
    x = np.random.default_rng(0).uniform(0, 255, (4, 5, 6, 3)).astype("float32")
    names = {"x": x}
    exec(cures.cure("keras", "input-scale", (), "changed", change.written("keras")).code, names)
    assert np.allclose(names["x"], change.apply(x), rtol=1e-5)
    assert not np.allclose(names["x"], x, rtol=1e-2, atol=1e-2)


def test_a_detail_that_has_no_cure_of_its_own_has_the_causes_own():
    assert cures.cure("torch", "mode-override", (), "always") == cures.cure("torch", "mode-override")
    assert cures.cure("keras", "mode-override", (), "always") != cures.cure("keras", "mode-override")


def test_figures_of_batches_are_averaged_over_samples():
    keras.utils.set_random_seed(7)
    x, y = toys.toy(52)
    model = toys.compiled(toys.net())
    said = []
    exec(
        cures.cure("keras", "aggregation").code,
        {"keras": keras, "model": model, "train_ds": batches((x, y)), "print": said.append},
    )
    assert np.isclose(said[0], model.evaluate(x, y, verbose=0)[0], rtol=1e-6)
    assert not np.isclose(
        said[0], np.mean([model.evaluate(*b, verbose=0)[0] for b in batches((x, y))]), rtol=1e-4
    )


@pytest.mark.parametrize("cause", ["unmixed-batches", "batch-noise", "metric", "shared-layer"])
def test_the_other_code_runs(cause):
    import tensorflow as tf

    x, y = toys.toy(52)
    model = toys.compiled(toys.net())
    names = {"keras": keras, "model": model, "train_ds": tf.data.Dataset.from_tensor_slices((x, y)).batch(8)}
    exec(cures.cure("keras", cause).code, names)
    if "ds" in cures.cure("keras", cause).code:
        assert len(next(iter(names["train_ds"]))[1]) > 8
    if cause == "metric":
        assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] <= 1
    if cause == "shared-layer":
        assert len(names["norms"]) == 2


@pytest.mark.parametrize("form", ["bare", "named"])
def test_statistics_are_re_estimated_from_inputs_alone_and_by_name(form):
    """A bare batch unpacked as a pair is its first sample, and a named one is a name."""
    keras.utils.set_random_seed(7)
    x = np.random.default_rng(0).normal(3, 2, (64, 8)).astype("float32")
    inputs = keras.Input((8,), name="x")
    norm = keras.layers.BatchNormalization(momentum=0.99)
    model = toys.compiled(keras.Model({"x": inputs} if form == "named" else inputs, norm(inputs)), loss="mse")
    train_ds = [{"x": x[:32]}, {"x": x[32:]}] if form == "named" else [x[:32], x[32:]]
    exec(cures.cure("keras", "stale-statistics").code, {"keras": keras, "model": model, "train_ds": train_ds})
    assert np.allclose(norm.moving_mean, x.mean(0), rtol=1e-4)
