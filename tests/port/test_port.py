"""compare.port: what is refused, and that nothing is left half-written."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compare.parity.inputs import random_arrays
from compare.port import certificate
from compare.spec import InputError
from tests.support.ported import V1, V15, VGG, moved, saved, with_dense
from tests.support.weight_files import arrays_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("network", "name", "options", "message"),
    [
        (V1, "a.pth", {"layout": "torchvision"}, "v1 weights into torchvision's resnet50, which is v1.5"),
        (V15, "a.weights.h5", {"layout": "applications"}, "v1.5 weights into keras.applications' ResNet50"),
        (V15, "a.h5", {"layout": "applications-old"}, "only ResNet50 v1 had other names"),
        (VGG, "a.h5", {"layout": "applications-old"}, "only ResNet50 v1 had other names"),
        (V15, "a.pth", {"fold_bias": True}, "no biases before BN to fold"),
        (VGG, "a.pth", {"fold_bias": True}, "no biases before BN to fold"),
        (V1, "a.keras", {"fold_bias": True}, "--fold-bias is for torchvision's class"),
        (V1, "a.onnx", {}, "must end in .keras, .weights.h5, .h5, .pth, .pt, .safetensors"),
        (
            V1,
            "a.keras",
            {"layout": "torchvision"},
            "--layout torchvision: a .keras can be applications, project",
        ),
        (V1, "a.pth", {"layout": "torchvisoin"}, "did you mean 'torchvision'?"),
        (V1, "a.pth", {"variant": "v2"}, "It can be v1, v1.5"),
        (VGG, "a.pth", {"epsilon": 1e-3}, "a vgg16 has no such thing"),
        (V1, "a.pth", {"epsilon": float("nan")}, "must be between 0 and 1"),
        (V1, "nowhere/a.pth", {}, "no directory"),
        (V1, "source.safetensors", {"force": True}, "is SOURCE"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(tmp_path, shared, network, name, options, message):
    saved(tmp_path / "source.safetensors", arrays_of(*network, 0.0625))
    with pytest.raises(InputError, match=re.escape(message)) as error:
        moved(tmp_path / "source.safetensors", tmp_path / name, **options)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source.safetensors"]


def test_a_source_that_contradicts_what_is_said_of_it(tmp_path, shared):
    saved(tmp_path / "a.safetensors", arrays_of(*V1, 0.0625), variant="v1")
    with pytest.raises(InputError, match=re.escape("--variant v1.5: the file says v1")):
        moved(tmp_path / "a.safetensors", tmp_path / "b.pth", variant="v1.5")


def another(path):
    arrays = arrays_of(*V1, 0.0625)
    arrays["conv9/kernel"] = arrays.pop("conv3_block1_1_conv/kernel").copy()
    arrays["conv1_bn/beta"] = np.ones(7, "float32")
    saved(path, arrays)


def loose(path):
    saved(path, with_dense(arrays_of(*VGG, 0.0625), 33))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "is missing"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_text("no weights"), "none of .keras, .weights.h5, .h5, .pth, .safetensors"),
        (
            lambda path: path.write_bytes(b"\x80\x02cposix\nmkdir\nX\x04\x00\x00\x00evil\x85R."),
            "would run posix.mkdir",
        ),
        (lambda path: path.write_bytes((10**6).to_bytes(8, "little") + b'{"a": 1'), "may be truncated"),
        (
            another,
            "isn't a whole resnet50: 1 missing: conv3_block1_1_conv/kernel; 1 misshapen: conv1_bn/beta",
        ),
        (loose, "dense layers that don't follow one another from 32 channels on"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path, shared, make, message):
    make(tmp_path / "a.bin")
    with pytest.raises(InputError, match=re.escape(message)) as error:
        moved(tmp_path / "a.bin", tmp_path / "b.pth")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "b.pth").exists()
    assert not (ROOT / "evil").exists()


def test_a_file_that_exists_is_kept_unless_forced(tmp_path, unproven):
    saved(tmp_path / "a.safetensors", arrays_of(*VGG, 0.0625))
    (tmp_path / "b.pth").write_text("kept")
    with pytest.raises(InputError, match=r"b.pth exists; --force replaces it"):
        moved(tmp_path / "a.safetensors", tmp_path / "b.pth")
    assert (tmp_path / "b.pth").read_text() == "kept"
    moved(tmp_path / "a.safetensors", tmp_path / "b.pth", force=True)
    assert (tmp_path / "b.pth").stat().st_size > 1000


def test_an_error_while_writing_keeps_what_was_there(tmp_path, shared, monkeypatch):
    saved(tmp_path / "a.safetensors", arrays_of(*VGG, 0.0625))
    (tmp_path / "b.pth").write_text("kept")

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(certificate, "traced", fail)
    with pytest.raises(KeyboardInterrupt):
        moved(tmp_path / "a.safetensors", tmp_path / "b.pth", force=True)
    assert (tmp_path / "b.pth").read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"a.safetensors", "b.pth"}


def compare(*arguments, preexec=None):
    command = [sys.executable, "-m", "compare", "port", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=preexec)


@pytest.mark.parametrize("suffix", [".pth", ".keras"])
def test_no_room_on_the_disk_is_a_line_and_leaves_nothing(tmp_path, suffix):
    saved(tmp_path / "a.safetensors", arrays_of(*VGG, 0.25))

    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    done = compare(tmp_path / "a.safetensors", tmp_path / f"b{suffix}", preexec=little_room)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    # a .keras is written first, before a .pth both frameworks' outputs are
    assert {".keras": "can't write it", ".pth": "no room in"}[suffix] in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_command(tmp_path):
    saved(tmp_path / "a.safetensors", random_arrays("vgg16", "v1", 0.25, 0))
    done = compare(tmp_path / "a.safetensors", tmp_path / "b.weights.h5")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "same function" in done.stdout.splitlines()[-1]
    refused = compare(tmp_path / "a.safetensors", tmp_path / "b.weights.h5")
    assert refused.returncode == 2
    assert refused.stderr == f"error: DEST {tmp_path / 'b.weights.h5'} exists; --force replaces it\n"
