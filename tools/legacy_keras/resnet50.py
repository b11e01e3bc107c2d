"""What a Keras release's own ResNet50 computes: a sixteenth as wide, weights and image given.

python resnet50.py keras | tensorflow.keras | tf_keras RECORD.npz
"""

import importlib
import json
import os
import sys
import tempfile

import given
import h5py
import numpy as np

NARROWER = 16


def narrow(convolution):
    """Make of a convolution's class one with fewer filters than it is asked for."""

    def make(filters, *args, **kwargs):
        return convolution(filters // NARROWER, *args, **kwargs)

    return make


def build(release):
    """Let the release build its network, of narrow convolutions, and set the given weights."""
    package = (
        release + ".applications.resnet50"
        if release != "tensorflow.keras"
        else "tensorflow.keras.applications"
    )
    module, layers = importlib.import_module(package), importlib.import_module(release + ".layers")
    if release == "tensorflow.keras":
        layers = importlib.import_module("tensorflow.python.keras.layers")
    options = {"include_top": False, "weights": None, "input_shape": (224, 224, 3)}
    if release == "tf_keras":
        options["layers"] = layers
    for place in (module, layers):
        for name in ("Conv2D", "Convolution2D"):
            if hasattr(place, name):
                setattr(place, name, narrow(getattr(place, name)))
    model = module.ResNet50(**options)
    for layer in model.layers:
        weights = layer.get_weights()
        if weights:
            layer.set_weights(given.layer_weights(layer.name, [array.shape for array in weights]))
    return model


def said(model):
    """What the release writes into a file of weights beside them."""
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "weights.h5")
    model.save_weights(path)
    with h5py.File(path, "r") as file:
        names = {name: file.attrs[name] for name in ("keras_version", "backend") if name in file.attrs}
        found = {name: list(file[name].attrs["weight_names"]) for name in file.attrs["layer_names"]}
        names["layers"] = [[name, weights] for name, weights in found.items() if weights]
    os.remove(path)
    os.rmdir(folder)
    return json.dumps(names, default=lambda value: value.decode())


def main():
    """Record the features of the image, and the names in a file of weights."""
    release, path = sys.argv[1:3]
    model = build(release)
    features = model.predict(given.image()).mean((1, 2))
    np.savez_compressed(
        path, features=features, written=np.array(said(model)), config=np.array(model.to_json())
    )
    sys.stdout.write("%s" % (features.shape,))


main()
