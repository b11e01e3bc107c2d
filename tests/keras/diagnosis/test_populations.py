"""Population statistics of every kind of normalisation against brute force in float64."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from compare.diagnosis.diagnosis import diagnose
from keras_impl.probing import Subject
from tests.keras.diagnosis import models
from tests.keras.diagnosis.toys import BN, Dense, compiled

COUNT = 21


class Whitened(BN):
    """A subclass that does something with its outputs."""

    def call(self, inputs, training=None, mask=None):
        return ops.tanh(super().call(inputs, training=training, mask=mask))


# kind -> (makes a layer, rank of the data between samples and channels)
KINDS = {
    "rows": (BN, 0),
    "signals": (BN, 1),
    "images": (BN, 2),
    "volumes": (BN, 3),
    "axis=1": (lambda: BN(axis=1), 2),
    "scale=False": (lambda: BN(scale=False), 2),
    "center=False": (lambda: BN(center=False), 2),
    "neither": (lambda: BN(scale=False, center=False), 2),
    "synchronized": (lambda: BN(synchronized=True), 2),
    "renorm": (lambda: BN(renorm=True), 2),
    "a subclass": (Whitened, 2),
    "an arithmetic of its own": (models.RunningNorm, 0),
}


def network(make, rank):
    """Two of a kind, each behind a layer, so that the second sees what the first has made."""
    shape = (*[4] * rank, 3)
    parts = [Dense(5), make(), Dense(4, activation="tanh"), make()]
    model = keras.Sequential([keras.Input(shape), *parts])
    model.compile("sgd", "mse", jit_compile=False)
    rng = np.random.default_rng(0)
    for variable in model.non_trainable_variables:
        if variable.dtype == "float64":
            variable.assign(rng.random(variable.shape) + 0.5)
    return model, 2 + 3 * rng.normal(size=(COUNT, *shape))


def brute_force(model, x, norms):
    """What one batch of all samples hands to both layers, pooled in float64."""
    found = []
    for layer in model.layers:
        if layer in norms:
            axis = getattr(layer, "axis", -1)
            values = np.moveaxis(np.asarray(x), axis, -1)
            axes = tuple(range(values.ndim - 1))
            found.append((values.mean(axes), values.var(axes)))
        x = layer(x, training=True)
    return found


def population(model, x):
    """Call -> mean and variance of the population, as a diagnosis finds them in batches of five."""
    subject = Subject(model)
    y = np.asarray(model(x))
    batches = [subject.objective.batch((x[i : i + 5], y[i : i + 5])) for i in range(0, COUNT, 5)]
    subject.layers(batches[:2])
    with subject.kept():
        return subject.population(batches)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_population_is_that_of_all_samples_at_once(kind):
    make, rank = KINDS[kind]
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy("float64")
    try:
        model, x = network(make, rank)
    finally:
        keras.config.set_dtype_policy("float32")
    pooled = population(model, x)
    wanted = brute_force(model, x.astype("float64"), model.layers[1::2])
    assert len(pooled) == 2
    for ours, theirs in zip(pooled.values(), wanted, strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6, atol=1e-9)
    assert not np.allclose(wanted[1][1], brute_force(model, x[:5], model.layers[1::2])[1][1], rtol=1e-3)


def test_the_populations_of_a_layer_for_every_time_step_are_each_steps_own():
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy("float64")
    try:
        norms = [layers.TimeDistributed(BN(name=name)) for name in ("first", "second")]
        model = keras.Sequential(
            [keras.Input((4, 3)), norms[0], Dense(5, activation="tanh"), norms[1], Dense(2)]
        )
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("sgd", "mse", jit_compile=False)
    rng = np.random.default_rng(0)
    # each step has a mean and a deviation of its own
    x = rng.normal(size=(COUNT, 4, 3)) * (1 + np.arange(4))[:, None] + 10 * np.arange(4)[:, None]
    x = x.astype("float32").astype("float64")  # as fit hands it on
    pooled = population(model, x)
    wanted, values = {}, x
    for norm, between in ((norms[0], model.layers[1]), (norms[1], None)):
        wanted |= {
            f"{norm.layer.name}#{step + 1}" if step else norm.layer.name: (
                values[:, step].mean(0),
                values[:, step].var(0),
            )
            for step in range(4)
        }
        values = (values - values.mean(0)) / np.sqrt(values.var(0) + norm.layer.epsilon)
        values = values if between is None else np.asarray(between(values))
    assert pooled.keys() == wanted.keys()
    for name, (mean, variance) in wanted.items():
        np.testing.assert_allclose(pooled[name][0], mean, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(pooled[name][1], variance, rtol=1e-6, atol=1e-9)
    # of all steps together it would be another
    assert not np.allclose(wanted["first"][1], x.reshape(-1, 3).var(0), rtol=0.1)


@pytest.mark.parametrize(
    "kind", ["LayerNormalization", "GroupNormalization", "UnitNormalization", "RMSNormalization"]
)
def test_a_normalisation_without_modes_has_nothing_to_say_and_that_is_said(kind):
    keras.utils.set_random_seed(1)
    options = {"groups": 2} if kind == "GroupNormalization" else {}
    net = [
        keras.Input((4, 4, 2)),
        layers.Conv2D(4, 3),
        getattr(layers, kind)(**options),
        layers.Flatten(),
        Dense(3),
    ]
    model = compiled(keras.Sequential(net))
    rng = np.random.default_rng(0)
    found = diagnose(
        model, (rng.normal(size=(40, 4, 4, 2)).astype("float32"), np.arange(40) % 3), batch_size=8
    )
    assert found.findings[0].cause == "none"
    assert "Nothing in this model acts differently" in found.findings[0].evidence


def test_a_layer_that_never_sees_data_is_said_to_be_unreached():
    class Spare(keras.Model):
        def __init__(self):
            super().__init__()
            self.norm, self.out, self.spare = BN(name="used"), Dense(3), BN(name="spare")

        def build(self, shape):
            for layer, width in ((self.norm, 6), (self.out, 6), (self.spare, 5)):
                layer.build((None, width))

        def call(self, x, training=None):
            return self.out(self.norm(x, training=training))

    model = compiled(Spare())
    model.build((None, 6))
    x, y = np.random.default_rng(0).normal(size=(40, 6)).astype("float32"), np.arange(40) % 3
    rows = {row.layer.split("/")[-1]: row for row in diagnose(model, (x, y), batch_size=8).audit.rows}
    assert (rows["spare"].fit, rows["used"].fit) == ("unreached", "batch")
