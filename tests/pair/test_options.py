"""A certificate can be checked again; data, numerics and the dtype that a person asks for are what is done."""

import json
import shutil

import numpy as np
import pytest

from compare.cli import app as cli
from compare.pair import data, native
from compare.spec import InputError
from tests.pair import sources
from tests.pair.short import pair as short
from tests.support.report_pages import Page

SMALL = short(
    'i = keras.Input((8, 8, 3))\nx = L.Conv2D(4, 3, name="c")(i)\n'
    'x = L.BatchNormalization(momentum=0.9, epsilon=1e-5, name="bn")(x)\nx = L.GlobalAveragePooling2D()(L.ReLU()(x))\n'
    'o = L.Dense(3, activation="softmax", name="out")(x)',
    "self.c, self.bn, self.out = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)",
    "return self.out(F.relu(self.bn(self.c(x))).mean((2, 3)))",
)
DATA = """
import torch


def loader():
    g = torch.Generator().manual_seed(0)
    for _ in range(9):
        yield torch.rand(3, 3, 8, 8, generator=g), torch.randint(0, 3, (3,), generator=g)
"""


@pytest.fixture
def small(tmp_path):
    (tmp_path / "ours.py").write_text(SMALL.keras)
    (tmp_path / "theirs.py").write_text(SMALL.torch)
    return "ours.py:build", "theirs.py:build"


def test_a_certificate_is_checked_again_and_says_what_is_another(shell, small, tmp_path):
    assert shell("parity", *small, "--steps", "2", "--out", "paper")[0] == 0
    code, said, _ = shell("parity", "--check", "paper/certificate.json")
    assert code == 0
    assert said.startswith("reproduced")
    page = Page((tmp_path / "paper/parity.html").read_text())
    assert "theirs.py:build: same: both compute and train the same function" in page.text
    assert "c/kernel" in page.text
    (tmp_path / "theirs.py").write_text(SMALL.torch.replace("BatchNorm2d(4)", "BatchNorm2d(4, eps=1e-3)"))
    code, said, _ = shell("parity", "--check", "paper/certificate.json")
    assert code == 1
    assert "theirs.py: sha256" in said
    assert "verdict differs, was same" in said
    (tmp_path / "theirs.py").unlink()
    code, _, errors = shell("parity", "--check", "paper/certificate.json")
    assert (code, len(errors)) == (2, 1)


@pytest.mark.parametrize(
    "change", [{"format": 99}, {"asked": {}}, {"asked": None}, {"stages": None, "hashes": 3}]
)
def test_a_certificate_that_isn_t_whole_is_one_line(shell, tmp_path, change):
    whole = {"kind": "compare pair", "format": 1, "asked": {}, "hashes": {}, "verdict": "same", "stages": []}
    (tmp_path / "certificate.json").write_text(json.dumps(whole | change))
    code, _, errors = shell("parity", "--check", "certificate.json")
    assert (code, len(errors)) == (2, 1)


@pytest.mark.parametrize("kind", ["npz", "loader", "folder"])
def test_a_persons_own_data_are_what_both_train_on(shell, small, tmp_path, kind):
    generator = np.random.default_rng(0)
    if kind == "npz":
        np.savez(tmp_path / "own.npz", x=generator.random((7, 8, 8, 3)), y=generator.integers(0, 3, 7))
    elif kind == "loader":
        (tmp_path / "own.py").write_text(DATA)
    else:
        from PIL import Image

        for n in range(3):
            (tmp_path / "own" / f"class{n}").mkdir(parents=True)
            for k in range(3):
                pixels = generator.integers(0, 256, (9, 7, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "own" / f"class{n}" / f"{k}.png")
    given = {"npz": "own.npz", "loader": "own.py:loader", "folder": "own"}[kind]
    code, said, _ = shell("parity", *small, "--steps", "2", "--data", given, "--json")
    assert code == 0
    plain = json.loads(shell("parity", *small, "--steps", "2", "--json")[1])
    assert json.loads(said)["asked"]["data"].endswith(given)
    figures = [[stage["rows"] for stage in one["stages"]] for one in (json.loads(said), plain)]
    assert figures[0] != figures[1]


@pytest.mark.parametrize(
    ("name", "arrays", "word"),
    [
        ("none.npz", None, "no such file"),
        ("own.npz", {"a": 3}, "x and y"),
        ("own.npz", {"x": (5, 8, 8, 3), "y": (4,)}, "5"),
        ("own.npz", {"x": (5, 9, 9, 3), "y": (5,)}, "takes 8x8x3"),
        ("own.npz", {"x": (5, 8, 8, 3), "y": (5, 7)}, "targets"),
        ("own.txt", None, "must be"),
    ],
)
def test_data_that_won_t_do_are_one_line(shell, small, tmp_path, name, arrays, word):
    if arrays is not None:
        np.savez(tmp_path / name, **{key: np.ones(shape) for key, shape in arrays.items()})
    code, _, errors = shell("parity", *small, "--steps", "1", "--data", name)
    assert (code, len(errors)) == (2, 1)
    assert word in errors[0]


def test_class_numbers_become_shares_and_one_too_large_is_refused():
    made = data.targets([np.array([2, 0])], [(2, 3)], "crossentropy", "float64")[0]
    np.testing.assert_array_equal(made, [[0, 0, 1], [1, 0, 0]])
    with pytest.raises(InputError, match="class 3"):
        data.targets([np.array([3, 0])], [(2, 3)], "crossentropy", "float64")


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
def test_native_predicts_pytorch_s_own_step_and_matched_takes_keras_s(shell, small, optimizer):
    told = ("parity", *small, "--steps", "1", "--optimizer", optimizer, "--json")
    ours = json.loads(shell(*told)[1])
    stage = next(one for one in ours["stages"] if one["name"] == "native")
    assert stage["verdict"] == "explained"
    moved = [row for row in stage["rows"] if row["difference"] > 1e3 * max(row["relative"], 1e-15)]
    assert "bn.running_var" in {row["name"] for row in moved}
    assert any("n - 1" in line for line in ours["native"])
    matched = json.loads(shell(*told, "--numerics", "matched")[1])
    assert matched["verdict"] == "same"
    assert "native" not in {one["name"] for one in matched["stages"]}
    assert not matched["native"]


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"kind": "adam", "learning_rate": 0.1, "epsilon": 1e-7}, {"epsilon": 1e-3}),
        ({"kind": "rmsprop", "learning_rate": 0.1, "decays": [0.9]}, {"decays": [0.99]}),
        ({"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True}, {"nesterov": False}),
        ({"kind": "adamw", "learning_rate": 0.1, "weight_decay": 0.1}, {"weight_decay": 0.0}),
    ],
)
def test_a_step_by_another_formula_is_not_what_was_predicted(settings, wrong):
    generator = np.random.default_rng(0)
    before, gradients = ({"w": generator.normal(size=5)} for _ in range(2))
    right = native.parameters(settings, before, gradients)
    other = native.parameters(settings | wrong, before, gradients)
    assert native.rows(right, right, before, "float64")[0].same
    assert not native.rows(right, other, before, "float64")[0].same


def test_float32_proves_a_right_port_and_finds_a_mistake(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.py").write_text(sources.CNN_KERAS)
    (tmp_path / "theirs.py").write_text(sources.CNN_TORCH)
    told = ["parity", "ours.py:build", "theirs.py:build", "--dtype", "float32", "--steps", "2", "--json"]
    assert cli.main(told) == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["verdict"], said["asked"]["dtype"]) == ("same", "float32")
    assert max(row["relative"] for row in said["stages"][1]["rows"]) > 1e-9
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    (tmp_path / "theirs.py").write_text(
        sources.CNN_TORCH.replace("F.relu(self.conv2(x))", "F.elu(self.conv2(x))")
    )
    assert cli.main(told) == 1
    first = json.loads(capfd.readouterr().out)["first"]
    assert (first["cause"], first["keras"]) == ("activation", "conv2")
