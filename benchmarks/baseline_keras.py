"""What someone would write by hand in Keras to compare the six policies: build, set flags, fit, evaluate.

Same images, batches, weights and epochs as `compare run --framework keras`; nothing cached but the features of that
policy, no other process.
"""

import keras
import numpy as np

from benchmarks.inputs import SETTINGS, start_arrays, stream
from compare.gap.features import FeatureStream
from keras_impl.metrics import metrics
from keras_impl.transfer import build, parts
from keras_impl.weights import from_arrays


def freeze(backbone, policy):
    for layer in backbone.layers:
        is_bn = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = policy == "fine-tune" or (policy == "bn-trainable" and is_bn)
        if is_bn and policy in ("frozen-batch-stats", "frozen-drifting"):
            layer.trainable = True
            layer.gamma.trainable = layer.beta.trainable = False
            layer.momentum = 1.0 if policy == "frozen-batch-stats" else 0.99


def batches_as_arrays(batches):
    pairs = [batches[step] for step in range(len(batches))]
    return tuple(np.concatenate(arrays) for arrays in zip(*pairs, strict=True))


def train(policy, data):
    keras.utils.set_random_seed(0)
    model = build("resnet50", "v1", 0.25)
    backbone, head = parts(model)
    from_arrays(backbone, start_arrays())
    freeze(backbone, policy)
    trained, val = model, data.validation()
    if policy == "features":  # each image's once
        extractor = keras.Model(model.inputs, model.get_layer("pool").output)
        data = FeatureStream(data, lambda part: extractor.predict(batches_as_arrays(part)[0], verbose=0))
        trained, val = head, data.of(val)
    trained.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=metrics())
    val_images, val_labels = batches_as_arrays(val)
    size = SETTINGS.batch_size
    for epoch in range(SETTINGS.epochs):
        images, labels = batches_as_arrays(data.epoch(epoch))
        fit = trained.fit(images, labels, batch_size=size, shuffle=False, verbose=0).history["loss"][0]
        evaluate = trained.evaluate(images, labels, batch_size=size, verbose=0, return_dict=True)["loss"]
        val = trained.evaluate(val_images, val_labels, batch_size=size, verbose=0, return_dict=True)["loss"]
        print(f"{policy} epoch {epoch + 1}: fit {fit:.3f} evaluate {evaluate:.3f} val {val:.3f}")


if __name__ == "__main__":
    data = stream()
    for policy in (
        "frozen-batch-stats",
        "frozen-drifting",
        "frozen",
        "bn-trainable",
        "features",
        "fine-tune",
    ):
        train(policy, data)
