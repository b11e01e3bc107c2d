"""A backbone that isn't a plain one is never trained as if it were, whatever lies in it and in whichever file."""

import json
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from compare.spec import InputError
from compare.weights.reading import known, read
from compare.weights.settle import settle
from compare.weights.source import Beside
from compare.weights.sources import resolve
from compare.weights.spellings import Names
from tests.support.weight_files import arrays_of
from tests.weights.test_configuration import FLATTEN, arrays, body, dense, layer, write
from tests.weights.test_reading import NAMED, assert_equal, state_of

RESNET = state_of(arrays_of("resnet50", "v1.5", 0.0625), NAMED[Names.TORCHVISION, "resnet50"])
ONES = np.ones((3, 128), "float32")


def saved(path, state):
    safetensors.numpy.save_file(state, path)
    return path


def run_refusal(path, backbone, tmp_path):
    with pytest.raises(InputError) as caught:
        resolve(str(path), backbone, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    return str(caught.value)


@pytest.mark.parametrize("prefix", ["", "encoder."])
@pytest.mark.parametrize(
    "key",
    [
        "layer1.0.ca.fc1.weight",
        "layer1.0.bn1.IN.weight",
        "layer2.0.conv3.0.filt",
        "layer1.0.conv1.lora_A",
        "layer3.1.relu.alpha",
        "conv1.weight_scale",
    ],
)
def test_what_lies_within_a_backbone_is_no_head(tmp_path, prefix, key):
    state = {prefix + name: array for name, array in RESNET.items()} | {prefix + key: ONES[:1, :2].copy()}
    path = saved(tmp_path / "a", state)
    said = run_refusal(path, "resnet50", tmp_path)
    assert f"{prefix}{key} within the backbone" in said
    assert said.endswith("a run trains a plain ResNet50")
    with pytest.raises(InputError, match="within the backbone"):
        settle(read(path))


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_what_lies_beside_a_backbone_is_a_head(tmp_path, prefix):
    heads = {
        "fc.weight": ONES,
        "decoder.0.weight": np.ones((4, 128, 3, 3), "float32"),
        "neck.norm.weight": ONES[0],
    }
    path = saved(tmp_path / "a", {prefix + name: array for name, array in RESNET.items()} | heads)
    why = resolve(str(path), "resnet50", tmp_path / "out")["why"]
    assert "its head is left (" in why
    assert "decoder.0" in why
    assert "neck.norm" in why


@pytest.mark.parametrize("at", ["", "0."])
def test_what_normalises_in_front_of_a_backbone_is_said_to_be_left(tmp_path, at):
    front = {f"{at}{kind}": np.full((3, 1, 1), 0.5, "float32") for kind in ("mean", "std")}
    path = saved(tmp_path / "a", {f"1.{name}": array for name, array in RESNET.items()} | front)
    why = resolve(str(path), "resnet50", tmp_path / "out")["why"]
    assert why.endswith(f"; left, though they changed what the backbone saw: {at}mean, {at}std")
    with pytest.raises(InputError, match=f"layer {at or 'mean'}"[:7]):
        settle(read(path))


def test_what_a_profiler_counted_is_no_weight(tmp_path):
    counts = {f"layer1.0.conv1.{kind}": np.ones(1) for kind in ("total_ops", "total_params")}
    source = read(saved(tmp_path / "a", RESNET | counts | {"total_ops": np.ones(1)}))
    assert (source.head(), source.obstacles) == ([], ())
    assert_equal(source.arrays, arrays_of("resnet50", "v1.5", 0.0625))


@pytest.mark.parametrize(
    ("taken", "parts"),
    [
        ("layer2.0.conv1", ("weight_orig", "weight_mask")),
        ("conv1", ("weight_orig", "weight_u")),
        ("layer1.0.conv1", ("parametrizations.weight.original0", "parametrizations.weight.original1")),
    ],
)
def test_weights_in_parts_are_refused_with_what_puts_them_together(tmp_path, taken, parts):
    state = {name: array for name, array in RESNET.items() if name != f"{taken}.weight"}
    path = saved(tmp_path / "a", state | {f"{taken}.{part}": ONES[:2].copy() for part in parts})
    with pytest.raises(InputError, match="keeps weights in parts") as caught:
        known(read(path))
    assert "torch.nn.utils.prune.remove" in str(caught.value)
    assert f"{taken}.{parts[0]}" in str(caught.value)


def _in_backbone(*odd):
    """A VGG16 with other layers behind its third convolution."""
    layers = body()
    return [*layers[:4], *odd, *layers[4:], FLATTEN, dense("out", 3)]


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (layer("LeakyReLU", "leaky", negative_slope=0.1), "layer leaky "),
        (layer("BatchNormalization", "norm", epsilon=1e-3, momentum=0.99), "layer norm .* normalises"),
        (layer("AveragePooling2D", "soft_pool", pool_size=[2, 2]), "layer soft_pool .* averages"),
        (layer("Activation", "smooth", activation="gelu"), "layer smooth .* is a gelu"),
        (layer("SomebodysAttention", "see"), "layer see "),
        (layer("RandomCrop", "crop", height=32, width=32), "layer crop "),
    ],
)
def test_a_layer_within_keras_backbone_is_refused_in_a_run(tmp_path, odd, words):
    path = write(tmp_path / "a.keras", _in_backbone(odd), arrays())
    with pytest.raises(InputError, match=words):
        resolve(str(path), "vgg16", tmp_path / "out")


@pytest.mark.parametrize("more", [{"dilation_rate": [2, 2]}, {"groups": 2}, {"activation": "elu"}])
def test_a_convolution_that_computes_otherwise_is_refused(tmp_path, more):
    layers = _in_backbone()
    layers[4]["config"] |= more
    path = write(tmp_path / "a.keras", layers, arrays())
    with pytest.raises(InputError, match=r"layer block2_conv1 \(Conv2D\) "):
        resolve(str(path), "vgg16", tmp_path / "out")
    with pytest.raises(InputError, match=r"layer block2_conv1 \(Conv2D\) "):
        settle(read(path))


def test_attention_within_keras_backbone_is_found_by_what_comes_behind_it(tmp_path):
    """Its pooling and dense layers are those of a head, but for the convolutions that follow."""
    squeezed = [layer("GlobalAveragePooling2D", "squeeze"), dense("excite", 8, "sigmoid", shape=(8,))]
    held = arrays() | {"excite/kernel": np.ones((8, 8), "float32"), "excite/bias": np.ones(8, "float32")}
    path = write(tmp_path / "a.keras", _in_backbone(*squeezed), held)
    with pytest.raises(
        InputError, match=r"layer block2_conv1 \(Conv2D\) comes after layers that a plain backbone"
    ):
        resolve(str(path), "vgg16", tmp_path / "out")


def test_dropout_within_a_backbone_is_no_dropout_of_the_head(tmp_path):
    source = read(write(tmp_path / "a.keras", _in_backbone(layer("Dropout", "drop", rate=0.3)), arrays()))
    assert source.beside == (("layer drop (Dropout)", Beside.IDLE),)
    assert settle(source)[0].top[0].dropout == 0


@pytest.mark.parametrize(("width", "found"), [(8, True), (32, False), (7, False)])
def test_a_normalisation_in_weights_alone_is_told_by_its_width(tmp_path, width, found):
    named = arrays_of("vgg16", width=0.0625)
    named |= {
        f"norm/{kind}": np.ones(width, "float32")
        for kind in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    path = saved(tmp_path / "a", named)
    if found:
        assert "norm are as wide as layers of the backbone alone" in run_refusal(path, "vgg16", tmp_path)
    else:
        assert "its head is left (norm)" in resolve(str(path), "vgg16", tmp_path / "out")["why"]


def test_a_loss_that_is_code_is_in_nobodys_way(tmp_path):
    path = write(tmp_path / "a.keras", [*body(), FLATTEN, dense("out", 3)], arrays())
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"]) | {"compile_config": {"loss": {"class_name": "__lambda__"}}}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"config.json": json.dumps(config)}).items():
            archive.writestr(name, content)
    assert settle(read(path))[0].top[0].name == "out"
