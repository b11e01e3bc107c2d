"""Twenty steps of a small network under each BN policy that a Keras release can spell, as that release trains.

python training.py keras | tensorflow.keras | tf_keras RECORD.npz POLICY=SPELLING ...
"""

import importlib
import json
import sys

import given
import numpy as np

STATE = ("gamma", "beta", "moving_mean", "moving_variance")


def build(release, spelling):
    """Convolution, BN, relu, twice; pooling; a given mask; a dense layer with a sigmoid. Also the base as a list."""
    layers, models = (importlib.import_module(release + "." + name) for name in ("layers", "models"))
    images = layers.Input((given.SIDE, given.SIDE, 3))
    x, base = images, []
    for n in (1, 2):
        conv = layers.Conv2D(given.CHANNELS[n], 3, padding="same", name="conv%d" % n)
        bn = layers.BatchNormalization(name="bn%d" % n)
        base += [conv, bn]
        x = conv(x)
        x = layers.Activation("relu")(bn(x, training=False) if "training=False" in spelling else bn(x))
    x = layers.GlobalAveragePooling2D()(x)
    if spelling.startswith("base."):
        nested = models.Model(images, x)
        nested.trainable = False
        images = layers.Input((given.SIDE, given.SIDE, 3))
        x = nested(images)
    mask = layers.Input((given.CHANNELS[-1],))
    dense = layers.Dense(1, activation="sigmoid", name="dense")
    model = models.Model([images, mask], dense(layers.Multiply()([x, mask])))
    arrays = given.network()
    for layer in [*base, dense]:
        parts = STATE if layer.name[:2] == "bn" else ("kernel", "bias")
        layer.set_weights([arrays[layer.name + "/" + part] for part in parts])
    return model, base


def spell(base, spelling, compile_model):
    """Write the policy as a user of the release would."""
    for layer in base:
        layer.trainable = "isinstance" in spelling and layer.name[:2] == "bn"
    compile_model()
    if spelling == "layer.trainable = False before compile, True after it":
        for layer in base:
            layer.trainable = layer.name[:2] == "bn"


def train(release, spelling, optimizer):
    """Take the steps; return the loss of each, and after each the evaluation and every BN layer's state."""
    importlib.import_module(release + ".backend").clear_session()
    model, base = build(release, spelling)
    make = getattr(
        importlib.import_module(release + ".optimizers"), {"sgd": "SGD", "adam": "Adam"}[optimizer]
    )
    if release == "keras":
        make = ordered(make, importlib.import_module("keras.backend"))
    spell(
        base, spelling, lambda: model.compile(make(given.OPTIMIZERS[optimizer]), loss="binary_crossentropy")
    )
    found = {"loss": [], "evaluate": []}
    for images, mask, labels in given.batches():
        found["loss"].append(model.train_on_batch([images, mask], labels))
        found["evaluate"].append(model.test_on_batch([images, np.ones_like(mask)], labels))
        for n in (1, 2):
            state = base[2 * n - 1].get_weights()
            for part, array in zip(STATE, state):
                found.setdefault("bn%d/%s" % (n, part), []).append(array)
    return {name: np.array(values, "float32") for name, values in found.items()}


def ordered(optimizer, backend):
    """Derive an optimizer whose updates wait for all gradients, and whose step counter waits for all updates.

    Keras up to 2.3.1 orders nothing: a weight may be updated while the backward pass still reads it, the counter before
    Adam reads it. Whether that happens changes from process to process (measured: 2e-3 in gamma after 20 steps of Adam
    in 2.2.4, 2e-3 in the loss in 2.3.1), so that such a release doesn't repeat its own training. What is recorded is a
    step computed from the state that it started from.
    """
    import tensorflow as tf

    class Ordered(optimizer):
        def get_gradients(self, loss, params):
            gradients = super(Ordered, self).get_gradients(loss, params)
            with tf.control_dependencies(gradients):
                return [tf.identity(gradient) for gradient in gradients]

        def get_updates(self, *args, **kwargs):
            counted, count = [], backend.update_add
            backend.update_add = lambda *update: counted.append(update)
            try:
                updates = super(Ordered, self).get_updates(*args, **kwargs)
            finally:
                backend.update_add = count
            others = [update for update in updates if update is not None]
            with tf.control_dependencies([getattr(update, "op", update) for update in others]):
                self.updates = others + [count(*update) for update in counted]
            return self.updates

    return Ordered


def main():
    """Record every policy with every optimizer."""
    release, path = sys.argv[1:3]
    arrays = {}
    for argument in sys.argv[3:]:
        policy, _, spelling = argument.partition("=")
        for optimizer in sorted(given.OPTIMIZERS):
            for name, values in train(release, spelling, optimizer).items():
                arrays["%s/%s/%s" % (policy, optimizer, name)] = values
    np.savez_compressed(path, **arrays)
    import tensorflow

    json.dump({"tensorflow": tensorflow.__version__, "numpy": np.__version__}, sys.stdout)


main()
