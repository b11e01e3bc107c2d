"""Named arrays written as files: Keras's formats.

What weights can't say (epsilon, strides) is kept in a ``.keras`` and a legacy ``.h5`` as the model's
configuration, in a ``.safetensors`` as metadata; a ``.weights.h5`` has no place for it.
"""

import json
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import h5py
import keras
import safetensors.numpy

from . import networks
from .resnet50 import resnet50
from .vgg16 import vgg16
from .weights import from_arrays

# where the record is kept
FACTS = "facts"


def write(path, arrays, network, layout, names):
    """Write named arrays in a format of Keras, in the arrays' dtype; a model in it is made of stock layers.

    DIFFERS: a model in a file has parts or has none, which ``layout`` tells; a state dict's names are all there is.

    Args:
        path: ends in ``.keras``, ``.weights.h5``, ``.h5`` (the legacy format) or ``.safetensors``.
        arrays: of a whole network, by neutral name.
        network: a record as `networks.build` takes it, a dataclass; kept in the file where there is a place.
        layout: ``applications`` or ``project``: whose model the weights are to fit, keras.applications' with
            the dense layers on its output, or `transfer.build`'s, which keeps the parts apart;
            ``applications-old`` is the former in the order of Keras 1 and 2. Ignored for ``.safetensors``.
        names: layer -> other name that it has in the file.

    Raises:
        OSError: the file can't be written.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        safetensors.numpy.save_file(arrays, path, {FACTS: json.dumps(asdict(network), sort_keys=True)})
        return
    with _dtype(str(next(iter(arrays.values())).dtype)):
        model = _model(arrays, network, layout, path, names)
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


def _model(arrays, network, layout, path, names):
    """Build the model that the layout names and set its weights."""
    if layout == "project" and path.name.endswith(".weights.h5"):
        # Keras counts layers by their class, so that this project's own have to be in it
        resnet = network.backbone == "resnet50"
        own = resnet50(network.variant, network.width) if resnet else vgg16(network.width)
        model = networks.join(own, network) if network.top else own
    else:
        body = networks.backbone(network, names)
        join = networks.join if layout == "project" and network.top else networks.flat
        model = join(body, network, names=names)
    renamed = {}
    for name, array in arrays.items():
        layer, _, kind = name.rpartition("/")
        renamed[f"{names.get(layer, layer)}/{kind}"] = array
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
