"""Arrays with dense layers, and moving a file in silence, for the tests of `port`."""

import numpy as np
import safetensors.numpy

from compare.port.move import port
from compare.weights.reading import read

OWN = {"first": (7, True), "second": (7, False), "scores": (3, True)}
V1, V15, VGG = (("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1"))


def with_dense(arrays, channels, layers=OWN):
    """Add dense layers."""
    generator = np.random.default_rng(9)
    for name, (units, bias) in layers.items():
        arrays[f"{name}/kernel"] = generator.normal(0, channels**-0.5, (channels, units)).astype("float32")
        if bias:
            arrays[f"{name}/bias"] = generator.normal(0, 0.1, units).astype("float32")
        channels = units
    return arrays


def held(path):
    source = read(path)
    return source.arrays, source.told


def assert_equal(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array, name)


def quiet(line):
    pass


def moved(source, dest, **options):
    return port(source, dest, **{"say": quiet, **options})


def saved(path, arrays, **metadata):
    safetensors.numpy.save_file(arrays, path, {key: str(value) for key, value in metadata.items()} or None)
