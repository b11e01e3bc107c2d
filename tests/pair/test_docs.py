"""The example of docs/pairs.md: a port with Keras's arithmetic ends a training with the same weights."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/pairs.md").read_text(), re.DOTALL)


def run(code, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("example")
    run(BLOCKS[0], folder)
    return folder


def test_a_port_with_keras_s_arithmetic_trains_as_the_original(trained):
    assert float(run(BLOCKS[1], trained).split()[0]) < 1e-11


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("as_keras(model, seed=7)", "as_keras(model, seed=8)"),
        ("as_keras(model, seed=7)", "model"),
        ("KerasAdam(model.parameters(), lr=1e-2)", "torch.optim.Adam(model.parameters(), lr=1e-2, eps=1e-7)"),
    ],
)
def test_without_one_of_its_lines_it_doesn_t(trained, line, instead):
    assert line in BLOCKS[1]
    assert float(run(BLOCKS[1].replace(line, instead), trained).split()[0]) > 1e-9
