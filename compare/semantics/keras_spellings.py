"""The spellings of Keras 3: each function is what a person writes, and is what is measured."""

import keras
import numpy as np
from keras.layers import BatchNormalization

from compare.semantics.row import Row
from compare.semantics.spelling import EPOCH_LOSSES, ONE_ROW, ROWS, Spelling, collect

SPELLINGS: list[Spelling] = []
spelling = collect(SPELLINGS)


@spelling("BatchNormalization()")
def nothing():
    """Train with the defaults: fine-tuning."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    model.compile("sgd", "mse")
    return model


@spelling("layer.trainable = False")
def frozen():
    """Since TensorFlow 2.0 this also switches the layer to its moving statistics in training."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    return model


@spelling("layer.trainable = False, after compile")
def frozen_after_compile():
    """Takes effect, because the training step is traced at its first use and not by compile."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    model.compile("sgd", "mse")
    model.layers[0].trainable = False
    return model


@spelling("layer.trainable = False, after the first step")
def frozen_after_fit():
    """Changes nothing on TensorFlow until compile is called again; takes effect on PyTorch; on JAX, fit fails."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    model.compile("sgd", "mse")
    model.fit(keras.ops.ones((6, 2, 2, 3)), keras.ops.ones((6, 2, 2, 3)), verbose=0)
    model.layers[0].trainable = False
    return model


@spelling("base.trainable = False")
def frozen_parent():
    """The flag goes down to every layer of the base."""
    base = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    base.trainable = False
    model = keras.Sequential([keras.Input((2, 2, 3)), base])
    model.compile("sgd", "mse")
    return model


@spelling("base.trainable = False; then layer.trainable = isinstance(layer, BatchNormalization)")
def frozen_parent_bn_back():
    """The Stack Overflow answer: "make the BN layers trainable"."""
    base = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    base.trainable = False
    for layer in base.layers:
        layer.trainable = isinstance(layer, BatchNormalization)
    model = keras.Sequential([keras.Input((2, 2, 3)), base])
    model.compile("sgd", "mse")
    return model


@spelling("layer.trainable = False, layer by layer; then base.trainable = True")
def parent_set_again():
    """On TensorFlow, setting the flag to what it is changes nothing; on other backends it goes down to the layers."""
    base = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    for layer in base.layers:
        layer.trainable = False
    base.trainable = True
    model = keras.Sequential([keras.Input((2, 2, 3)), base])
    model.compile("sgd", "mse")
    return model


@spelling("base.trainable = False; then base.trainable = True")
def parent_wakes_layers():
    """The base's flag goes down to every layer, both times, and undoes what was set layer by layer."""
    base = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    base.trainable = False
    base.layers[0].trainable = False
    base.trainable = True
    model = keras.Sequential([keras.Input((2, 2, 3)), base])
    model.compile("sgd", "mse")
    return model


@spelling("gamma.trainable = beta.trainable = False")
def affine_frozen():
    """Freezes gamma and beta alone, as requires_grad_(False) does in PyTorch; a saved file doesn't hold it."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    bn = model.layers[0]
    bn.gamma.trainable = bn.beta.trainable = False
    model.compile("sgd", "mse")
    return model


@spelling("base(x, training=False); base.trainable = False")
def functional_false_frozen():
    """It is trainable = False that does it; the argument adds nothing."""
    base = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    base.trainable = False
    inputs = keras.Input((2, 2, 3))
    model = keras.Model(inputs, base(inputs, training=False))
    model.compile("sgd", "mse")
    return model


@spelling("base(x, training=False)")
def functional_false():
    """Keras 3 overrides the argument in fit, although its transfer-learning guide builds on it (keras#20285)."""
    base = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    inputs = keras.Input((2, 2, 3))
    model = keras.Model(inputs, base(inputs, training=False))
    model.compile("sgd", "mse")
    return model


@spelling("base(x, training=False) in a subclassed model; base.trainable = False")
def subclassed_false_frozen():
    """Frozen either way."""

    class Transfer(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.base = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
            self.base.trainable = False

        def call(self, x):
            return self.base(x, training=False)

    model = Transfer()
    model.compile("sgd", "mse")
    return model


@spelling("base(x, training=False) in a subclassed model")
def subclassed_false():
    """Honoured here: moving statistics in fit while gamma and beta train."""

    class Transfer(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.base = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])

        def call(self, x):
            return self.base(x, training=False)

    model = Transfer()
    model.compile("sgd", "mse")
    return model


@spelling("base(x, training=True)")
def functional_true():
    """Overridden in evaluate as training=False is in fit."""
    base = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    inputs = keras.Input((2, 2, 3))
    model = keras.Model(inputs, base(inputs, training=True))
    model.compile("sgd", "mse")
    return model


@spelling("base(x, training=True); base.trainable = False")
def functional_true_frozen():
    """trainable = False wins over training=True."""
    base = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])
    base.trainable = False
    inputs = keras.Input((2, 2, 3))
    model = keras.Model(inputs, base(inputs, training=True))
    model.compile("sgd", "mse")
    return model


@spelling("base(x, training=True) in a subclassed model")
def subclassed_true():
    """Batch statistics in evaluate too, and evaluate moves the moving ones."""

    class Transfer(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.base = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization()])

        def call(self, x):
            return self.base(x, training=True)

    model = Transfer()
    model.compile("sgd", "mse")
    return model


@spelling("subclassed call(x) without training")
def subclassed_without():
    """A call that takes no training argument keeps fit's from the layer: it never leaves inference mode."""

    class Transfer(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.bn = BatchNormalization()

        def call(self, x):
            return self.bn(x)

    model = Transfer()
    model.compile("sgd", "mse")
    return model


@spelling("subclassed call(x, training), handed on")
def subclassed_with():
    """The way that works everywhere."""

    class Transfer(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.bn = BatchNormalization()

        def call(self, x, training=None):
            return self.bn(x, training=training)

    model = Transfer()
    model.compile("sgd", "mse")
    return model


@spelling("layer.trainable = False on a subclassed model's layer")
def subclassed_frozen():
    """Set from outside, it isn't part of the model's configuration, and so of no saved file."""

    class Transfer(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.bn = BatchNormalization()

        def call(self, x, training=None):
            return self.bn(x, training=training)

    model = Transfer()
    model.bn.trainable = False
    model.compile("sgd", "mse")
    return model


@spelling("BatchNormalization(momentum=0.9)")
def momentum():
    """The share of the old moving value that a step keeps; PyTorch's momentum=0.1."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization(momentum=0.9)])
    model.compile("sgd", "mse")
    return model


@spelling("BatchNormalization(momentum=1.0); gamma.trainable = beta.trainable = False")
def momentum_one():
    """What trainable = False did in Keras 2.1.3 to 2.3.1, spelt in Keras 3."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization(momentum=1.0)])
    bn = model.layers[0]
    bn.gamma.trainable = bn.beta.trainable = False
    model.compile("sgd", "mse")
    return model


@spelling("BatchNormalization(momentum=0.0)")
def momentum_zero():
    """The moving statistics are the last batch's."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization(momentum=0.0)])
    model.compile("sgd", "mse")
    return model


@spelling("BatchNormalization(epsilon=1e-5)")
def epsilon():
    """PyTorch's; Keras's default is 1e-3, its ResNet50's 1.001e-5. Added to the variance under the root."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization(epsilon=1e-5)])
    model.compile("sgd", "mse")
    return model


@spelling("BatchNormalization(synchronized=True)")
def synchronized():
    """On one device, the same as without; the TensorFlow backend alone has it."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization(synchronized=True)])
    model.compile("sgd", "mse")
    return model


@spelling("BatchNormalization(renorm=True)")
def renorm():
    """Unclipped, batch renormalisation makes training's output that of the moving statistics."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization(renorm=True)])
    model.compile("sgd", "mse")
    return model


@spelling("BatchNormalization() on (N, C)", shape=ROWS)
def rows():
    """The variance rule is that of images; tf.keras's differed between the two."""
    model = keras.Sequential([keras.Input((3,)), BatchNormalization()])
    model.compile("sgd", "mse")
    return model


@spelling("BatchNormalization(dtype='mixed_float16')", precision="float16")
def mixed_float16():
    """Inputs and outputs are float16, the variables and the statistics float32."""
    model = keras.Sequential([keras.Input((2, 2, 3)), BatchNormalization(dtype="mixed_float16")])
    model.compile("sgd", "mse")
    return model


@spelling("BatchNormalization() on (1, C)", shape=ONE_ROW)
def one_row():
    """No error: the output is beta, and the moving variance decays towards zero."""
    model = keras.Sequential([keras.Input((3,)), BatchNormalization()])
    model.compile("sgd", "mse")
    return model


def epoch_losses():
    """How the losses of batches of 4, 4 and 2 samples, 1, 9 and 100, become an epoch's."""
    x = np.array([1.0] * 4 + [3.0] * 4 + [10.0] * 2)[:, None]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Identity()])
    model.compile("sgd", "mse")

    def batches():
        for start in (0, 4, 8):
            yield x[start : start + 4], 0 * x[start : start + 4]

    return {
        "fit": model.fit(x, 0 * x, batch_size=4, shuffle=False, verbose=0).history["loss"][0],
        "evaluate": model.evaluate(x, 0 * x, batch_size=4, verbose=0),
        "generator_fit": model.fit(batches(), verbose=0).history["loss"][0],
        "generator_evaluate": model.evaluate(batches(), verbose=0),
    }


def epoch_averages():
    """Measure the row about an epoch's average."""
    found = {name: EPOCH_LOSSES[round(float(loss), 3)] for name, loss in epoch_losses().items()}
    spelled = Spelling("epoch averages of fit, evaluate", epoch_losses)
    return [Row(spelled.title, spelled.code, None, spelled.note, found)]
