"""keras_impl.saving: named arrays in files that Keras and keras.applications' own models load."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest

from compare.spec import InputError
from compare.weights import reading
from compare.weights.network import Dense
from compare.weights.settle import settle
from compare.weights.source import Beside
from keras_impl import networks, saving, transfer, weights
from tests.support.backends import numpy
from tests.support.keras_models import randomise, small
from tests.support.weight_files import HEAD, arrays_of, names_of, network_of, old_resnet50_layer

# Keras 3.15's own way of reading a TensorFlow variable, whenever it saves one
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

LOAD = """
import json, sys, warnings
warnings.simplefilter("error", UserWarning)
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], keras.ops.convert_to_numpy(model(np.load(sys.argv[2]), training=False)))
def leaves(model):
    for layer in model.layers:
        yield from leaves(layer) if hasattr(layer, "layers") else [layer]
norms = [layer for layer in leaves(model) if type(layer) is keras.layers.BatchNormalization]
print(json.dumps({
    "modules": sorted({type(layer).__module__.split(".")[0] for layer in leaves(model)}),
    "bn": sorted({(layer.epsilon, layer.momentum) for layer in norms}),
    "count": len(norms),
    "ours": [name for name in ("keras_impl", "compare") if name in sys.modules],
}))
"""


@pytest.mark.parametrize("layout", ["applications", pytest.param("project", marks=pytest.mark.backend)])
def test_plain_keras_loads_the_model_without_this_package(tmp_path, layout):
    model = small(variant="v1.5")
    network = network_of("resnet50", "v1.5", top=HEAD, epsilon=1e-3, decay=0.75)
    saving.write(tmp_path / "a.keras", weights.to_arrays(model), network, layout, {})
    images = np.random.default_rng(0).random((2, 64, 64, 3), "float32")
    np.save(tmp_path / "x.npy", images)
    paths = [str(tmp_path / name) for name in ("a.keras", "x.npy", "y.npy")]
    command = [sys.executable, "-I", "-c", LOAD, *paths]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"modules": ["keras"], "bn": [[1e-3, 0.75]], "count": 53, "ours": []}
    for layer in transfer.parts(model)[0].layers:
        if hasattr(layer, "epsilon"):
            layer.epsilon = 1e-3
    expected = numpy(model(images, training=False))
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=0, atol=1e-6)


@pytest.mark.backend
@pytest.mark.parametrize(("backbone", "variant"), [("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1")])
@pytest.mark.parametrize("top", [HEAD, []])
def test_this_projects_model_loads_its_weights(tmp_path, backbone, variant, top):
    model, other = small(backbone, variant), small(backbone, variant, seed=1)
    if not top:
        model, other = transfer.parts(model)[0], transfer.parts(other)[0]
    network = network_of(backbone, variant, top=[(*layer[:3], True) for layer in top])
    network = replace(network, top=tuple(replace(layer, dropout=0.5) for layer in network.top))
    saving.write(tmp_path / "a.weights.h5", weights.to_arrays(model), network, "project", {})
    other.load_weights(tmp_path / "a.weights.h5")
    loaded = weights.to_arrays(other)
    for name, array in weights.to_arrays(model).items():
        np.testing.assert_array_equal(loaded[name], array, name)


@pytest.fixture(scope="module")
def original():
    """keras.applications' ResNet50 with a small classifier."""
    return randomise(keras.applications.ResNet50(weights=None, classes=3))


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_keras_applications_loads_it_by_position(tmp_path, original, suffix):
    expected = weights.to_arrays(randomise(original))
    path = tmp_path / f"a{suffix}"
    network = network_of("resnet50", "v1", 1.0, top=[("predictions", 3, "softmax", True)])
    saving.write(path, expected, network, "applications", {})
    randomise(original, 1).load_weights(path)
    for name, array in weights.to_arrays(original).items():
        np.testing.assert_array_equal(array, expected[name], name)


def test_old_names_stand_in_the_old_order(tmp_path):
    arrays = arrays_of("resnet50") | {"predictions/kernel": np.ones((512, 3), "float32")}
    network = network_of("resnet50", epsilon=1e-3, top=[("predictions", 3, "softmax", False)])
    saving.write(
        tmp_path / "a.h5", arrays, network, "applications-old", names_of("applications-old", arrays, network)
    )
    with h5py.File(tmp_path / "a.h5") as file:
        names = [str(name) for name in file["model_weights"].attrs["layer_names"].astype(str)]
    assert {name for name in names if "branch" in name or name in ("conv1", "bn_conv1", "fc1000")} == {
        old_resnet50_layer(name.split("/")[0]) for name in arrays
    }
    for a, b in [
        ("res2a_branch2c", "res2a_branch1"),
        ("bn5a_branch2c", "bn5a_branch1"),
        ("conv1", "bn_conv1"),
    ]:
        assert names.index(a) < names.index(b)
    source = reading.read(tmp_path / "a.h5")
    assert source.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(source.arrays[name], array, name)
    assert source.told.epsilon == 1e-3


@pytest.mark.backend
def test_what_a_models_configuration_says(tmp_path):
    network = network_of("resnet50", "v1.5", 0.0625, epsilon=2e-4, decay=0.5, bias=True)
    body = networks.backbone(network)
    x = keras.layers.GlobalMaxPooling2D()(body.output)
    x = keras.layers.Dropout(0.25)(keras.layers.Rescaling(2.0, name="twice")(x))
    x = keras.layers.Activation("tanh")(keras.layers.Dense(5, name="mine")(x))
    x = keras.layers.Dense(2, use_bias=False, activation="softmax", name="last")(x)
    model = randomise(keras.Model(body.input, x))
    model.compile("adam", "categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "a.keras")
    model.save(tmp_path / "a.h5")
    for name in ("a.keras", "a.h5"):
        source = reading.read(tmp_path / name)
        assert source.arrays.keys() == weights.to_arrays(model).keys()
        assert source.beside == (("optimizer", Beside.OPTIMIZER),)
        told = source.told
        assert (told.epsilon, told.decay, told.variant, told.pooling) == (2e-4, 0.5, "v1.5", "max")
        assert told.top == (Dense("mine", 5, True, "tanh", 0.25), Dense("last", 2, False, "softmax", 0.0))
        with pytest.raises(InputError, match=r"layer twice \(Rescaling\) is part of what the model computes"):
            settle(source)


@pytest.mark.backend
def test_bn_layers_that_differ_are_refused(tmp_path):
    body = networks.backbone(network_of("resnet50", width=0.0625))
    body.save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as plain, zipfile.ZipFile(tmp_path / "b.keras", "w") as other:
        for name in plain.namelist():
            content = plain.read(name)
            other.writestr(name, content.replace(b'"epsilon": 1.001e-05', b'"epsilon": 0.5', 1))
    with pytest.raises(
        InputError,
        match=r"several epsilons and momentums: conv1_bn 0.5 and 0.99, conv2_block1_1_bn 1.001e-05 and 0.99",
    ):
        reading.read(tmp_path / "b.keras")


@pytest.mark.backend
def test_a_flattened_map_is_channels_last(tmp_path):
    network = network_of(
        "vgg16", width=0.0625, top=[("mine", 3, "relu", True)], pooling="flatten", map=(2, 2), size=(64, 64)
    )
    arrays = arrays_of("vgg16", width=0.0625)
    arrays |= {
        "mine/kernel": np.random.default_rng(0).random((128, 3), "float32"),
        "mine/bias": np.ones(3, "float32"),
    }
    saving.write(tmp_path / "a.keras", arrays, network, "applications", {})
    model = keras.models.load_model(tmp_path / "a.keras")
    features = keras.Model(model.input, model.get_layer("pool").input)
    images = np.random.default_rng(1).random((2, 64, 64, 3), "float32")
    expected = numpy(features(images)).reshape(2, -1) @ arrays["mine/kernel"] + 1
    np.testing.assert_allclose(numpy(model(images)), expected, rtol=1e-5)


def test_float64_stays(tmp_path):
    """JAX has no float64 unless the process was told; a port's is, which `tests/port/test_backends.py` holds."""
    arrays = {name: array.astype("float64") / 3 for name, array in arrays_of("vgg16", width=0.0625).items()}
    saving.write(tmp_path / "a.weights.h5", arrays, network_of("vgg16", width=0.0625), "applications", {})
    for name, array in reading.read(tmp_path / "a.weights.h5").arrays.items():
        np.testing.assert_array_equal(array, arrays[name])
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float32", "float32")
