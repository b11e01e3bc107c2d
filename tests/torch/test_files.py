"""torch_impl.files: a file run by PyTorch's own loading gives what its arrays, as they were read, compute."""

import errno
import os

import numpy as np
import pytest
import safetensors.torch
import torch

from compare.weights import sources
from compare.weights.original import original as owners
from compare.weights.reading import read
from compare.weights.settle import settle
from compare.weights.spellings import SPELLINGS, Names
from tests.support.arrays import random_arrays
from tests.support.weight_files import arrays_of, names_of, network_of
from torch_impl import files, networks, saving, weights


def computed(path):
    """What PyTorch's own loading gives, and what the arrays that were read give."""
    source = read(path)
    network, _ = settle(source)
    own = owners(source, network)
    function = files.original(own.paths, own.form, network, own.layout, own.keys, own.where)
    images = np.random.default_rng(0).normal(size=(2, *network.size, 3)) if any(network.size) else None
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)) if images is None else images
    images = images.astype("float32")
    model = networks.build(network).eval()
    weights.from_arrays(model, source.arrays)
    with torch.no_grad():
        expected = model(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    expected = expected.transpose(0, 2, 3, 1) if expected.ndim == 4 else expected
    return function(images), expected


def drawn(backbone, variant, top):
    """Arrays that keep a deep network's values in range, with dense layers on them."""
    arrays = random_arrays(arrays_of(backbone, variant, 0.0625))
    generator = np.random.default_rng(1)
    for name, rows, units in top:
        arrays[f"{name}/kernel"] = generator.normal(0, rows**-0.5, (rows, units)).astype("float32")
        arrays[f"{name}/bias"] = generator.normal(0, 0.1, units).astype("float32")
    return arrays


def written(path, backbone, variant, layout, top, **network):
    layers = [(name, units, "linear" if name == top[-1][0] else "relu", True) for name, _, units in top]
    described = network_of(
        backbone, variant, 0.0625, layers, bias=variant == "v1" or backbone == "vgg16", **network
    )
    arrays = drawn(backbone, variant, top)
    saving.write(path, arrays, described, layout, names_of(layout, arrays, described))
    return path


NONE, ONE, TWO = [], [("predictions", 128, 5)], [("first", 128, 7), ("second", 7, 3)]
FLAT = {"pooling": "flatten", "map": (2, 3), "size": (64, 96)}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    ("backbone", "variant", "layout", "top", "network"),
    [
        ("resnet50", "v1.5", "torchvision", ONE, {}),
        ("resnet50", "v1.5", "torchvision", TWO, {}),
        ("resnet50", "v1.5", "torchvision", NONE, {"pooling": "none"}),
        ("resnet50", "v1", "project", TWO, {}),
        ("vgg16", "v1", "torchvision", [("fc1", 192, 7), ("fc2", 7, 6), ("predictions", 6, 3)], FLAT),
        ("vgg16", "v1", "torchvision", [("wide", 192, 192), ("last", 192, 3)], FLAT),
        ("vgg16", "v1", "torchvision", [("last", 32, 3)], {"pooling": "max"}),
    ],
)
def test_a_file_as_its_owner_runs_it(tmp_path, suffix, backbone, variant, layout, top, network):
    found, expected = computed(written(tmp_path / f"a{suffix}", backbone, variant, layout, top, **network))
    assert expected.std() > 1e-6
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("names", [Names.HUGGING_FACE, Names.CHILDREN])
def test_other_peoples_names_go_into_torchvisions_class(tmp_path, names):
    state = torch.load(written(tmp_path / "a.pth", "resnet50", "v1.5", "torchvision", ONE), weights_only=True)
    spelling = next(one for one in SPELLINGS if one.names is names)
    torchvision = next(one for one in SPELLINGS if one.names is Names.TORCHVISION)
    modules = dict(torchvision.modules)
    theirs = {layer: module for module, layer in spelling.modules.items()}
    renamed = {}
    for key, tensor in state.items():
        module, _, kind = key.rpartition(".")
        renamed[f"net.{theirs[modules[module]]}.{kind}"] = tensor
    torch.save({"model": renamed, "epoch": 3}, tmp_path / "b.pth")
    found, expected = computed(tmp_path / "b.pth")
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_another_reading_of_the_rows_would_be_found(tmp_path, monkeypatch):
    monkeypatch.setattr("compare.weights.source.rows_to_keras", lambda kernel, *_: kernel)
    monkeypatch.setattr("compare.weights.guard.call", lambda function, *arguments, size: function(*arguments))
    found, expected = computed(
        written(tmp_path / "a.pth", "vgg16", "v1", "torchvision", [("last", 192, 3)], **FLAT)
    )
    assert np.abs(found - expected).max() > 0.1 * np.abs(expected).max()


def test_what_pytorch_cannot_load_is_said(tmp_path):
    path = written(tmp_path / "a.safetensors", "resnet50", "v1.5", "torchvision", ONE)
    source = read(path)
    network, _ = settle(source)
    own = owners(source, network)
    state = safetensors.torch.load_file(path)
    safetensors.torch.save_file({key: t for key, t in state.items() if "layer3.2.bn2" not in key}, path)
    with pytest.raises(ValueError, match="PyTorch can't load it: "):
        files.original(own.paths, own.form, network, own.layout, own.keys, own.where)


def test_of_a_download_for_which_there_is_no_room_nothing_is_left(tmp_path, monkeypatch):
    """PyTorch leaves what it has where its last bytes can't be written: closing the file fails, too."""
    path = tmp_path / "hub" / "net-00000000.pth"
    path.parent.mkdir()
    (path.parent / "net-00000000.pth.another.partial").write_bytes(b"somebody else's, on its way")

    def download(url, place, hash_prefix):
        with open(f"{place}.0123.partial", "wb") as file:
            file.write(bytes(1000))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    with pytest.raises(OSError, match="No space left") as error:
        sources.torch_download("http://nowhere/net-00000000.pth", path)
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(path))
    assert [one.name for one in path.parent.iterdir()] == ["net-00000000.pth.another.partial"]
