"""A file as its owner runs it: by Keras's own loading, for a proof that doesn't rest on anybody's reading of it."""

import re
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

from . import networks


def original(paths, form, network, layout, keys, where):
    """Load a file by Keras alone and return the function that it computes.

    DIFFERS: Keras finds the weights by their order in the model, or by layers' names; PyTorch is told ``keys`` of the
    state dict and ``where`` in a checkpoint it lies.

    Args:
        paths: the file; here one.
        form: ``keras`` or ``h5`` for a whole model, ``weights.h5`` or ``legacy`` for weights alone.
        network: a record as `networks.build` takes it. Weights alone go into keras.applications' kind of model of
            it, or into a `Sequential` or this project's, whichever Keras can load them into.
        layout: whose model the weights fit; Keras finds out itself.
        keys: layer -> name that it has in the file, where that is another: the file is then loaded by name.

    Returns:
        A function: images ``(N, H, W, 3)``, float32, to the model's output.

    Raises:
        ValueError: Keras can't load it, with its reason.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # about groups that the file hasn't, those of layers without weights among them
        warnings.simplefilter("ignore")
        # Keras goes by the name
        suffix = {"keras": ".keras", "h5": ".h5", "weights.h5": ".weights.h5", "legacy": ".h5"}[form]
        path = Path(folder) / f"original{suffix}"
        path.symlink_to(Path(paths[0]).resolve())
        try:
            whole = form in ("keras", "h5")
            model = (
                _in_full(keras.models.load_model(path, compile=False))
                if whole
                else _loaded(path, network, keys)
            )
        except Exception as error:
            # whatever a library raises: that it can't be loaded is all there is to say
            raise ValueError(f"Keras can't load it: {' '.join(str(error).split())[:150]}") from None
    return lambda images: np.array(keras.ops.convert_to_numpy(model(images, training=False)))


def _in_full(model):
    """The same model in float32 where it computes in half precision, with the weights that it has."""
    text = model.to_json()
    full = re.sub(r'"(mixed_)?b?float16"', '"float32"', text)
    if full == text:
        return model
    again = keras.models.model_from_json(full)
    again.set_weights(model.get_weights())
    return again


def _loaded(path, network, names):
    """Load weights into the first kind of model that they fit."""
    if names:
        model = networks.flat(networks.backbone(network, names), network, names=names)
        model.load_weights(path, by_name=True)
        return model
    reason = None
    for make in (_flat, _sequential, networks.build):
        model = make(network)
        try:
            model.load_weights(path)
        except (ValueError, KeyError) as error:
            reason = reason or error
        else:
            return model
    raise reason


def _flat(network):
    return networks.flat(networks.backbone(network), network)


def _sequential(network):
    """What people write: the backbone, the pooling and the dense layers in a Sequential."""
    body = networks.backbone(network)
    inputs = keras.Input(body.input_shape[1:])
    whole = networks.join(body, network)
    head = [
        layer for layer in whole.get_layer("head").layers if not isinstance(layer, keras.layers.InputLayer)
    ]
    return keras.Sequential([inputs, body, whole.get_layer("pool"), *head])
