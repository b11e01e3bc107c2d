"""Named arrays written as files: Keras's formats.

What weights can't say (epsilon, strides) is kept in a ``.keras`` and a legacy ``.h5`` as the model's
configuration, in a ``.safetensors`` as metadata; a ``.weights.h5`` has no place for it.
"""

import json
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras
import safetensors.numpy

from . import networks
from .files import _FACTS, _OLD_LAYERS
from .resnet50 import resnet50
from .vgg16 import vgg16
from .weights import from_arrays


def write(path, arrays, facts, layout):
    """Write named arrays in a format of Keras, in the arrays' dtype; a model in it is made of stock layers.

    Args:
        path: ends in ``.keras``, ``.weights.h5``, ``.h5`` (the legacy format) or ``.safetensors``.
        arrays: of a whole network, by neutral name.
        facts: as `networks.build` takes them; kept in the file where there is a place.
        layout: ``applications`` or ``project``: whose model the weights are to fit, keras.applications' with
            the dense layers on its output, or `transfer.build`'s, which keeps the parts apart;
            ``applications-old`` is the former under the layer names of Keras 1 and 2. Ignored for
            ``.safetensors``.

    Raises:
        OSError: the file can't be written.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        safetensors.numpy.save_file(arrays, path, {_FACTS: json.dumps(facts, sort_keys=True)})
        return
    with _dtype(str(next(iter(arrays.values())).dtype)):
        model = _model(arrays, facts, layout, path)
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
        return
    model.save(path)
    if layout == "applications-old":
        _order_as_of_old(path)


@contextmanager
def _dtype(name):
    """Make layers of a dtype; Keras keeps a policy beside floatx, made from it once."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def _model(arrays, facts, layout, path):
    """Build the model that the layout names and set its weights."""
    old = {layer: name for name, layer in _OLD_LAYERS.items()} if layout == "applications-old" else {}
    if layout == "project" and path.name.endswith(".weights.h5"):  # Keras counts layers by their class
        own = (
            resnet50(facts["variant"], facts["width"])
            if facts["backbone"] == "resnet50"
            else vgg16(facts["width"])
        )
        model = networks._nested(own, facts) if facts["top"] else own
    else:
        body = networks._backbone(facts, old)
        top = [{**layer, "name": old.get(layer["name"], layer["name"])} for layer in facts["top"]]
        join = networks._nested if layout == "project" and top else networks._flat
        model = join(body, {**facts, "top": top})
    renamed = {}
    for name, array in arrays.items():
        layer, _, kind = name.rpartition("/")
        renamed[f"{old.get(layer, layer)}/{kind}"] = array
    from_arrays(model, renamed)
    return model


def _order_as_of_old(path):
    """List the layers as Keras 1 and 2 did, which load by position: a shortcut after the block's last convolution."""
    with h5py.File(path, "a") as file:
        attributes = file["model_weights"].attrs
        names = [name.decode() if isinstance(name, bytes) else name for name in attributes["layer_names"]]
        for i, name in enumerate(names[1:], 1):
            if name.endswith("branch2c") and names[i - 1].endswith("branch1"):
                names[i - 1 : i + 1] = name, names[i - 1]
        attributes["layer_names"] = [name.encode() for name in names]
