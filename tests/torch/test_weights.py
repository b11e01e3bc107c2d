"""torch_impl.weights: a model's weights as named arrays."""

import numpy as np
import pytest
import torch
import torchvision

from compare.weights.shapes import shapes
from compare.weights.sources import TORCHVISION_URLS
from compare.weights.spellings import SPELLINGS, Names, spelled
from tests.support.torch_models import randomise, small
from torch_impl import names, transfer, weights


@pytest.mark.parametrize(("backbone", "variant"), [("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1")])
@pytest.mark.parametrize("part", ["whole", "backbone", "head"])
def test_arrays_set_every_weight_of_another_model(backbone, variant, part):
    source, target = small(backbone, variant, 1), small(backbone, variant, 2)
    if part != "whole":
        source, target = getattr(source, part), getattr(target, part)
    weights.from_arrays(target, weights.to_arrays(source))
    expected = source.state_dict()
    for key, tensor in target.state_dict().items():
        assert torch.equal(tensor, expected[key]), key


@pytest.mark.parametrize("backbone", ["resnet50", "vgg16"])
def test_the_reader_has_the_same_names(backbone):
    """It reads files without PyTorch, and so has tables of its own."""
    of = {spelling.names: spelling for spelling in SPELLINGS if spelling.backbone == backbone}
    assert of[Names.TORCHVISION].modules == names.TORCHVISION[backbone]
    state = {key: tensor.numpy() for key, tensor in small(backbone).backbone.state_dict().items()}
    assert spelled(state)[0].keys == {
        name: key for key, name in names.of_state(small(backbone).backbone.state_dict()).items()
    }


def test_names_and_layouts_are_those_of_keras():
    model = small()
    arrays = weights.to_arrays(model)
    block = model.backbone.conv2_block1
    np.testing.assert_array_equal(
        arrays["conv2_block1_2_conv/kernel"], block.conv2.weight.detach().permute(2, 3, 1, 0).numpy()
    )
    np.testing.assert_array_equal(arrays["conv2_block1_0_bn/moving_variance"], block.bn0.running_var.numpy())
    np.testing.assert_array_equal(
        arrays["head_dense_1/kernel"], model.head.head_dense_1.weight.detach().T.numpy()
    )
    assert all(array.flags.c_contiguous for array in arrays.values())
    assert len(arrays) == 318 + 6


def test_arrays_are_copies():
    model = small("vgg16").backbone
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
    model.head.head_dropout_1.step += 7
    model.backbone.conv1_bn.num_batches_tracked += 3
    arrays = weights.to_arrays(model)
    assert not any("dropout" in name or "tracked" in name for name in arrays)
    weights.from_arrays(model, arrays)
    assert model.head.head_dropout_1.step == 7
    assert model.backbone.conv1_bn.num_batches_tracked == 3


def test_dtype_is_the_models():
    double, single = small("vgg16", seed=1).double(), small("vgg16", seed=2)
    arrays = weights.to_arrays(double)
    assert {array.dtype for array in arrays.values()} == {np.dtype("float64")}
    weights.from_arrays(single, arrays)
    assert single.head.head_output.weight.dtype == torch.float32
    assert torch.equal(single.head.head_output.weight, double.head.head_output.weight.float())


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


@pytest.mark.parametrize(("backbone", "parts"), [("resnet50", -2), ("vgg16", 1)])
def test_torchvisions_own_model_has_the_same_names(backbone, parts):
    model = getattr(torchvision.models, backbone)(weights=None, num_classes=7)
    if backbone == "vgg16":
        model.classifier = torch.nn.Identity()
    randomise(model)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    arrays = weights.to_arrays(model)
    ours = transfer.build(backbone, "v1.5").backbone
    assert arrays.keys() - weights.to_arrays(ours).keys() <= {"predictions/kernel", "predictions/bias"}
    weights.from_arrays(ours, {name: arrays[name] for name in arrays if not name.startswith("predictions")})
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = torch.nn.Sequential(*list(model.children())[:parts]).eval()(images)
        torch.testing.assert_close(ours.eval()(images), expected, rtol=0, atol=1e-6)
    weights.from_arrays(randomise(model, 1), arrays)
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[key]), key


def test_vggs_first_dense_layer_takes_the_channels_last():
    features = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3))
    model = torch.nn.ModuleDict(
        {"features": features, "classifier": torch.nn.Sequential(torch.nn.Linear(8 * 49, 5))}
    )
    weight = model["classifier"][0].weight.detach().clone()
    arrays = weights.to_arrays(model)
    assert arrays["fc1/kernel"][(2 * 7 + 3) * 8 + 6, 4] == weight[4, (6 * 7 + 2) * 7 + 3]
    weights.from_arrays(randomise(model), arrays)
    assert torch.equal(model["classifier"][0].weight, weight)


def test_the_table_of_shapes_is_the_models():
    for backbone, variant in [("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1")]:
        arrays = weights.to_arrays(transfer.build(backbone, variant, 0.375).backbone)
        assert {name: array.shape for name, array in arrays.items()} == shapes(backbone, variant, 0.375)


def test_addresses_are_those_of_torchvision():
    assert TORCHVISION_URLS["resnet50"] == torchvision.models.ResNet50_Weights.IMAGENET1K_V1.url
    assert TORCHVISION_URLS["vgg16"] == torchvision.models.VGG16_Weights.IMAGENET1K_V1.url
