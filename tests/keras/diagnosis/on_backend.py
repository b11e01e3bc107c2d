"""What a diagnosis says on the backend of the environment, as JSON: `python -m tests.keras.diagnosis.on_backend`."""

import json

import keras
import numpy as np

import compare
import compare.keras


def made(kind=keras.Model):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    outputs = keras.layers.BatchNormalization(momentum=0.99, name="bn")(keras.layers.Dense(8)(inputs))
    outputs = keras.layers.Dense(3)(keras.layers.Dropout(0.3, name="drop")(keras.layers.ReLU()(outputs)))
    model = kind(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


class Tripled(keras.Model):
    """Its own step trains with three times the loss."""

    def train_step(self, *given):
        if keras.backend.backend() == "jax":
            return self._functional(*given)
        x, y = given[0]
        loss = 3 * self.compute_loss(x, y, self(x, training=True))
        self.zero_grad()
        loss.backward()
        weights = self.trainable_weights
        self.optimizer.apply([weight.value.grad.detach() for weight in weights], weights)
        return {"loss": loss.detach()}

    def _functional(self, state, data):
        import jax

        def loss(trained, others):
            outputs, others = self.stateless_call(trained, others, x, training=True)
            return 3 * self.compute_loss(x, y, outputs), others

        (trained, others, optimizer, metrics), (x, y) = state, data
        (value, others), gradients = jax.value_and_grad(loss, has_aux=True)(trained, others)
        trained, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trained)
        return {"loss": value}, (trained, others, optimizer, metrics)


def toy():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 48)
    return (4 + rng.normal(size=(48, 6)) + 2 * y[:, None]).astype("float32"), y


def told(diagnosis):
    """Of a diagnosis what a test wants to know."""
    terms = {term.term: term.value for term in diagnosis.terms}
    causes = [finding.cause for finding in diagnosis.findings]
    rows = {row.layer: [row.role, row.fit, row.evaluate] for row in diagnosis.audit.rows}
    said = {"terms": terms, "gap": diagnosis.gap, "causes": causes, "rows": rows}
    return said | {"measured": diagnosis.measured, "restored": diagnosis.probes.restored}


def plain(x, y):
    model = made()
    loss = model.fit(x, y, epochs=2, batch_size=16, verbose=0).history["loss"][-1]
    seen = model.evaluate(x, y, batch_size=16, verbose=0, return_dict=True)
    reported = {"loss": loss, "evaluate_loss": seen["loss"]}
    found = told(compare.diagnose(model, (x, y), batch_size=16, reported=reported))
    audit = {row.layer: [row.role, row.fit, row.evaluate] for row in compare.audit(model).rows}
    return found | {"evaluated": seen, "audit": audit}


def within(x, y):
    figures, values = [], []
    callback = compare.keras.Diagnose((x, y), verbose=False)
    for callbacks in ([], [callback]):
        model = made()
        figures.append(model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=callbacks).history)
        values.append([keras.ops.convert_to_numpy(variable).tolist() for variable in model.variables])
    same = figures[0] == figures[1] and values[0] == values[1]
    return told(callback.diagnosis) | {"same": same, "data": callback.diagnosis.given["data"]}


def own(x, y):
    model = made(Tripled)
    model.fit(x, y, epochs=1, batch_size=16, verbose=0)
    return told(compare.diagnose(model, (x, y), batch_size=16))


def step(model, batch):
    x, y = batch
    outputs = model(x)
    losses = keras.losses.sparse_categorical_crossentropy(y, outputs, from_logits=True)
    return {"loss": keras.ops.mean(losses), "n": len(y), "outputs": outputs, "targets": y}


def stepped(x, y):
    model = made()
    found = compare.diagnose(model, (x, y), batch_size=16, step=step)
    return told(found) | {"compiled": told(compare.diagnose(model, (x, y), batch_size=16))}


if __name__ == "__main__":
    ways = (plain, within, own, stepped)
    print(json.dumps({way.__name__: way(*toy()) for way in ways}))
