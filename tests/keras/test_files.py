"""keras_impl.files: a file run by Keras's own loading gives what its arrays, as they were read, compute."""

import keras
import numpy as np
import pytest

from compare.weights import hdf5
from compare.weights.original import original as owners
from compare.weights.reading import read
from compare.weights.settle import settle
from compare.weights.source import Beside
from keras_impl import files, networks, weights
from tests.support.arrays import random_arrays
from tests.support.weight_files import arrays_of, write_legacy

# Keras 3.15's own way of reading a TensorFlow variable, whenever it saves one
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def computed(path):
    """What Keras's own loading gives, and what the arrays that were read give."""
    source = read(path)
    network, _ = settle(source)
    own = owners(source, network)
    function = files.original(own.paths, own.form, network, own.layout, own.keys, own.where)
    size = network.size if any(network.size) else (64, 64)
    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    model = networks.build(network)
    weights.from_arrays(model, source.arrays)
    return function(images), np.array(model(images, training=False))


def alike(path):
    found, expected = computed(path)
    assert expected.std() > 1e-6
    return np.abs(found - expected).max() / np.abs(expected).max() < 2e-6


def filled(model):
    weights.from_arrays(model, random_arrays(weights.to_arrays(model)))
    return model


def body(size=(64, 96)):
    """VGG16, narrow, as keras.applications names it."""
    inputs = x = keras.Input((*size, 3))
    for block, count in {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}.items():
        for conv in range(1, count + 1):
            name = f"block{block}_conv{conv}"
            x = keras.layers.Conv2D(
                4 * min(2 ** (block - 1), 8), 3, padding="same", activation="relu", name=name
            )(x)
        x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    return keras.Model(inputs, x, name="vgg16")


def sequential(*units, size=(64, 96)):
    layers = [keras.layers.Dense(n, "relu", name=f"dense_{i}") for i, n in enumerate(units, 8)]
    head = [keras.layers.Flatten(name="flat"), *layers, keras.layers.Dense(3, name="last")]
    return filled(keras.Sequential([body(size), *head]))


@pytest.mark.parametrize("name", ["a.keras", "a.h5", "a.weights.h5", "no_suffix"])
def test_a_file_as_its_owner_runs_it(tmp_path, name):
    # weights alone don't say the size of a map that isn't square
    model = sequential(192, 24, size=(64, 64) if name == "a.weights.h5" else (64, 96))
    if name == "a.weights.h5":
        model.save_weights(tmp_path / name)
    else:
        path = tmp_path / ("a.keras" if name == "no_suffix" else name)
        model.save(path)
        path.rename(tmp_path / name)
    assert alike(tmp_path / name)


def legacy(path):
    """Dense layers of one shape, of which the second's name sorts before the first's."""
    arrays = random_arrays(arrays_of("vgg16", width=0.0625))
    generator = np.random.default_rng(3)
    for number in (8, 9, 10, 11):
        arrays[f"dense_{number}/kernel"] = generator.normal(0, 0.2, (32, 32)).astype("float32")
        arrays[f"dense_{number}/bias"] = generator.normal(0, 0.1, 32).astype("float32")
    return write_legacy(path, arrays)


def test_a_legacy_file_is_loaded_by_position(tmp_path):
    assert alike(legacy(tmp_path / "a.h5"))


def test_another_order_of_the_layers_would_be_found(tmp_path, monkeypatch):
    listed = hdf5.listed
    monkeypatch.setattr(
        hdf5, "listed", lambda attributes, name: sorted(listed(attributes, name), reverse=True)
    )
    monkeypatch.setattr("compare.weights.guard.call", lambda function, *arguments, size: function(*arguments))
    assert not alike(legacy(tmp_path / "a.h5"))


def test_a_model_that_has_a_layer_otherwise_would_be_found(tmp_path):
    model = sequential(24)
    model.get_layer("vgg16").get_layer("block3_conv2").activation = keras.activations.linear
    model.save(tmp_path / "a.keras")
    assert not alike(tmp_path / "a.keras")


def test_what_keras_cannot_load_is_said(tmp_path):
    sequential(24).save(tmp_path / "a.keras")
    source = read(tmp_path / "a.keras")
    network, _ = settle(source)
    own = owners(source, network)
    (tmp_path / "a.keras").write_bytes((tmp_path / "a.keras").read_bytes()[:-500])
    with pytest.raises(ValueError, match="Keras can't load it: "):
        files.original(own.paths, own.form, network, own.layout, own.keys, own.where)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_in_half_precision_is_run_in_float32(tmp_path, suffix):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = filled(sequential(8))
    finally:
        keras.config.set_dtype_policy("float32")
    model.save(tmp_path / f"a{suffix}")
    assert ("mixed_float16", Beside.PRECISION) in read(tmp_path / f"a{suffix}").beside
    assert alike(tmp_path / f"a{suffix}")
