"""Toy data and networks of the stories, and models that make a mistake."""

import keras
import numpy as np
from keras import layers, ops

BN = layers.BatchNormalization
Dense = layers.Dense


def toy(samples=256, width=8, classes=3, shift=0.0, scale=1.0, seed=0):
    """Normal inputs whose label a linear map decides."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(samples, width))
    y = (z @ np.random.default_rng(99).normal(size=(width, classes))).argmax(1)
    return (shift + scale * z).astype("float32"), y


def net(*middle, width=8, classes=3):
    return keras.Sequential([keras.Input((width,)), *middle, Dense(classes)])


def normed(momentum=0.9, count=2, width=24):
    parts = []
    for _ in range(count):
        parts += [Dense(width, use_bias=False), BN(momentum=momentum), layers.ReLU()]
    return parts


def compiled(model, rate=0.01, loss=None, metrics=("accuracy",), **options):
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=list(metrics), jit_compile=False, **options)
    return model


def fitted(model, x, y, epochs=6, batch_size=32, settle=True, **options):
    """Fit, and report what the last epoch said; it has a rate so low that the weights stay."""
    model.fit(x, y, epochs=epochs, batch_size=batch_size, verbose=0, **options)
    if settle:
        model.optimizer.learning_rate = 1e-6
    return model.fit(x, y, epochs=1, batch_size=batch_size, verbose=0, **options)


class Forgetful(keras.Model):
    def __init__(self):
        super().__init__()
        self.body, self.drop, self.out = [*normed(0.9)], layers.Dropout(0.5), Dense(3)

    def call(self, x):
        for layer in self.body:
            x = layer(x)
        return self.out(self.drop(x))


class AlwaysNoisy(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.drop, self.out = Dense(24, "relu"), layers.Dropout(0.5), Dense(3)

    def call(self, x, training=None):
        return self.out(self.drop(self.hidden(x), training=True))


class AlwaysTraining(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.bn, self.out = Dense(24), BN(momentum=0.9), Dense(3)

    def call(self, x, training=None):
        return self.out(ops.relu(self.bn(self.hidden(x), training=True)))


class Smoothed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = Dense(24, "relu"), Dense(3)

    def call(self, x):
        return self.out(self.hidden(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + 0.5 * ops.mean(ops.square(y_pred)) if training else loss


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return -(-len(self.x) // 32)

    def __getitem__(self, index):
        part = slice(32 * index, 32 * index + 32)
        return self.x[part], self.y[part]


class OwnStep(keras.Model):
    """A step of its own that forgets the mode, of a model that is never called itself."""

    def __init__(self):
        super().__init__()
        self.net = net(*normed(0.9, 1), layers.Dropout(0.5))

    def call(self, x, training=None):
        return self.net(x, training=training)

    def train_step(self, data):
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            outputs = self.net(x)
            loss = self.compute_loss(x, y, outputs)
        weights = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        self._loss_tracker.update_state(loss, sample_weight=ops.shape(x)[0])
        return self.compute_metrics(x, y, outputs)
