"""Files of weights as other programs wrote them, and arrays to put into them."""

import h5py
import numpy as np

from compare.weights.network import Dense, Network
from compare.weights.shapes import shapes
from compare.weights.spellings import written


def arrays_of(backbone, variant="v1", width=0.25, seed=0):
    """Draw arrays in which every value differs from the initial one."""
    generator = np.random.default_rng(seed)
    return {
        name: generator.random(shape, np.float32) + (0.5 if len(shape) == 1 else -0.5)
        for name, shape in shapes(backbone, variant, width).items()
    }


ORDER = ("kernel", "gamma", "beta", "bias", "moving_mean", "moving_variance")
OLDEST_KINDS = {"kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std"}


def write_legacy(path, arrays, weight_name="{layer}/{kind}:0", layer_name=str, kinds=None):
    """Write Keras's legacy layout: attributes list the layers, and each layer's weights."""
    layers = {}
    for name in arrays:
        layers.setdefault(name.split("/")[0], []).append(name.split("/")[1])
    with h5py.File(path, "w") as root:
        root.attrs["layer_names"] = [b"input_1", *(layer_name(layer).encode() for layer in layers)]
        root.create_group("input_1").attrs["weight_names"] = []
        for layer, members in layers.items():
            # as Keras lists them, and loads them by position
            members.sort(key=lambda kind: ORDER.index(kind) if kind in ORDER else len(ORDER))
            group = root.create_group(layer_name(layer))
            names = [
                weight_name.format(layer=layer_name(layer), kind=(kinds or {}).get(kind, kind))
                for kind in members
            ]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, kind in zip(names, members, strict=True):
                group.create_dataset(name, data=arrays[f"{layer}/{kind}"])
    return path


def old_resnet50_layer(layer):
    """Name a layer of ResNet50 as Keras 1 and 2 did, up to 2.2.2."""
    if layer in ("conv1_conv", "conv1_bn", "predictions"):
        return {"conv1_conv": "conv1", "conv1_bn": "bn_conv1", "predictions": "fc1000"}[layer]
    stage, block, n, kind = layer.removeprefix("conv").replace("_block", "_").split("_")
    branch = {"0": "1", "1": "2a", "2": "2b", "3": "2c"}[n]
    return f"{'res' if kind == 'conv' else 'bn'}{stage}{' abcdef'[int(block)]}_branch{branch}"


def network_of(backbone, variant="v1", width=0.25, top=(), **others):
    """A network's record; ``top``: a tuple of name, units, activation and whether there's a bias, each."""
    layers = tuple(Dense(name, units, bias, activation, 0.0) for name, units, activation, bias in top)
    epsilon = 1.001e-5 if variant == "v1" else 1e-5
    facts = {"epsilon": epsilon, "decay": 0.99, "bias": variant == "v1", "pooling": "avg"}
    return Network(backbone, variant, width, "caffe", **{**facts, "top": layers, **others})


def names_of(layout, arrays, network):
    """The names that `saving.write` of PyTorch is given for a layout."""
    layers = list(dict.fromkeys(name.rpartition("/")[0] for name in arrays))
    return written(layout, network.backbone, layers, [layer.name for layer in network.top])


HEAD = [
    ("head_dense_1", 64, "relu", True),
    ("head_dense_2", 64, "relu", True),
    ("head_output", 1, "sigmoid", True),
]
