"""What can't be diagnosed in Keras: exit code 2, and one short line that says what is wrong."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from compare.cli.app import main
from tests.keras.diagnosis.toys import BN, Dense, compiled

PERSON = """
import keras, numpy as np, tensorflow as tf
from keras import layers

x, y = np.random.default_rng(0).normal(size=(40, 4)).astype("float32"), np.arange(40) % 3
rows = {"a": x}


def network(compiled=True):
    parts = [keras.Input((4,)), layers.Dense(6), layers.BatchNormalization(), layers.Dense(3, "softmax")]
    made = keras.Sequential(parts)
    if compiled:
        made.compile("adam", "sparse_categorical_crossentropy")
    return made


class Fails(layers.Layer):
    def call(self, x, training=None):
        if training:
            raise ZeroDivisionError("nothing to divide by")
        return x


class Damaged(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        if i == 2:
            raise OSError("image 17 is damaged")
        return x[:8], y[:8]


def uncompiled():
    return network(False)


def failing():
    made = keras.Sequential([keras.Input((4,)), Fails(), layers.Dense(3)])
    made.compile("adam", "mse")
    return made


def raising():
    raise RuntimeError("no camera\\nis connected")


def data():
    return x, y


def narrow():
    return x[:, :3], y


def labels():
    return x, y + 7


def inputs():
    return x


def four():
    return x, y, y, y


def unlike():
    return x, y[:30]


def nan():
    return np.where(np.arange(160).reshape(40, 4) == 54, np.nan, x).astype("float32"), y


def repeated():
    return tf.data.Dataset.from_tensor_slices(data()).batch(8).repeat()


def endless():
    while True:
        for start in range(0, 40, 8):
            yield x[start : start + 8], y[start : start + 8]


def shuffled():
    while True:
        order = np.random.permutation(40)
        for start in range(0, 40, 8):
            yield x[order[start : start + 8]], y[order[start : start + 8]]


def streamed():
    kinds = tf.TensorSpec((None, 4), tf.float32), tf.TensorSpec((None,), tf.int64)
    return tf.data.Dataset.from_generator(shuffled, output_signature=kinds)


def damaged():
    return Damaged()


def step(model, batch):
    return {"los": 1.0}


used = endless()
"""
MODELS = {
    "nowhere.keras": "is missing",
    "person.py:rows": "model is dict",
    "person.py:nothing": "has no 'nothing'",
    "person.py:raising": "line 45: RuntimeError: no camera is connected",
    "person.py:failing": "ZeroDivisionError",
    "person.py:uncompiled": "isn't compiled",
    "lambda.keras": "--trust",
    "own.keras": "needs the class Own, which is code of your own: name FILE.py:NAME",
    "saved": "SavedModel",
    "damaged.keras": "can't be read",
}
DATA = {
    "nowhere.npz": "there is no file",
    "person.py:narrow": "the model or its loss refuses the data: Exception encountered when calling",
    "person.py:labels": "Received a label value of 9",
    "person.py:inputs": "no targets",
    "person.py:four": "format",
    "person.py:unlike": "30 and 40 samples",
    "person.py:nan": "sample 13 has NaN",
    "person.py:repeated": "steps=",
    "person.py:endless": "begins anew every 5 batches: say how many batches a pass has with steps=",
    "person.py:shuffled": "gives the same 40 samples again and again, and doesn't say whether it ends: say how many",
    "person.py:streamed": "gives the same 40 samples again and again, and doesn't say whether it ends: say how many",
    "person.py:used": "used up",
    "person.py:damaged": "OSError: image 17 is damaged",
    "person.py:raising": "no camera is connected",
}
OTHERS = {
    ("--step", "person.py:step"): "los",
    ("--loss", "cross_entropy"): "a Keras model knows its loss",
    ("--reported", "loss=high"): "loss",
    ("--reported", "nowhere.csv"): "nowhere.csv",
    ("--weights", "nowhere.weights.h5"): "nowhere.weights.h5",
    ("--steps", "0"): "1 or more",
    (
        "--evaluate-data",
        "person.py:repeated",
    ): "evaluate_data never ends (repeat()): give one pass over it alone",
}
ALL = [((name, "--data", "person.py:data"), words) for name, words in MODELS.items()]
ALL += [(("person.py:network", "--data", name), words) for name, words in DATA.items()]
ALL += [(("person.py:network", "--data", "person.py:data", *more), words) for more, words in OTHERS.items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    there = tmp_path_factory.mktemp("refused")
    (there / "person.py").write_text(PERSON)
    (there / "damaged.keras").write_bytes(b"PK\x03\x04 and nothing more")
    twice = layers.Lambda(lambda t: t * 2)
    keras.Sequential([keras.Input((4,)), twice, layers.Dense(3)]).save(there / "lambda.keras")
    (there / "saved").mkdir()

    class Own(layers.Layer):  # only this function knows it
        def call(self, x):
            return x

    keras.Sequential([keras.Input((4,)), Own(), layers.Dense(3)]).save(there / "own.keras")
    (there / "saved" / "saved_model.pb").write_bytes(b"")
    return there


@pytest.mark.parametrize(("arguments", "words"), ALL, ids=[" ".join(arguments) for arguments, _ in ALL])
def test_it_is_refused_in_one_line(folder, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(folder)
    assert main(["diagnose", *arguments]) == 2
    out, error = capsys.readouterr()
    lines = [line for line in error.splitlines() if "Warning" not in line and not line.startswith("  ")]
    assert out == ""
    assert len(lines) == 1, error
    assert re.search(re.escape(words), lines[0])
    assert len(lines[0]) < 330
    assert "function_node" not in lines[0]


def test_a_generator_that_never_ends_is_passed_so_many_batches_as_are_asked_for(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    asked = ["person.py:network", "--data", "person.py:endless", "--steps", "5"]
    assert main(["diagnose", *asked]) in (0, 1)
    assert "40 samples" in capsys.readouterr().out


def test_what_a_refusal_has_seen_stays_as_it_was(folder):
    from compare.diagnosis.diagnosis import diagnose
    from compare.spec import InputError

    model = compiled(keras.Sequential([keras.Input((4,)), Dense(6), BN(), Dense(3)]))
    before = [np.array(v) for v in model.variables]
    with pytest.raises(InputError, match="no targets"):
        diagnose(model, np.ones((40, 4), "float32"), batch_size=8)
    assert all(np.array_equal(a, b) for a, b in zip(before, map(np.array, model.variables), strict=True))


@pytest.mark.parametrize("figure", ["loss", "evaluate_loss"])
def test_a_reported_loss_that_is_no_number_is_harmful(folder, monkeypatch, capsys, figure):
    monkeypatch.chdir(folder)
    asked = ["diagnose", "person.py:network", "--data", "person.py:data"]
    assert main([*asked, "--reported", f"{figure}=nan"]) == 1
    assert "numerics: harmful" in capsys.readouterr().out
