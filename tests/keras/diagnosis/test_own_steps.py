"""Models with steps of their own, as public examples have them: what their data are, only the steps know."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import compare.keras
from compare.diagnosis.diagnosis import diagnose
from compare.spec import InputError
from tests.keras.diagnosis import toys

tf = pytest.importorskip("tensorflow")
BN = layers.BatchNormalization
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the steps take gradients of TensorFlow's kind"
)


class Tracked(keras.Model):
    """Reports a mean of what `_cost` says; its optimizer sees the gradient of that."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.tracker = inner, keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.tracker]

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = self._cost(data, True)
        variables = self.inner.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}

    def test_step(self, data):
        self.tracker.update_state(self._cost(data, False))
        return {"loss": self.tracker.result()}


class Triplets(Tracked):
    """A batch is three inputs; nothing calls the model itself."""

    told = True

    def call(self, inputs):
        return [self.inner(x) for x in inputs]

    def _cost(self, data, training):
        options = {"training": training} if self.told else {}
        anchor, near, far = [self.inner(x, **options) for x in data]
        apart = ops.sum(ops.square(anchor - near), -1) - ops.sum(ops.square(anchor - far), -1)
        return ops.maximum(apart + 1.0, 0.0)


class Untold(Triplets):
    told = False


class Sampling(layers.Layer):
    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(1)

    def call(self, x):
        return x + 0.1 * keras.random.normal(ops.shape(x), seed=self.seed_generator)


class Autoencoder(Tracked):
    """A batch is the inputs alone, of which the step makes its targets."""

    def _cost(self, x, training):
        return ops.mean(ops.square(self.inner(x, training=training) - x), -1)


class Generator(keras.Model):
    """It trains, and can't be evaluated."""

    def train_step(self, data):
        return {"g_loss": ops.mean(data)}


def triplets():
    x, y = toys.toy(96)
    rng = np.random.default_rng(1)
    near = np.array([rng.choice(np.flatnonzero(y == label)) for label in y])
    far = np.array([rng.choice(np.flatnonzero(y != label)) for label in y])
    return tf.data.Dataset.from_tensor_slices((x, x[near], x[far])).batch(32)


def trained(model, data, **options):
    model.compile(optimizer=keras.optimizers.Adam(0.005))
    callback = compare.keras.Diagnose(data, verbose=False)
    history = model.fit(data, epochs=2, verbose=0, shuffle=False, callbacks=[callback], **options)
    return history, callback


@pytest.mark.parametrize("kind", [Triplets, Untold])
def test_a_batch_of_three_inputs_is_handed_to_the_step_as_it_is(kind):
    keras.utils.set_random_seed(5)
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(16), BN(momentum=0.99), layers.Dense(4)])
    model, data = kind(inner), triplets()
    history, callback = trained(model, data)
    for found in (diagnose(model, data, reported=history), callback.diagnosis):
        assert found.measured["evaluate_loss"] == pytest.approx(model.evaluate(data, verbose=0), rel=1e-4)
        untold = [one for one in found.findings if one.cause == "mode-override"]
        assert bool(untold) == (kind is Untold)
        assert all("in train_step" in one.cure.code for one in untold)


def test_inputs_alone_pass_the_callback_and_a_layer_that_always_draws_is_random_evaluation():
    keras.utils.set_random_seed(5)
    x, _ = toys.toy(96)
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(4), Sampling(), layers.Dense(8)])
    _, callback = trained(Autoencoder(inner), x, batch_size=32)
    first = callback.diagnosis.findings[0]
    assert (first.cause, first.layers) == ("random-evaluation", ("sampling",))
    assert "if training else" in first.cure.code
    assert not callback.diagnosis.audit.rows[0].notes, "it takes no mode that could be passed on to it"


def test_a_model_that_cannot_be_evaluated_is_refused_with_what_it_lacks():
    model = Generator()
    model.compile(optimizer="sgd")
    model.add_weight(shape=(1,))
    with pytest.raises(InputError, match="test_step"):
        diagnose(model, toys.toy(64)[0])


class Pairs(Tracked):
    """Training takes two batches side by side, evaluation one of them."""

    def _cost(self, data, training):
        inputs = data[0][0] + data[1][0] if training else data[0] + 0.0 * data[1][:, None]
        return ops.mean(ops.square(self.inner(inputs, training=training)), -1)


def test_data_that_evaluation_cannot_take_are_refused_by_their_form():
    x, y = toys.toy(64)
    model = Pairs(keras.Sequential([keras.Input((8,)), layers.Dense(4)]))
    model.compile(optimizer="sgd")
    one = tf.data.Dataset.from_tensor_slices((x, y.astype("float32"))).batch(32)
    both = tf.data.Dataset.zip((one, one))
    model.fit(both, verbose=0, shuffle=False)
    with pytest.raises(InputError, match=r"fit's batches are \(\(x, x\), \(x, x\)\), evaluation's \(x, x\)"):
        diagnose(model, both, evaluate_data=one)


def test_weights_that_a_dataset_has_are_evaluations_too():
    """Those that ``class_weight`` makes are fit's alone; these aren't."""
    keras.utils.set_random_seed(5)
    x, y = toys.toy(96)
    weights = np.where(y == 0, 5.0, 0.2).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(32)
    model = toys.compiled(toys.net(layers.Dense(8, "relu")), 1e-6)
    callback = compare.keras.Diagnose(data, verbose=False)
    model.fit(data, epochs=1, verbose=0, shuffle=False, callbacks=[callback])
    assert [one.cause for one in callback.diagnosis.findings] == ["none"]


class Distilled(toys.Smoothed):
    """Training's loss has another part than evaluation's."""

    def train_step(self, data):
        x, y = data
        loss = self.compute_loss(x, y, self(x, training=True)) + 2.0
        return {"loss": loss}

    def test_step(self, data):
        x, y = data
        return {"loss": self.compute_loss(x, y, self(x, training=False))}


def test_steps_that_compute_other_losses_are_told_so_without_weights_that_nobody_has():
    x, y = toys.toy(96)
    model = toys.compiled(Distilled())
    model(x[:2])
    first = diagnose(model, (x, y)).findings[0]
    assert first.cause == "objective"
    assert "weights" not in first.cure.text + first.cure.code


def test_what_is_so_of_many_layers_is_said_once():
    keras.utils.set_random_seed(5)
    inner = keras.Sequential([keras.Input((8,)), *toys.normed(0.99, count=5), layers.Dense(4)])
    model, data = Untold(inner), triplets()
    history, _ = trained(model, data)
    first = diagnose(model, data, reported=history).findings[0]
    assert len(first.layers) == 5
    assert first.evidence.count("passes") + first.evidence.count("pass that on") == 1


class Apart(Tracked):
    """Steps of its own whose batches are three inputs: what looks like targets and weights is neither."""

    def call(self, batch, training=None):
        return [self.inner(part, training=training) for part in batch]

    def _cost(self, batch, training):
        anchor, same, other = self(batch, training=training)
        near, far = (ops.sum((anchor - part) ** 2, -1) for part in (same, other))
        return ops.mean(ops.relu(near - 0.3 * far + 1))


def test_statistics_are_re_estimated_by_a_models_own_step_and_its_weights_come_back():
    a, b = (np.random.default_rng(seed).normal(3, 4, (96, 8)).astype("float32") for seed in (0, 1))
    train_ds = tf.data.Dataset.from_tensor_slices((a, a + 0.5 * b[::-1] - 1, b)).batch(32)
    model = Apart(
        keras.Sequential([keras.Input((8,)), layers.Dense(16), BN(momentum=0.999), layers.Dense(4)])
    )
    model.compile(keras.optimizers.Adam(0.003), jit_compile=False)
    history = model.fit(train_ds, epochs=4, verbose=0, shuffle=False)
    found = diagnose(model, train_ds, reported=history)
    norm, before = model.inner.layers[1], [np.array(variable) for variable in model.trainable_variables]
    # the first of three inputs by itself is refused by the model: what the step hands it is pooled over
    assert not [note for note in found.notes if "input" in note]
    assert {"shared-layer", "stale-statistics"} <= {term.term for term in found.terms}
    cure = next(finding.cure for finding in found.findings if finding.cause == "stale-statistics")
    exec(cure.code, {"model": model, "train_ds": train_ds, "keras": keras, "np": np})
    reached = np.array(model.inner.layers[0](np.concatenate([a, a + 0.5 * b[::-1] - 1, b])))
    # the last of a batch's three calls counts nearly alone: momentum 0 in the first step, 1 / 2 and 1 / 3 then
    assert np.abs(norm.moving_mean - reached.mean(0)).max() < 0.5 * reached.std()
    assert norm.moving_variance.numpy().min() > 2
    assert all(map(np.array_equal, before, map(np.array, model.trainable_variables)))
