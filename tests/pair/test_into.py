"""`compare port --into`: weights go there and back, an undecided place is refused, nothing is written over."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.pair import sources
from tests.pair.short import pair as short

LOADED = """
from pathlib import Path

from safetensors.torch import load_file


def other():
    net = Net()
    net.load_state_dict(load_file(str(Path(__file__).parent / "port.safetensors")))
    return net
"""
SPLIT = short(
    'i = keras.Input((3, 4))\nx = L.Dense(6, name="qkv")(i)\nq, k, v = x[..., :2], x[..., 2:4], x[..., 4:]\n'
    'o = L.Dense(2, name="out")(q * k + v)',
    "self.q, self.k, self.v = nn.Linear(4, 2), nn.Linear(4, 2), nn.Linear(4, 2)\nself.out = nn.Linear(2, 2)",
    "return self.out(self.q(x) * self.k(x) + self.v(x))",
)


@pytest.fixture
def files(tmp_path):
    def write(keras, torch):
        (tmp_path / "ours.py").write_text(keras)
        (tmp_path / "theirs.py").write_text(torch)
        return tmp_path

    return write


def test_weights_go_into_a_module_and_back(shell, files, both):
    # the class that they come back into has other weights of its own
    keras = sources.CNN_KERAS + "\n\ndef other():\n    return fill(build(), 9)\n"
    folder = files(keras, sources.CNN_TORCH + LOADED)
    code, _, _ = shell("port", "ours.py:build", "port.safetensors", "--into", "theirs.py:build")
    assert code == 0
    ported = load_file(folder / "port.safetensors")
    assert all(array.dtype == np.float32 for name, array in ported.items() if "num_batches" not in name)
    code, _, _ = shell("port", "theirs.py:other", "back.keras", "--into", "ours.py:other")
    assert code == 0
    code, said, _ = shell("parity", "back.keras", "theirs.py:other", "--steps", "1", "--json")
    assert (code, json.loads(said)["verdict"]) == (0, "same")
    certificate = json.loads((folder / "back.keras.certificate.json").read_text())
    kernel = next(one for one in certificate["map"] if one["keras"] == "conv2/kernel")
    # from the file that was written, without this project's own moving of arrays
    code, said, _ = shell("map", "back.keras", "theirs.py:other", "--json")
    assert (code, kernel["torch"]) == (0, "conv2.weight")
    assert ported["conv2.weight"].shape == (12, 8, 3, 3)


def test_a_file_that_was_ported_is_checked_again(shell, files):
    folder = files(sources.CNN_KERAS, sources.CNN_TORCH)
    assert shell("port", "ours.py:build", "port.safetensors", "--into", "theirs.py:build")[0] == 0
    paper = folder / "port.safetensors.certificate.json"
    assert shell("parity", "--check", paper)[0] == 0
    (folder / "port.safetensors").write_bytes(b"another")
    code, said, _ = shell("parity", "--check", paper)
    assert code == 1
    assert said.startswith("other ")


def test_what_can_t_be_decided_is_refused_until_a_person_says_it(shell, files):
    folder = files(SPLIT.keras, SPLIT.torch)
    code, _, errors = shell("port", "ours.py:build", "port.safetensors", "--into", "theirs.py:build")
    assert code == 2
    assert len(errors) == 1
    assert "qkv/kernel" in errors[0]
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["ours.py", "theirs.py"]
    code, _, _ = shell("map", "ours.py:build", "theirs.py:build", "--out", "names.json")
    names = json.loads((folder / "names.json").read_text())
    assert code == 2
    assert {"q.weight", "k.weight", "v.weight"} <= set(names["qkv/kernel"])
    names |= {f"qkv/{a}": f"q.{b} + k.{b} + v.{b}" for a, b in (("kernel", "weight"), ("bias", "bias"))}
    (folder / "names.json").write_text(json.dumps(names))
    ported = ("port", "ours.py:build", "port.safetensors", "--into", "theirs.py:build", "--map", "names.json")
    assert shell(*ported)[0] == 0
    names |= {"qkv/kernel": "k.weight + q.weight + v.weight"}  # a mistake of the person's
    (folder / "names.json").write_text(json.dumps(names))
    assert shell(*ported, "--force")[0] == 1


@pytest.mark.parametrize(
    ("dest", "before", "word"),
    [
        ("port.safetensors", "port.safetensors", "exists"),
        ("port.safetensors", "port.safetensors.certificate.json", "exists"),
        ("port.keras", None, ".safetensors"),
        ("nowhere/port.safetensors", None, "no directory"),
    ],
)
def test_a_place_that_won_t_do_is_one_line_and_nothing_is_written_over(shell, files, dest, before, word):
    folder = files("import keras\n", "import torch\n")
    if before:
        (folder / before).write_text("mine")
    held = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    code, _, errors = shell("port", "ours.py:build", dest, "--into", "theirs.py:build")
    assert code == 2
    assert len(errors) == 1
    assert word in errors[0]
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == held


@pytest.mark.parametrize("broken", ["raise OSError('no weights')", "return 3"])
def test_a_model_that_can_t_be_had_leaves_nothing(shell, files, broken):
    folder = files(sources.CNN_KERAS, f"import torch\n\n\ndef build():\n    {broken}\n")
    code, _, errors = shell("port", "ours.py:build", "port.safetensors", "--into", "theirs.py:build")
    assert code == 2
    assert len(errors) == 1
    assert not (folder / "port.safetensors").exists()
