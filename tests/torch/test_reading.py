"""compare.weights.reading: what PyTorch wrote, read without PyTorch."""

import os
import pickle
import re

import numpy as np
import pytest
import safetensors.numpy
import torch
import torchvision

from compare.spec import InputError
from compare.weights import reading
from compare.weights.settle import backbone, settle
from tests.support.torch_models import randomise, small
from tests.support.weight_files import arrays_of
from torch_impl import transfer, weights


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


@pytest.mark.parametrize(
    ("backbone", "variant", "preprocessing"),
    [("resnet50", "v1", "caffe"), ("resnet50", "v1.5", "torch"), ("vgg16", "v1", "caffe")],
)
@pytest.mark.parametrize("part", ["whole", "backbone"])
def test_our_own_state_dict(tmp_path, backbone, variant, preprocessing, part):
    model = small(backbone, variant, numerics="matched")
    model = model.backbone if part == "backbone" else model
    torch.save(model.state_dict(), tmp_path / "a")
    arrays, network = read(tmp_path / "a")
    assert_equal(arrays, weights.to_arrays(model))
    assert facts_of(network) == (backbone, variant, 0.25, preprocessing)


@pytest.mark.parametrize("zipped", [True, False])
def test_torchvisions_resnet50_with_its_classifier(tmp_path, zipped):
    model = randomise(torchvision.models.resnet50(weights=None, num_classes=7))
    torch.save(model.state_dict(), tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    arrays, network = read(tmp_path / "a.pth")
    assert facts_of(network) == ("resnet50", "v1.5", 1, "torch")
    ours = transfer.build("resnet50", "v1.5").backbone
    dropped = arrays.keys() - weights.backbone_arrays(arrays).keys()
    assert dropped == {"predictions/kernel", "predictions/bias"}
    weights.from_arrays(ours, weights.backbone_arrays(arrays))
    torch.testing.assert_close(
        ours.conv4_block6.bn2.running_var, model.layer3[5].bn2.running_var, rtol=0, atol=0
    )
    torch.testing.assert_close(
        ours.conv5_block1.conv0.weight, model.layer4[0].downsample[0].weight, rtol=0, atol=0
    )


def test_torchvisions_names_of_vgg16(tmp_path):
    expected = arrays_of("vgg16")
    features = torchvision.models.vgg16(init_weights=False).features
    numbers = [number for number, layer in enumerate(features) if isinstance(layer, torch.nn.Conv2d)]
    layers = [name.split("/")[0] for name in expected if name.endswith("kernel")]
    state = {}
    for number, layer in zip(numbers, layers, strict=True):
        kernel = torch.from_numpy(expected[f"{layer}/kernel"])
        state[f"features.{number}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
        state[f"features.{number}.bias"] = torch.from_numpy(expected[f"{layer}/bias"])
    torch.save(state | {"classifier.3.weight": torch.ones(5, 4)}, tmp_path / "a.pth")
    arrays, network = read(tmp_path / "a.pth")
    assert_equal(weights.backbone_arrays(arrays), expected)
    assert arrays.keys() - expected.keys() == {"fc2/kernel"}
    assert facts_of(network) == ("vgg16", "v1", 0.25, "torch")


def test_safetensors_say_what_the_preprocessing_was(tmp_path):
    expected = arrays_of("resnet50", "v1.5")
    for metadata in ("caffe", "torch", None):
        path = tmp_path / "a"
        safetensors.numpy.save_file(expected, path, metadata and {"preprocessing": metadata})
        arrays, network = read(path)
        assert_equal(arrays, expected)
        assert network.preprocessing == (metadata or "torch")
        assert network.variant == "v1.5"


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (f"{self.path}.executed",)


def truncated(path):
    torch.save(small("vgg16").state_dict(), path)
    path.write_bytes(path.read_bytes()[:-5000])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "is missing"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (
            lambda path: path.write_text("no weights at all"),
            "none of .keras, .weights.h5, .h5, .pth, .safetensors",
        ),
        (lambda path: path.write_bytes((20).to_bytes(8, "little") + b'{"a": 1'), "may be truncated"),
        (truncated, "may be truncated"),
        (lambda path: path.write_bytes(pickle.dumps({"a": [1, 2]})), "not a state dict"),
        (lambda path: path.write_bytes(pickle.dumps(Evil(path))), "was not loaded"),
        (lambda path: path.write_bytes(pickle.dumps(Evil(path), 2)), "was not loaded"),
        (lambda path: torch.save({"a": Evil(path)}, path), "would run posix.mkdir"),
        (lambda path: torch.save(small("vgg16"), path), "a whole pickled torch_impl"),
        (lambda path: torch.save([torch.ones(3)], path), "not a state dict"),
        (lambda path: torch.save({"state": {"a": 3}}, path), "not a state dict"),
        (
            lambda path: torch.save(torch.nn.Sequential(torch.nn.Linear(2, 3)).state_dict(), path),
            "holds 2 arrays (0.weight, 0.bias), neither a ResNet50 nor a VGG16",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path, make, message):
    path = tmp_path / "file.pth"
    make(path)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        settle(reading.read(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "file.pth.executed").exists()
