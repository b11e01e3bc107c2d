"""keras_impl.probing: what a person's own model does, whatever it is, and nothing of it changed."""

import keras
import numpy as np
import pytest

from keras_impl.probing import Subject, is_model
from tests.keras.diagnosis import models

EVERY = list(models.MAKERS)
# row: role, switch, fit, evaluate, calls
ACTS = {
    "image": {
        "flip": ("augmentation", True, "on", "off", 1),
        "bn": ("normalisation", True, "batch", "moving", 1),
        "drop": ("dropout", True, "on", "off", 1),
    },
    "twins": {"shared": ("normalisation", True, "batch", "moving", 2)},
    "sequence": {
        "bn": ("normalisation", True, "batch", "moving", 4),
        "lstm_cell": ("dropout", True, "on", "off", 5),
    },
    "baked": {"bn": ("normalisation", True, "batch", "moving", 1), "drop": ("dropout", True, "on", "off", 1)},
    "several": {"bn": ("normalisation", True, "batch", "moving", 1)},
    "mixed": {"bn": ("normalisation", True, "batch", "moving", 1)},
    "forgetful": {"bn": ("normalisation", False, "moving", "moving", 1)},
    "grown": {
        "norm": ("normalisation", True, "batch", "moving", 1),
        "noise": ("dropout", True, "on", "off", 1),
        "double": ("other", True, "on", "off", 1),
    },
    "own-steps": {"bn": ("normalisation", True, "batch", "moving", 1)},
}


@pytest.fixture(params=EVERY)
def name(request):
    return request.param


def subject_of(name):
    return Subject(models.made(name)[0])


def close(these, those, tolerance=1e-6):
    return these.keys() == those.keys() and all(
        np.isclose(these[key], those[key], rtol=tolerance, atol=1e-9) for key in these
    )


def test_its_evaluation_is_the_frameworks_own(name):
    subject = subject_of(name)
    with subject.kept():
        measured = subject.evaluate(models.batches(subject, name)).figures
    tolerance = 2e-3 if name == "mixed" else 1e-6  # a graph fuses operations in half precision
    assert close(measured, models.evaluated(name), tolerance)
    assert not close({**measured, "loss": measured["loss"] * 1.01}, models.evaluated(name), tolerance)


def test_every_layer_is_seen_as_it_acts(name):
    subject = subject_of(name)
    rows = {row.name: row for row in subject.layers(models.batches(subject, name)[:2])}
    for layer, (role, switch, fit, evaluate, calls) in ACTS[name].items():
        row = next(row for found, row in rows.items() if found.split("/")[-1].startswith(layer))
        assert (row.role, row.switch, row.fit, row.evaluate, row.calls) == (
            role,
            switch,
            fit,
            evaluate,
            calls,
        )


def test_nothing_is_left_of_any_measurement(name):
    subject = subject_of(name)
    batches = models.batches(subject, name)
    before = subject.state()
    with subject.kept():
        subject.layers(batches[:2])
        every = frozenset(subject.present())
        subject.evaluate(batches)
        done = subject.run(batches, every, collect=True)
        if done.seen:
            subject.run(batches, frozenset(), subject.population(batches)[0])
        subject.facts()
        assert subject.nonfinite(batches) is None
    assert subject.state() == before


def test_a_pass_as_in_training_updates_nothing_and_repeats_itself(name):
    subject = subject_of(name)
    batches = models.batches(subject, name)
    subject.layers(batches[:2])
    before, every = subject.state(), frozenset(subject.present())
    one, two, other = (subject.run(batches, every, seed=seed).figures["loss"] for seed in (0, 0, 1))
    changed = [item for item, value in subject.state().items() if before.get(item) != value]
    assert not [item for item in changed if not item.startswith("other:")]
    assert one == two
    assert (one != other) == bool(every & {"dropout", "augmentation"})


def test_no_switch_thrown_is_an_evaluation(name):
    subject = subject_of(name)
    batches = models.batches(subject, name)
    subject.layers(batches[:2])
    with subject.kept():
        said = subject.run(batches, frozenset(), keep=True).figures
        assert close(said, subject.evaluate(batches).figures, 1e-9)
    present = frozenset(subject.present())
    if present:
        assert subject.run(batches, present).figures["loss"] != said["loss"]


@pytest.mark.parametrize("name", ["image", "twins", "several", "grown"])
def test_the_population_closes_all_but_the_batches_noise(name):
    """One batch of all samples in training mode is the population's own pass."""
    subject = subject_of(name)
    subject.layers(models.batches(subject, name)[:2])
    whole = models.batches(subject, name, models.SAMPLES)
    under = subject.run(whole, frozenset(), subject.population(models.batches(subject, name))[0]).figures[
        "loss"
    ]
    assert np.isclose(under, subject.run(whole, frozenset({"normalisation"})).figures["loss"], rtol=1e-5)
    assert not np.isclose(under, subject.run(whole, frozenset()).figures["loss"], rtol=1e-3)


def test_the_population_is_exact_in_double_precision():
    keras.config.set_dtype_policy("float64")
    try:
        net = [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3),
            models.BN(),
            keras.layers.ReLU(),
            models.BN(),
        ]
        model = keras.Sequential(net)
        model.compile("sgd", "mse")
    finally:
        keras.config.set_dtype_policy("float32")
    x = 3 + np.random.default_rng(0).normal(size=(21, 6, 6, 2))
    subject = Subject(model)
    batches = [subject.objective.batch((x[i : i + 5], x[i : i + 5, :4, :4, :1])) for i in range(0, 21, 5)]
    subject.layers(batches[:1])
    found = list(subject.population(batches)[0].values())
    h = np.asarray(model.layers[0](x.astype("float32")), np.float64)
    mean, variance = h.mean((0, 1, 2)), h.var((0, 1, 2))
    assert np.abs(found[0][0] - mean).max() < 1e-6
    assert np.abs(found[0][1] - variance).max() < 1e-6
    h = np.maximum((h - mean) / np.sqrt(variance + 1e-3), 0)
    assert np.abs(found[1][1] - h.var((0, 1, 2))).max() < 1e-6


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_state_comes_back_when_the_models_own_call_raises(error, monkeypatch):
    subject = subject_of("image")
    batches = models.batches(subject, "image")
    before = subject.state()
    seen = []

    def stop(*args, **options):
        seen.append(args)
        raise error("in the middle")

    monkeypatch.setitem(vars(subject.model.layers[-1]), "call", stop)
    with pytest.raises(error), subject.kept():
        subject.run(batches, frozenset(), None) if subject.switches else subject.layers(batches[:1])
    monkeypatch.undo()
    assert seen
    assert subject.state() == before


def test_what_is_asked_and_what_is_done_part_where_a_graph_is_overridden():
    subject = subject_of("baked")
    rows = {row.name: row for row in subject.layers(models.batches(subject, "baked")[:1])}
    assert (rows["bn"].flag_fit, rows["bn"].fit) == ("moving", "batch")
    assert "overridden by fit" in rows["bn"].override.words
    assert (rows["drop"].flag_evaluate, rows["drop"].evaluate) == ("on", "off")
    forgetful = subject_of("forgetful")
    rows = {row.role: row for row in forgetful.layers(models.batches(forgetful, "forgetful")[:1])}
    assert (rows["normalisation"].flag_fit, rows["normalisation"].fit) == ("batch", "moving")
    assert rows["normalisation"].override
    image = subject_of("image")
    assert not any(row.override for row in image.layers(models.batches(image, "image")[:1]))


def test_objectives_that_differ_are_a_switch():
    subject = subject_of("own-steps")
    batches = models.batches(subject, "own-steps")
    subject.layers(batches[:1])
    assert "objective" in subject.present()
    both = [subject.run(batches, on).figures["loss"] for on in (frozenset({"objective"}), frozenset())]
    assert both[0] - both[1] > 0.1
    assert "objective" not in _present("image")


def test_what_one_batch_comes_to_has_its_parts():
    subject = subject_of("image")
    batch = models.batches(subject, "image")[0]
    with subject.kept():
        step = subject.evaluate([batch], keep=True).steps[0]
    kernel = subject.model.layers[-1].kernel
    assert np.isclose(step.penalty, float(kernel.regularizer(kernel)))
    logits = step.outputs - step.outputs.max(1, keepdims=True)
    losses = np.log(np.exp(logits).sum(1)) - (logits * step.targets).sum(1)
    assert np.isclose(step.unweighted, losses.mean() + step.penalty, rtol=1e-5)
    assert np.isclose(step.loss, (losses * batch.weights).mean() + step.penalty, rtol=1e-5)
    assert step.shuffled != step.loss


def test_audit_without_data_sees_the_same_layers():
    subject = subject_of("image")
    rows = {row.name: (row.role, row.fit, row.evaluate) for row in subject.layers(None)}
    watched = subject.layers(models.batches(subject, "image")[:1])
    assert rows == {row.name: (row.role, row.fit, row.evaluate) for row in watched}


def test_a_model_without_weights_is_refused():
    with pytest.raises(ValueError, match="no weights yet"):
        Subject(models.Grown())
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="isn't compiled"):
        Subject(model)
    assert is_model(model)
    assert not is_model(model.layers[0])


def _present(name):
    subject = subject_of(name)
    subject.layers(models.batches(subject, name)[:1])
    return subject.present()
