"""Our networks against torchvision's, with the same random weights."""

import numpy as np
import pytest
import torch
import torchvision
from torchvision.models import vgg

from tests.support.arrays import random_arrays, relative
from torch_impl import tracing, weights
from torch_impl.resnet50 import resnet50
from torch_impl.transfer import build
from torch_impl.vgg16 import vgg16

ROUNDING = 1e-5  # float32, 50 layers, relative to the largest value; the mutants below are at 1e-3 and more


def _pair(backbone):
    """torchvision's network up to its pooling, and ours, with the same weights."""
    if backbone == "resnet50":
        original, ours = torchvision.models.resnet50(), resnet50("v1.5")
        original.fc = original.avgpool = torch.nn.Identity()
    else:
        original, ours = torch.nn.Module(), vgg16()
        original.features = vgg.make_layers(vgg.cfgs["D"])
        original.forward = original.features.forward
    arrays = random_arrays(weights.to_arrays(ours))
    weights.from_arrays(ours, arrays)
    weights.from_arrays(original, arrays)
    return original, ours


@pytest.mark.parametrize("size", [224, 96])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backbone", ["resnet50", "vgg16"])
def test_equals_torchvision(backbone, training, size):
    original, ours = (model.train(training) for model in _pair(backbone))
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = original(x).reshape(2, ours.channels, size // 32, size // 32)
        assert relative(ours(x), expected) < ROUNDING
        if training and backbone == "resnet50":
            found = weights.to_arrays(ours)
            for name, array in weights.to_arrays(original).items():
                assert relative(found[name], array) < ROUNDING, name


def test_has_torchvisions_configuration():
    """What outputs can't see: epsilon and decay."""
    original, ours = torchvision.models.resnet50(), resnet50("v1.5")
    ours_bn = [m for m in ours.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    bn = [m for m in original.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(ours_bn) == len(bn) == 53
    assert {m.eps for m in ours_bn} == {m.eps for m in bn}
    assert [m.momentum for m in ours_bn] == pytest.approx([m.momentum for m in bn])


@pytest.mark.parametrize("variant", ["v1", "v1.5"])
def test_a_moved_stride_is_seen(variant):
    """The two variants compute different things with the same weights."""
    other = {"v1": "v1.5", "v1.5": "v1"}[variant]
    ours, moved = resnet50(variant, 0.25).eval(), resnet50(other, 0.25).eval()
    arrays = random_arrays(weights.to_arrays(ours))
    weights.from_arrays(ours, arrays)
    with_biases = random_arrays(weights.to_arrays(moved)) | arrays
    weights.from_arrays(moved, {name: with_biases[name] for name in weights.to_arrays(moved)})
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert relative(ours(x), moved(x)) > 1e-3


@pytest.mark.parametrize(
    ("backbone", "width", "channels"), [("resnet50", 1, 2048), ("resnet50", 0.25, 512), ("vgg16", 0.5, 256)]
)
def test_width_scales_the_channels(backbone, width, channels):
    model = build(backbone, width=width)
    assert model.backbone.channels == channels
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 1)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"backbone is 'resnet18'; it can be 'resnet50' or 'vgg16'"):
        build("resnet18")
    with pytest.raises(ValueError, match=r"variant is 'v2'; it can be v1, v1.5, v1-old"):
        build(variant="v2")


def test_three_classes_have_probabilities_that_add_up_to_one_and_are_traced_as_two_are():
    images = np.random.default_rng(0).normal(0, 50, (2, 32, 32, 3)).astype(np.float32)
    found = {
        outputs: tracing.forward(build("resnet50", width=0.125, outputs=outputs), images)
        for outputs in (1, 3)
    }
    assert found[1].keys() == found[3].keys()
    assert found[3]["head_output"].shape == (2, 3)
    np.testing.assert_allclose(found[3]["head_output"].sum(1), 1, rtol=1e-5)
