"""The code of docs/diagnose.md and of the README runs."""

import keras
import numpy as np
import pytest

import compare
from tests.support.blocks import blocks


@pytest.mark.parametrize("page", ["docs/diagnose.md", "README.md"])
def test_the_code_for_a_keras_model_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(16), keras.layers.BatchNormalization(momentum=0.999),
         keras.layers.ReLU(), keras.layers.Dense(2)]
    )  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    x = np.random.default_rng(0).normal(6, 2, (64, 8)).astype("float32")
    names = {"compare": compare, "keras": keras, "model": model, "x": x, "y": (x[:, 0] > 6).astype("int32")}
    names["train_ds"] = _dataset(x, names["y"])
    codes = blocks(page, "Keras", "Keras and PyTorch")
    assert codes
    for code in codes:
        exec(code, names)
    assert names["diagnosis"].findings[0].cause == "stale-statistics"
    assert (tmp_path / "why.html").is_file()
    assert "stale statistics: harmful" in capsys.readouterr().out


def _dataset(x, y):
    """Batches by number, as any backend takes them."""

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            part = slice(16 * index, 16 * index + 16)
            return x[part], y[part]

    return Batches()
