"""The command `compare diagnose` on Keras models: weights of a file are loaded, or counted and refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from compare.cli.app import main
from tests.keras.diagnosis.toys import BN, Dense, compiled
from tests.support.waiting import LONG


def network(width=5):
    keras.utils.set_random_seed(3)
    model = compiled(
        keras.Sequential([keras.Input((4,)), Dense(6, name="a"), BN(name="norm"), Dense(width, name="b")])
    )
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
    np.savez("held.npz", x=x, y=np.arange(40) % 3)
    network().save("model.keras")
    zeros = network()
    zeros.get_layer("b").set_weights([np.zeros((6, 5)), np.zeros(5)])
    zeros.save_weights("good.weights.h5")
    network(3).save_weights("part.weights.h5")
    return tmp_path


def run(capsys, *arguments):
    code = main(["diagnose", "model.keras", "--data", "held.npz", *arguments])
    return code, *capsys.readouterr()


def test_weights_are_loaded(files, capsys):
    _, out, _ = run(capsys, "--weights", "good.weights.h5", "--json")
    assert json.loads(out)["measured"]["evaluate_loss"] == pytest.approx(np.log(5), rel=1e-6)
    _, out, _ = run(capsys, "--json")
    assert json.loads(out)["measured"]["evaluate_loss"] != pytest.approx(np.log(5), rel=1e-3)


def test_of_weights_that_fit_in_part_it_is_said_how_many_do(files, capsys):
    """Kernel and bias of the last layer have another shape in the file."""
    code, out, error = run(capsys, "--weights", "part.weights.h5")
    assert (code, out) == (2, "")
    assert "6 of 8 tensors of the model are in part.weights.h5" in error
    assert error.count("\n") == 1


def test_tensorflow_says_nothing_beside_the_answer(files):
    """Nor Keras, of an optimizer that has never trained."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[3])
    command = [sys.executable, "-m", "compare", "diagnose", "model.keras", "--data", "held.npz"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONG)
    assert (done.returncode, done.stderr) == (0, "")
    assert "(Keras), 40 samples" in done.stdout


AUDIT = {
    "--data": "held.npz",
    "--evaluate-data": "held.npz",
    "--loss": "cross_entropy",
    "--step": "person.py:step",
    "--reported": "loss=1",
    "--steps": "3",
    "--batch-size": "4",
    "--limit": "32",
    "--seed": "1",
}


@pytest.mark.parametrize("option", AUDIT)
def test_an_audit_refuses_what_it_would_ignore(files, capsys, option):
    assert main(["diagnose", "model.keras", "--audit", option, AUDIT[option]]) == 2
    assert capsys.readouterr() == ("", f"error: {option}: an audit doesn't take it; leave it out\n")


def test_an_audit_takes_weights_and_says_where_the_answer_goes(files, capsys):
    asked = ["--audit", "--weights", "good.weights.h5", "--trust", "--debug", "--json", "--out", "there"]
    assert main(["diagnose", "model.keras", *asked]) == 0
    assert [row["layer"] for row in json.loads(capsys.readouterr().out)["audit"]] == ["norm"]
    assert (files / "there" / "diagnosis.json").is_file()
