"""compare.weights.reading: what Keras wrote, read without Keras."""

import re

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy

from compare.spec import InputError
from compare.weights import reading
from compare.weights.settle import backbone, settle
from keras_impl import weights
from tests.support.keras_models import randomise, small
from tests.support.weight_files import OLDEST_KINDS, arrays_of, old_resnet50_layer, write_legacy

# Keras 3.15's own way of reading a TensorFlow variable, whenever it saves one
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def read(path):
    """Arrays, and the network that they are of."""
    source = reading.read(path)
    return source.arrays, backbone(source)[0]


def facts_of(network):
    return network.backbone, network.variant, network.width, network.preprocessing


def assert_equal(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name], name)


def with_optimizer(model):
    """Give the model what training leaves in its files beside the weights."""
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("variant", ["v1", "v1.5"])
def test_files_of_a_compiled_transfer_model(tmp_path, variant):
    model = with_optimizer(small(variant=variant, numerics="matched"))
    model.save_weights(tmp_path / "a.weights.h5")
    model.save(tmp_path / "a.keras")
    model.save(tmp_path / "a.h5")
    (tmp_path / "a.h5").rename(tmp_path / "no_suffix")
    expected = weights.to_arrays(model)
    for name in ("a.weights.h5", "a.keras", "no_suffix"):
        arrays, network = read(tmp_path / name)
        assert_equal(arrays, expected)
        preprocessing = "caffe" if variant == "v1" else "torch"
        assert facts_of(network) == ("resnet50", variant, 0.25, preprocessing)
    backbone = weights.backbone_arrays(arrays)
    assert_equal(backbone, weights.to_arrays(model.get_layer("resnet50")))


def test_weights_of_a_backbone_alone(tmp_path):
    model = small("vgg16").get_layer("vgg16")
    model.save_weights(tmp_path / "a.weights.h5")
    arrays, network = read(tmp_path / "a.weights.h5")
    assert_equal(arrays, weights.to_arrays(model))
    assert facts_of(network) == ("vgg16", "v1", 0.25, "caffe")


def test_keras_applications_resnet50_with_its_classifier(tmp_path):
    model = randomise(keras.applications.ResNet50(weights=None))
    expected = weights.to_arrays(model)
    model.save_weights(tmp_path / "a.weights.h5")
    write_legacy(tmp_path / "a.h5", expected)
    randomise(model, 1).load_weights(tmp_path / "a.h5")  # Keras reads the test's file as its own
    assert_equal(weights.to_arrays(model), expected)
    for name in ("a.weights.h5", "a.h5"):
        arrays, network = read(tmp_path / name)
        assert_equal(arrays, expected)
        assert network.width == 1
    dropped = expected.keys() - weights.backbone_arrays(arrays).keys()
    assert dropped == {"predictions/kernel", "predictions/bias"}


@pytest.mark.parametrize(
    ("backbone", "layout"),
    [
        ("resnet50", {"layer_name": old_resnet50_layer}),
        (
            "resnet50",
            {"layer_name": old_resnet50_layer, "weight_name": "{layer}_{kind}:0", "kinds": OLDEST_KINDS},
        ),
        ("vgg16", {"weight_name": "{layer}_{kind}_1:0", "kinds": OLDEST_KINDS}),
    ],
)
def test_old_names(tmp_path, backbone, layout):
    expected = arrays_of(backbone)
    expected["predictions/kernel"] = np.ones((4, 3), "float32")
    assert_equal(read(write_legacy(tmp_path / "a.h5", expected, **layout))[0], expected)


def test_safetensors_say_what_the_preprocessing_was(tmp_path):
    expected = arrays_of("resnet50", "v1.5")
    for metadata in ("caffe", "torch", None):
        path = tmp_path / "a"
        safetensors.numpy.save_file(expected, path, metadata and {"preprocessing": metadata})
        arrays, network = read(path)
        assert_equal(arrays, expected)
        assert network.preprocessing == (metadata or "torch")
        assert network.variant == "v1.5"


def lambda_model(path):
    inputs = keras.Input((8, 8, 3))
    inner = keras.Sequential([inputs, keras.layers.Lambda(lambda x: x + 1)])
    keras.Model(inputs, inner(inputs)).save(path)


def truncated(path):
    write_legacy(path, arrays_of("vgg16"))
    path.write_bytes(path.read_bytes()[:-5000])


def truncated_archive(path):
    small("vgg16").save(path.with_suffix(".keras"))
    path.write_bytes(path.with_suffix(".keras").read_bytes()[:-5000])


def linked(path):
    write_legacy(path.with_name("other.h5"), arrays_of("vgg16"))
    write_legacy(path, arrays_of("vgg16"))
    with h5py.File(path, "a") as file:
        del file["block1_conv1/block1_conv1/kernel:0"]
        file["block1_conv1/block1_conv1/kernel:0"] = h5py.ExternalLink("other.h5", "block1_conv1")


def another(path):
    write_legacy(path, {"Conv1/kernel": np.ones((3, 3, 3, 4)), "bn_Conv1/gamma": np.ones(4)})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "is missing"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("no weights at all"), "none of .keras, .weights.h5"),
        (lambda path: path.write_bytes((20).to_bytes(8, "little") + b'{"a": 1'), "may be truncated"),
        (truncated, "may be truncated"),
        (truncated_archive, "may be truncated"),
        (lambda_model, "Lambda layer"),
        (linked, "block1_conv1/kernel"),
        (
            another,
            "holds 2 arrays (Conv1/kernel, bn_Conv1/gamma), neither a ResNet50 nor a VGG16",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path, make, message):
    path = tmp_path / "file.keras"
    make(path)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        settle(reading.read(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
