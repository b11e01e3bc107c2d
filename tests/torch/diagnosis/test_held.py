"""What a diagnosis takes from files: weights in whatever they are wrapped, networks of weights alone, folders."""

import json
from argparse import Namespace

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

from compare.cli.app import main
from compare.data import preprocess
from compare.given import held, names
from compare.spec import InputError
from tests.support.image_files import two_classes, write_images
from tests.support.weight_files import arrays_of, names_of, network_of
from torch_impl import networks, saving, weights

ARGUMENTS = ["--data", "photos", "--json"]


def person(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


STATE = person(1).state_dict()


def parts(path):
    names = list(STATE)
    for number, own in enumerate((names[:3], names[3:])):
        safetensors.torch.save_file(
            {name: STATE[name] for name in own}, path.parent / f"{number}.safetensors"
        )
    where = {name: f"{int(name not in names[:3])}.safetensors" for name in names}
    path.write_text(json.dumps({"weight_map": where}))


WRITERS = {
    "a.pth": lambda path: torch.save(STATE, path),
    "wrapped.pt": lambda path: torch.save({"epoch": 3, "model": STATE, "args": Namespace(lr=0.1)}, path),
    "lightning.ckpt": lambda path: torch.save(
        {
            "state_dict": {f"net.{key}": tensor for key, tensor in STATE.items()},
            "hyper_parameters": {"lr": 1},
        },
        path,
    ),
    "compiled.pt": lambda path: torch.save({f"module._orig_mod.{k}": t for k, t in STATE.items()}, path),
    "a.safetensors": lambda path: safetensors.torch.save_file(STATE, path),
    "a.npz": lambda path: np.savez(path, **{key: tensor.numpy() for key, tensor in STATE.items()}),
    "no_counters.pth": lambda path: torch.save(
        {k: t for k, t in STATE.items() if "num_batches" not in k}, path
    ),
    "a.safetensors.index.json": parts,
}


@pytest.mark.parametrize("name", WRITERS)
def test_weights_are_found_in_whatever_they_are_wrapped(tmp_path, name):
    WRITERS[name](tmp_path / name)
    model = person(2)
    held.load(model, tmp_path / name)
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, STATE[key]), key


def test_weights_that_are_no_weights_are_said_in_a_line(tmp_path):
    whole = tmp_path / "a.pth"
    torch.save(STATE, whole)
    cases = {
        "half.pth": (whole.read_bytes()[:700], "truncated"),
        "net.onnx": (b"\x08\x08\x12\x07pytorch\x1a\x032.4:\x06\x12\x04main", "is an ONNX model"),
        "page.pth": (b"<html>404</html>", "is a web page"),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=words) as caught:
            held.load(person(2), tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    two_classes(tmp_path / "photos", 6, 4)
    return tmp_path / "photos"


def weights_of(path, units, activation):
    """Write weights of a network with a head, as `compare port` does, and return it."""
    network = network_of(
        "vgg16", width=0.0625, top=[("classifier.0", units, activation, True)], pooling="avg"
    )
    arrays = {n: a * (0.2 if a.ndim == 4 else 0.02) for n, a in arrays_of("vgg16", width=0.0625).items()}
    generator = np.random.default_rng(3)
    arrays |= {
        "classifier.0/kernel": generator.normal(size=(32, units)).astype("float32"),
        "classifier.0/bias": generator.normal(size=units).astype("float32"),
    }
    saving.write(path, arrays, network, "torchvision", names_of("torchvision", arrays, network))
    model = networks.build(network)
    weights.from_arrays(model, arrays)
    return model.eval()


@pytest.mark.parametrize(
    ("units", "activation"), [(2, "softmax"), (1, "sigmoid"), (2, "linear"), (1, "linear")]
)
def test_a_network_of_weights_alone_is_made_and_its_images_are_preprocessed(
    photos, capsys, monkeypatch, units, activation
):
    monkeypatch.setattr(held.Made, "size", (64, 64))
    model = weights_of(photos.parent / "ported.pth", units, activation)
    code = main(["diagnose", "ported.pth", *ARGUMENTS])
    out, error = capsys.readouterr()
    assert code in (0, 1), error
    pixels, labels = held.images("photos", size=(64, 64))
    images = preprocess((pixels.transpose(0, 2, 3, 1) * 255).round().astype("uint8"), "caffe")
    with torch.no_grad():
        given_out = model(torch.from_numpy(images).permute(0, 3, 1, 2))
    wanted = torch.from_numpy(labels)
    if units == 1:
        wanted = wanted[:, None].float()
        loss = (F.binary_cross_entropy if activation == "sigmoid" else F.binary_cross_entropy_with_logits)(
            given_out, wanted
        )
    else:
        loss = F.cross_entropy(given_out.log() if activation == "softmax" else given_out, wanted)
    assert json.loads(out)["measured"]["evaluate_loss"] == pytest.approx(float(loss), rel=1e-5)
    assert "made of ported.pth: vgg16" in error


def test_weights_of_another_network_or_without_a_head_are_refused(photos, capsys):
    torch.save(STATE, "person.pth")
    assert main(["diagnose", "person.pth", *ARGUMENTS]) == 2
    assert "neither a ResNet50 nor a VGG16; name the model, FILE.py:NAME, with" in capsys.readouterr().err
    network, arrays = network_of("vgg16", width=0.0625), arrays_of("vgg16", width=0.0625)
    saving.write(photos.parent / "b.pth", arrays, network, "project", names_of("project", arrays, network))
    assert main(["diagnose", "b.pth", *ARGUMENTS]) == 2
    error = capsys.readouterr().err
    assert "holds a vgg16 without a head, which has no loss" in error
    assert error.count("\n") == 1


def test_of_a_split_folder_what_is_trained_on_is_read_and_classes_are_numbered_by_name(tmp_path):
    two_classes(tmp_path / "train", 3, 5)
    two_classes(tmp_path / "val", 1, 1)
    (tmp_path / "train" / "cats" / "Thumbs.db").write_bytes(b"x")
    x, y = names.data(str(tmp_path), "--data")
    assert x.shape == (8, 3, 30, 40)
    assert y.tolist() == [0] * 3 + [1] * 5
    assert 0 <= x.min() < 0.5 < x.max() <= 1


def test_images_that_are_not_there_are_refused(tmp_path):
    write_images(tmp_path / "cats", 2)
    with pytest.raises(InputError, match="found one class"):
        names.data(str(tmp_path), "--data")
