"""keras_impl.weights: a model's weights as named arrays."""

import sys

import keras
import numpy as np
import pytest

from compare.weights.shapes import shapes
from compare.weights.sources import KERAS_URLS
from keras_impl import transfer, weights
from tests.support.backends import numpy
from tests.support.keras_models import randomise, small

# Keras 3.15's own way of reading a TensorFlow variable, whenever it saves one
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


@pytest.mark.backend
@pytest.mark.parametrize(("backbone", "variant"), [("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1")])
def test_arrays_set_every_weight_of_another_model(backbone, variant):
    whole, other = small(backbone, variant, 1), small(backbone, variant, 2)
    for part in (None, backbone, "head"):
        source = whole.get_layer(part) if part else whole
        target = other.get_layer(part) if part else other
        randomise(target, 3)
        weights.from_arrays(target, weights.to_arrays(source))
        for a, b in zip(source.weights, target.weights, strict=True):
            np.testing.assert_array_equal(a, b, a.path)


@pytest.mark.backend
def test_names_are_those_of_the_layers():
    model = small()
    arrays = weights.to_arrays(model)
    backbone = model.get_layer("resnet50")
    np.testing.assert_array_equal(
        arrays["conv2_block1_2_conv/kernel"], backbone.get_layer("conv2_block1_2_conv").kernel
    )
    np.testing.assert_array_equal(
        arrays["conv2_block1_0_bn/moving_variance"], backbone.get_layer("conv2_block1_0_bn").moving_variance
    )
    np.testing.assert_array_equal(
        arrays["head_dense_1/kernel"], model.get_layer("head").get_layer("head_dense_1").kernel
    )
    assert len(arrays) == 318 + 6


@pytest.mark.backend
def test_arrays_are_copies():
    model = small("vgg16").get_layer("vgg16")
    arrays = weights.to_arrays(model)
    kept = {name: array.copy() for name, array in arrays.items()}
    randomise(model, 5)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, kept[name])
    weights.from_arrays(model, arrays)
    for array in arrays.values():
        array[...] = 0
    for name, array in weights.to_arrays(model).items():
        np.testing.assert_array_equal(array, kept[name])


@pytest.mark.backend
def test_counters_stay_as_they_are():
    model = small(numerics="matched")
    dropout = model.get_layer("head").get_layer("head_dropout_1")
    dropout.step.assign(7)
    arrays = weights.to_arrays(model)
    assert not any("dropout" in name for name in arrays)
    weights.from_arrays(model, arrays)
    assert int(dropout.step) == 7


@pytest.mark.backend
def test_dtype_is_the_models():
    single = small("vgg16")
    arrays = {name: array.astype("float64") / 3 for name, array in weights.to_arrays(single).items()}
    weights.from_arrays(single, arrays)
    after = weights.to_arrays(single)
    assert {array.dtype for array in after.values()} == {np.dtype("float32")}
    np.testing.assert_array_equal(after["head_output/kernel"], arrays["head_output/kernel"].astype("float32"))


@pytest.mark.backend
def test_other_names_and_shapes_are_listed_and_nothing_changes():
    model = small("vgg16")
    before = weights.to_arrays(model)
    arrays = {name: array + 1 for name, array in before.items()}
    del arrays["head_output/bias"], arrays["block1_conv1/bias"]
    arrays["b/kernel"] = arrays["a/kernel"] = np.zeros(3)
    arrays["head_output/kernel"] = np.zeros((1, 64))
    with pytest.raises(ValueError, match="not this model's") as error:
        weights.from_arrays(model, arrays)
    assert str(error.value).endswith(
        "2 missing: block1_conv1/bias, head_output/bias; 2 unexpected: a/kernel, b/kernel; "
        "1 misshapen: head_output/kernel (1, 64) for (64, 1)"
    )
    for name, array in weights.to_arrays(model).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.backend
def test_two_layers_of_one_name_are_refused():
    inner = [keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="same")]) for _ in range(2)]
    with pytest.raises(ValueError, match="same name: same/bias, same/kernel"):
        weights.to_arrays(keras.Sequential([keras.Input((3,)), *inner]))


@pytest.mark.parametrize(("backbone", "original"), [("resnet50", "ResNet50"), ("vgg16", "VGG16")])
def test_keras_applications_own_model_has_the_same_names(backbone, original):
    model = getattr(keras.applications, original)(weights=None, include_top=False, input_shape=(64, 64, 3))
    arrays = weights.to_arrays(randomise(model))
    ours = transfer.build(backbone).get_layer(backbone)
    weights.from_arrays(ours, arrays)
    images = np.random.default_rng(0).random((2, 64, 64, 3), "float32")
    np.testing.assert_allclose(numpy(ours(images)), numpy(model(images)), rtol=0, atol=1e-6)


def test_the_table_of_shapes_is_the_models():
    for backbone, variant in [("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1")]:
        model = transfer.build(backbone, variant, 0.375).get_layer(backbone)
        table = shapes(backbone, variant, 0.375)
        assert {name: array.shape for name, array in weights.to_arrays(model).items()} == table


@pytest.mark.parametrize("backbone", ["resnet50", "vgg16"])
def test_addresses_are_those_of_keras_applications(monkeypatch, backbone):
    module = sys.modules[f"keras.src.applications.{backbone.removesuffix('50')}"]
    asked = []

    def get_file(name, origin, **options):
        asked.append((name, origin, options["cache_subdir"]))
        raise OSError("no network here")

    monkeypatch.setattr(module.file_utils, "get_file", get_file)
    build = {"resnet50": keras.applications.ResNet50, "vgg16": keras.applications.VGG16}[backbone]
    with pytest.raises(OSError, match="no network"):
        build(weights="imagenet", include_top=False)
    url = KERAS_URLS[backbone]
    assert asked == [(url.rpartition("/")[2], url, "models")]
