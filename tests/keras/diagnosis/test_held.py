"""What a diagnosis takes from files of Keras: networks of weights alone, and what is no file of Keras."""

import json

import keras
import numpy as np
import pytest

from compare.cli.app import main
from compare.data import preprocess
from compare.given import held
from compare.spec import InputError
from keras_impl import networks, saving, weights
from tests.support.image_files import two_classes
from tests.support.weight_files import arrays_of, names_of, network_of


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(held.Made, "size", (64, 64))
    two_classes(tmp_path / "photos", 6, 4)
    return tmp_path


def test_a_network_of_weights_alone_is_made_and_its_images_are_preprocessed(photos, capsys):
    network = network_of("vgg16", width=0.0625, top=[("predictions", 2, "softmax", True)], pooling="avg")
    arrays = {n: a * (0.2 if a.ndim == 4 else 0.02) for n, a in arrays_of("vgg16", width=0.0625).items()}
    arrays["predictions/kernel"] = np.random.default_rng(3).normal(size=(32, 2)).astype("float32")
    arrays["predictions/bias"] = np.ones(2, "float32")
    names = names_of("applications", arrays, network)
    saving.write(photos / "ported.weights.h5", arrays, network, "applications", names)
    model = networks.build(network)
    weights.from_arrays(model, arrays)
    code = main(["diagnose", "ported.weights.h5", "--data", "photos", "--json"])
    out, error = capsys.readouterr()
    assert code in (0, 1), error
    assert "made of ported.weights.h5: vgg16" in error
    pixels, labels = held.images("photos", size=(64, 64))
    outputs = np.asarray(model(preprocess(pixels.astype("uint8"), "caffe")))
    loss = -np.log(outputs[np.arange(len(labels)), labels]).mean()
    assert json.loads(out)["measured"]["evaluate_loss"] == pytest.approx(float(loss), rel=1e-5)


def test_images_have_the_size_that_a_model_takes():
    fixed = keras.Sequential([keras.Input((48, 40, 3)), keras.layers.Flatten()])
    free = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()])
    assert (held.size_of(fixed), held.size_of(free)) == ((48, 40), None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x08\x08\x12\x07pytorch\x1a\x032.4:\x06\x12\x04main", "is an ONNX model"),
        (b"\x80\x02}q\x00.", "is no file of Keras"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_file_of_keras_is_called_by_its_name(tmp_path, content, words):
    (tmp_path / "a.keras").write_bytes(content)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(InputError, match=words) as caught:
        held.load(model, tmp_path / "a.keras")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("at", [0.02, 0.9, -40])
def test_a_damaged_model_is_called_by_its_file(tmp_path, monkeypatch, capsys, at):
    monkeypatch.chdir(tmp_path)
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save("a.keras")
    content = bytearray((tmp_path / "a.keras").read_bytes())
    place = int(len(content) * at) if at > 0 else at
    content[place : place + 20] = bytes(20)
    (tmp_path / "a.keras").write_bytes(content)
    assert main(["diagnose", "a.keras", "--audit"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: a.keras")
    assert error.count("\n") == 1
