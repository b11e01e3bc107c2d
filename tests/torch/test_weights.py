"""torch_impl.weights: a model's weights as named arrays, and files of weights."""

import os
import pickle
import re

import numpy as np
import pytest
import safetensors.numpy
import torch
import torchvision

from compare.shapes import shapes
from compare.sources import TORCHVISION_URLS
from tests.weight_files import arrays_of
from torch_impl import transfer, weights


def randomise(model, seed=0):
    """Give every weight and statistic a value of its own, far from the initial one."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            values = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(values + 0.5 if tensor.ndim == 1 else (values - 0.5) / tensor[0].numel() ** 0.5)
    return model


def small(backbone="resnet50", variant="v1", seed=0, **options):
    return randomise(transfer.build(backbone, variant, 0.25, **options), seed)


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
    images = torch.rand(2, 3, 64, 64)
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
    arrays, facts = weights.read(tmp_path / "a")
    assert_equal(arrays, weights.to_arrays(model))
    assert facts == {"backbone": backbone, "variant": variant, "width": 0.25, "preprocessing": preprocessing}


@pytest.mark.parametrize("zipped", [True, False])
def test_torchvisions_resnet50_with_its_classifier(tmp_path, zipped):
    model = randomise(torchvision.models.resnet50(weights=None, num_classes=7))
    torch.save(model.state_dict(), tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    arrays, facts = weights.read(tmp_path / "a.pth")
    assert facts == {"backbone": "resnet50", "variant": "v1.5", "width": 1, "preprocessing": "torch"}
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
    arrays, facts = weights.read(tmp_path / "a.pth")
    assert_equal(weights.backbone_arrays(arrays), expected)
    assert arrays.keys() - expected.keys() == {"fc2/kernel"}
    assert facts == {"backbone": "vgg16", "variant": "v1", "width": 0.25, "preprocessing": "torch"}


def test_safetensors_say_what_the_preprocessing_was(tmp_path):
    expected = arrays_of("resnet50", "v1.5")
    for metadata in ("pretext", "caffe", None):
        path = tmp_path / "a"
        safetensors.numpy.save_file(expected, path, metadata and {"preprocessing": metadata})
        arrays, facts = weights.read(path)
        assert_equal(arrays, expected)
        assert facts["preprocessing"] == (metadata or "torch")
        assert facts["variant"] == "v1.5"


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
        (lambda path: path.write_bytes(b""), "neither a state dict nor .safetensors"),
        (lambda path: path.write_text("no weights at all"), "neither a state dict nor .safetensors"),
        (lambda path: path.write_bytes((20).to_bytes(8, "little") + b'{"a": 1'), "may be truncated"),
        (truncated, "may be truncated"),
        (lambda path: path.write_bytes(pickle.dumps({"a": [1, 2]})), "more than tensors"),
        (lambda path: path.write_bytes(pickle.dumps(Evil(path))), "was not loaded"),
        (lambda path: path.write_bytes(pickle.dumps(Evil(path), 2)), "was not loaded"),
        (lambda path: torch.save({"a": Evil(path)}, path), "would run posix.mkdir"),
        (lambda path: torch.save(small("vgg16"), path), "would run torch_impl"),
        (lambda path: torch.save([torch.ones(3)], path), "not a state dict"),
        (lambda path: torch.save({"state": {"a": torch.ones(3)}}, path), "not a state dict"),
        (
            lambda path: torch.save(torch.nn.Sequential(torch.nn.Linear(2, 3)).state_dict(), path),
            "missing: conv1_conv/kernel or block1_conv1/kernel; unexpected: 0/bias, 0/kernel",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path, make, message):
    path = tmp_path / "file.pth"
    make(path)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        weights.read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "file.pth.executed").exists()


def test_the_table_of_shapes_is_the_models():
    for backbone, variant in [("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1")]:
        arrays = weights.to_arrays(transfer.build(backbone, variant, 0.375).backbone)
        assert {name: array.shape for name, array in arrays.items()} == shapes(backbone, variant, 0.375)


def test_addresses_are_those_of_torchvision():
    assert TORCHVISION_URLS["resnet50"] == torchvision.models.ResNet50_Weights.IMAGENET1K_V1.url
    assert TORCHVISION_URLS["vgg16"] == torchvision.models.VGG16_Weights.IMAGENET1K_V1.url
