"""keras_impl.weights: a model's weights as named arrays, and files of weights."""

import re
import sys

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy

from compare.shapes import shapes
from compare.sources import KERAS_URLS
from keras_impl import transfer, weights
from tests.weight_files import OLDEST_KINDS, arrays_of, old_resnet50_layer, write_legacy

# Keras 3.15's own way of reading a TensorFlow variable, whenever it saves one
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def randomise(model, seed=0):
    """Give every weight and statistic a value of its own, far from the initial one."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if "int" not in weight.dtype:
            values = generator.random(weight.shape, "float32")
            fan_in = np.prod(weight.shape[:-1])
            weight.assign(values + 0.5 if len(weight.shape) == 1 else (values - 0.5) / fan_in**0.5)
    return model


def small(backbone="resnet50", variant="v1", seed=0, **options):
    return randomise(transfer.build(backbone, variant, 0.25, **options), seed)


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


def test_counters_stay_as_they_are():
    model = small(numerics="matched")
    dropout = model.get_layer("head").get_layer("head_dropout_1")
    dropout.step.assign(7)
    arrays = weights.to_arrays(model)
    assert not any("dropout" in name for name in arrays)
    weights.from_arrays(model, arrays)
    assert int(dropout.step) == 7


def test_dtype_is_the_models():
    single = small("vgg16")
    arrays = {name: array.astype("float64") / 3 for name, array in weights.to_arrays(single).items()}
    weights.from_arrays(single, arrays)
    after = weights.to_arrays(single)
    assert {array.dtype for array in after.values()} == {np.dtype("float32")}
    np.testing.assert_array_equal(after["head_output/kernel"], arrays["head_output/kernel"].astype("float32"))


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
    np.testing.assert_allclose(ours(images), model(images), rtol=0, atol=1e-6)


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
        arrays, facts = weights.read(tmp_path / name)
        assert_equal(arrays, expected)
        preprocessing = "caffe" if variant == "v1" else "torch"
        assert facts == {
            "backbone": "resnet50",
            "variant": variant,
            "width": 0.25,
            "preprocessing": preprocessing,
        }
    backbone = weights.backbone_arrays(arrays)
    assert_equal(backbone, weights.to_arrays(model.get_layer("resnet50")))


def test_weights_of_a_backbone_alone(tmp_path):
    model = small("vgg16").get_layer("vgg16")
    model.save_weights(tmp_path / "a.weights.h5")
    arrays, facts = weights.read(tmp_path / "a.weights.h5")
    assert_equal(arrays, weights.to_arrays(model))
    assert facts == {"backbone": "vgg16", "variant": "v1", "width": 0.25, "preprocessing": "caffe"}


def test_keras_applications_resnet50_with_its_classifier(tmp_path):
    model = randomise(keras.applications.ResNet50(weights=None))
    expected = weights.to_arrays(model)
    model.save_weights(tmp_path / "a.weights.h5")
    write_legacy(tmp_path / "a.h5", expected)
    randomise(model, 1).load_weights(tmp_path / "a.h5")  # Keras reads the test's file as its own
    assert_equal(weights.to_arrays(model), expected)
    for name in ("a.weights.h5", "a.h5"):
        arrays, facts = weights.read(tmp_path / name)
        assert_equal(arrays, expected)
        assert facts["width"] == 1
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
    assert_equal(weights.read(write_legacy(tmp_path / "a.h5", expected, **layout))[0], expected)


def test_safetensors_say_what_the_preprocessing_was(tmp_path):
    expected = arrays_of("resnet50", "v1.5")
    for metadata in ("pretext", "caffe", None):
        path = tmp_path / "a"
        safetensors.numpy.save_file(expected, path, metadata and {"preprocessing": metadata})
        arrays, facts = weights.read(path)
        assert_equal(arrays, expected)
        assert facts["preprocessing"] == (metadata or "torch")
        assert facts["variant"] == "v1.5"


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


def nameless(path):
    small("vgg16").save_weights(path.with_suffix(".weights.h5"))
    path.with_suffix(".weights.h5").rename(path)
    with h5py.File(path, "a") as file:
        del file["layers/functional/layers/conv2d/vars"].attrs["name"]


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
        (lambda path: path.write_bytes(b""), "none of .weights.h5, .keras, .h5 and .safetensors"),
        (lambda path: path.write_text("no weights at all"), "none of .weights.h5"),
        (lambda path: path.write_bytes((20).to_bytes(8, "little") + b'{"a": 1'), "may be truncated"),
        (truncated, "may be truncated"),
        (truncated_archive, "may be truncated"),
        (lambda_model, "Lambda layer"),
        (nameless, "before 3.6"),
        (linked, "block1_conv1/kernel"),
        (
            another,
            "missing: conv1_conv/kernel or block1_conv1/kernel; unexpected: Conv1/kernel, bn_Conv1/gamma",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path, make, message):
    path = tmp_path / "file.keras"
    make(path)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        weights.read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


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
