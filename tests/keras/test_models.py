"""Our networks against keras.applications', with the same random weights."""

import keras
import numpy as np
import pytest

from keras_impl import tracing, weights
from keras_impl.resnet50 import resnet50
from keras_impl.transfer import build, parts
from keras_impl.vgg16 import vgg16
from tests.support.arrays import random_arrays, relative
from tests.support.backends import numpy

ROUNDING = 1e-5  # float32, 50 layers, relative to the largest value; the mutants below are at 1e-3 and more


@pytest.fixture(scope="module")
def pairs():
    """keras.applications' network without its top, and ours, with the same weights."""
    applications = {"resnet50": keras.applications.ResNet50, "vgg16": keras.applications.VGG16}
    made = {}
    for backbone, ours in (("resnet50", resnet50("v1")), ("vgg16", vgg16())):
        original = applications[backbone](weights=None, include_top=False)
        made[backbone] = (original, ours, random_arrays(weights.to_arrays(ours)))
    return made


@pytest.mark.parametrize("size", [224, pytest.param(96, marks=pytest.mark.backend)])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backbone", ["resnet50", "vgg16"])
def test_equals_keras_applications(pairs, backbone, training, size):
    original, ours, arrays = pairs[backbone]
    weights.from_arrays(original, arrays)
    weights.from_arrays(ours, arrays)
    x = np.random.default_rng(1).normal(size=(2, size, size, 3)).astype(np.float32)
    assert relative(numpy(ours(x, training=training)), numpy(original(x, training=training))) < ROUNDING
    after, expected = weights.to_arrays(ours), weights.to_arrays(original)
    assert after.keys() == expected.keys()
    for name, array in expected.items():
        assert relative(after[name], array) < ROUNDING, name
    if backbone == "resnet50":
        assert training != np.array_equal(after["conv1_bn/moving_mean"], arrays["conv1_bn/moving_mean"])


def test_has_keras_applications_configuration(pairs):
    """What outputs can't see: epsilon and decay."""
    original, ours, _ = pairs["resnet50"]
    facts = [
        {layer.name: (layer.epsilon, layer.momentum) for layer in model.layers if layer.name.endswith("_bn")}
        for model in (ours, original)
    ]
    assert facts[0] == facts[1]
    assert len(facts[0]) == 53


@pytest.mark.backend
@pytest.mark.parametrize(("backbone", "width", "channels"), [("resnet50", 0.25, 512), ("vgg16", 0.5, 256)])
def test_width_scales_the_channels(backbone, width, channels):
    model = build(backbone, width=width)
    assert parts(model)[0].output.shape[-1] == channels
    assert model(np.ones((2, 64, 64, 3), np.float32)).shape == (2, 1)


def test_the_variants_differ_in_stride_place_and_biases():
    v1, v15 = resnet50("v1", 0.25), resnet50("v1.5", 0.25)
    assert v1.get_layer("conv3_block1_1_conv").strides == (2, 2)
    assert v1.get_layer("conv3_block1_2_conv").strides == (1, 1)
    assert v15.get_layer("conv3_block1_1_conv").strides == (1, 1)
    assert v15.get_layer("conv3_block1_2_conv").strides == (2, 2)
    assert {name.rpartition("/")[2] for name in weights.to_arrays(v1) if "_conv/" in name} == {
        "kernel",
        "bias",
    }
    assert {name.rpartition("/")[2] for name in weights.to_arrays(v15) if "_conv/" in name} == {"kernel"}


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"backbone is 'resnet18'; it can be 'resnet50' or 'vgg16'"):
        build("resnet18")
    with pytest.raises(ValueError, match=r"variant is 'v2'; it can be v1, v1.5, v1-old"):
        build(variant="v2")


@pytest.mark.backend
def test_three_classes_have_probabilities_that_add_up_to_one_and_are_traced_as_two_are():
    images = np.random.default_rng(0).normal(0, 50, (2, 32, 32, 3)).astype(np.float32)
    found = {
        outputs: tracing.forward(build("resnet50", width=0.125, outputs=outputs), images)
        for outputs in (1, 3)
    }
    assert found[1].keys() == found[3].keys()
    assert found[3]["head_output"].shape == (2, 3)
    np.testing.assert_allclose(found[3]["head_output"].sum(1), 1, rtol=1e-5)
