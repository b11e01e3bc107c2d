"""What of the frameworks is installed, and which Keras a person's own models run on."""

import json
import subprocess
import sys

import pytest

from compare import frameworks
from compare.frameworks import FRAMEWORKS, own
from compare.processes.worker import Worker
from compare.spec import InputError
from tests.support import without

MODEL = """import keras
def build():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(name="bn")(keras.layers.Conv2D(4, 3, name="conv", use_bias=False)(inputs))
    outputs = keras.layers.Dense(2, name="out")(keras.layers.Flatten()(keras.layers.ReLU()(x)))
    return keras.Model(inputs, outputs)
"""
PORTED = """import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=1e-3, momentum=0.01)
        self.out = nn.Linear(144, 2)
    def forward(self, x):
        return self.out(torch.relu(self.bn(self.conv(x))).permute(0, 2, 3, 1).flatten(1))
"""


@pytest.fixture
def there(monkeypatch, tmp_path):
    """Say which packages are installed, and what Keras's settings are."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def say(packages, settings=None):
        monkeypatch.setattr(frameworks, "find_spec", lambda name: name if name in packages.split() else None)
        if settings is not None:
            (tmp_path / "keras.json").write_text(settings)

    return say


def test_keras_of_a_persons_own_is_the_first_backend_that_is_installed(there):
    there("keras tensorflow jax torch")
    assert own("keras").name == "keras"
    there("keras jax torch")
    assert own("keras").name == "keras-jax"
    there("keras torch")
    assert own("keras").name == "keras-torch"


def test_kerass_own_settings_choose_the_backend_where_that_is_installed(there):
    there("keras tensorflow jax torch", json.dumps({"backend": "torch"}))
    assert own("keras").name == "keras-torch"
    there("keras jax", json.dumps({"backend": "tensorflow"}))
    assert own("keras").name == "keras-jax"


@pytest.mark.parametrize("settings", ["", "[]", '{"backend": 1}', '{"backend": "numpy"}', "{}"])
def test_settings_that_say_nothing_are_passed_over(there, settings):
    there("keras tensorflow jax torch", settings)
    assert own("keras").name == "keras"


def test_the_environment_chooses_before_the_settings(there, monkeypatch):
    there("keras tensorflow jax torch", json.dumps({"backend": "torch"}))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert own("keras").name == "keras-jax"
    monkeypatch.setenv("KERAS_BACKEND", "jacks")
    with pytest.raises(InputError, match="unknown KERAS_BACKEND 'jacks'"):
        own("keras")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    there("keras jax torch")
    with pytest.raises(InputError, match="'keras' isn't installed; there are keras-jax, keras-torch"):
        own("keras")


def test_a_framework_that_is_not_there_says_what_to_install(there):
    there("keras")
    with pytest.raises(InputError, match=r"there are none\. Get it with: pip install tensorflow"):
        own("keras")
    with pytest.raises(InputError, match="Get it with: pip install torch torchvision"):
        own("torch")


def test_a_worker_of_a_framework_that_is_not_installed_says_so(tmp_path, monkeypatch):
    for name, value in without.environment(tmp_path, "torchvision").items():
        monkeypatch.setenv(name, value)
    with Worker(FRAMEWORKS["torch"], 1) as worker, pytest.raises(InputError, match="pip install torchvision"):
        worker.call(print)


def test_a_pair_and_a_diagnosis_work_where_tensorflow_is_not_installed(tmp_path):
    for name, source in (("in_keras.py", MODEL), ("in_torch.py", PORTED)):
        (tmp_path / name).write_text(source)
    options = ["--input", "8x8x3", "--steps", "1"]
    home = tmp_path / "home"
    home.mkdir()
    environment = without.environment(home, "tensorflow", "tf_keras")

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "compare", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        return done.returncode, done.stdout + done.stderr

    code, said = run("parity", "in_keras.py:build", "in_torch.py:Net", *options)
    assert (code, "compute and train the same function" in said) == (0, True), said
    code, said = run("run", "--backbone", "resnet50")
    assert (code, said.count("\n")) == (2, 1)
    assert "'keras' isn't installed; there are keras" in said
    code, said = run("diagnose", "in_keras.py:build", "--audit")
    assert (code, said.count("\n")) == (2, 1)
    assert "KERAS_BACKEND" in said
    environment["KERAS_BACKEND"] = "torch"
    code, said = run("diagnose", "in_keras.py:build", "--audit")
    assert (code, "BatchNormalization" in said) == (0, True), said
