"""torch_impl.saving: named arrays as state dicts that PyTorch's and torchvision's own loaders take."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision

from compare.weights import reading
from compare.weights.settle import settle
from compare.weights.source import Beside
from tests.support.torch_models import randomise, small
from tests.support.weight_files import HEAD, arrays_of, names_of, network_of
from torch_impl import networks, saving, weights


def test_torchvisions_class_takes_it_strictly(tmp_path):
    model = randomise(torchvision.models.resnet50(weights=None, num_classes=7))
    arrays = weights.to_arrays(model)
    network = network_of("resnet50", "v1.5", 1.0, top=[("predictions", 7, "softmax", True)])
    saving.write(tmp_path / "a.pth", arrays, network, "torchvision", names_of("torchvision", arrays, network))
    state = torch.load(tmp_path / "a.pth", weights_only=True)
    other = torchvision.models.resnet50(weights=None, num_classes=7)
    other.load_state_dict(state, strict=True)
    for key, tensor in other.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[key]), key
    assert state["bn1.num_batches_tracked"].dtype == torch.int64
    assert state["bn1.num_batches_tracked"] == 0


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(("backbone", "variant"), [("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1")])
def test_this_projects_model_takes_it_strictly(tmp_path, backbone, variant, suffix):
    model = small(backbone, variant)
    path = tmp_path / f"a{suffix}"
    network, arrays = network_of(backbone, variant, top=HEAD), weights.to_arrays(model)
    saving.write(path, arrays, network, "project", names_of("project", arrays, network))
    if suffix == ".pth":
        other = small(backbone, variant, seed=1)
        other.load_state_dict(torch.load(path, weights_only=True), strict=True)
        for key, tensor in other.state_dict().items():
            assert torch.equal(tensor, model.state_dict()[key]), key
    source = reading.read(path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(source.arrays[name], array, name)
    assert settle(source) == (network, [])


@pytest.mark.parametrize("layout", ["torchvision", "project"])
@pytest.mark.parametrize("name", ["fc", "my_dense", "classifier.0", "fc1", "dense"])
@pytest.mark.parametrize(("backbone", "variant"), [("resnet50", "v1.5"), ("vgg16", "v1")])
def test_names_of_a_persons_own_layers_are_kept(tmp_path, backbone, variant, name, layout):
    arrays = arrays_of(backbone, variant, 0.0625)
    channels = {"resnet50": 128, "vgg16": 32}[backbone]
    arrays |= {f"{name}/kernel": np.random.default_rng(0).random((channels, 3), "float32")}
    network = network_of(backbone, variant, 0.0625, top=[(name, 3, "linear", False)])
    saving.write(tmp_path / "a.pt", arrays, network, layout, names_of(layout, arrays, network))
    again = reading.read(tmp_path / "a.pt").arrays
    assert again.keys() == arrays.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(again[key], array, key)


def test_a_flattened_map_is_channels_first_in_the_file_and_last_in_the_arrays(tmp_path):
    width, channels = 0.0625, 32
    layers = torchvision.models.vgg.make_layers(
        [4, 4, "M", 8, 8, "M", 16, 16, 16, "M", *[32, 32, 32, "M"] * 2]
    )
    model = torch.nn.ModuleDict(
        {"features": layers, "classifier": torch.nn.Sequential(torch.nn.Linear(channels * 4, 5))}
    )
    randomise(model)
    torch.save(model.state_dict(), tmp_path / "a.pth")
    source = reading.read(tmp_path / "a.pth")
    arrays, (described, assumed) = source.arrays, settle(source)
    top = [("fc1", 5, "linear", True)]
    expected = network_of("vgg16", "v1", width, top, pooling="flatten", map=(2, 2), size=(64, 64), bias=True)
    assert described == replace(
        expected, preprocessing="torch", epsilon=described.epsilon, decay=described.decay
    )
    network = networks.build(described)  # which flattens (H, W, C)
    weights.from_arrays(network, arrays)
    images = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        expected = model["classifier"](layers(images).flatten(1))
        torch.testing.assert_close(
            network(images), expected, rtol=1e-5, atol=1e-6 * expected.abs().max().item()
        )
    names = names_of("torchvision", arrays, described)
    saving.write(tmp_path / "b.pth", arrays, described, "torchvision", names)
    model.load_state_dict(torch.load(tmp_path / "b.pth", weights_only=True), strict=True)
    torch.testing.assert_close(
        model["classifier"][0].weight, torch.load(tmp_path / "a.pth")["classifier.0.weight"]
    )
    assert [line.partition(" (")[0] for line in assumed] == ["activations"]


def test_what_training_left_in_a_checkpoint_is_named(tmp_path):
    model = torch.nn.DataParallel(small("vgg16"))
    optimizer = torch.optim.Adam(model.parameters())
    checkpoint = {"state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    torch.save(checkpoint, tmp_path / "a.pth")
    source = reading.read(tmp_path / "a.pth")
    assert source.beside == (("epoch", Beside.OTHER), ("optimizer", Beside.OPTIMIZER))
    assert source.arrays.keys() == weights.to_arrays(model.module).keys()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(tmp_path, dtype):
    state = {key: tensor.to(dtype) for key, tensor in small("vgg16").state_dict().items()}
    torch.save(state, tmp_path / "a.pth")
    arrays = reading.read(tmp_path / "a.pth").arrays
    assert {array.dtype for array in arrays.values()} == {np.dtype("float32")}
    np.testing.assert_array_equal(arrays["head_output/bias"], state["head.head_output.bias"].float().numpy())


def test_a_network_has_the_facts_constants():
    model = networks.build(network_of("resnet50", "v1", epsilon=1e-3, bias=False, decay=0.75))
    norm = model.backbone.conv4_block2.bn1
    assert (norm.eps, norm.momentum) == (1e-3, 0.25)
    assert model.backbone.conv1_conv.bias is None
    assert model.backbone.conv3_block1.conv1.stride == (2, 2)
