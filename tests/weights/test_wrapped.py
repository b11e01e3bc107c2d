"""What training scripts put around a network's names and beside its weights, and what only looks like a ResNet50."""

import re

import numpy as np
import pytest
import safetensors.numpy

from compare.spec import InputError
from compare.weights.reading import known, read
from compare.weights.recognise import recognise
from compare.weights.settle import settle
from compare.weights.source import Beside
from compare.weights.spellings import Names
from tests.support.weight_files import arrays_of
from tests.weights.test_reading import NAMED, assert_equal, state_of, torch_resnet, torch_vgg

SPELLING = NAMED[Names.TORCHVISION, "vgg16"]
ARRAYS = arrays_of("vgg16", width=0.0625)
HEAD = {"classifier.2.weight": np.ones((3, 32), "float32"), "classifier.2.bias": np.ones(3, "float32")}


def saved(path, state):
    safetensors.numpy.save_file(state, path)
    return path


@pytest.mark.parametrize("around", ["module", "_orig_mod", "_fsdp_wrapped_module"])
def test_what_is_put_around_a_part_of_a_model_is_no_part_of_a_name(tmp_path, around):
    state = {
        key.replace("features", f"features.{around}"): a for key, a in state_of(ARRAYS, SPELLING).items()
    }
    source = read(saved(tmp_path / "a", state | HEAD))
    assert_equal(source.backbone_arrays(), ARRAYS)
    # its owner's model has the file's own keys
    assert source.keys["block1_conv1/kernel"] == f"features.{around}.0.weight"
    assert source.chain.names == ("classifier.2",)


def test_two_names_that_would_be_one_stay_as_they_are(tmp_path):
    state = state_of(ARRAYS, SPELLING) | {"module.features.0.weight": np.ones(2, "float32")}
    assert_equal(read(saved(tmp_path / "a", state)).backbone_arrays(), ARRAYS)


@pytest.mark.parametrize("name", ["criterion.weight", "loss_fn.pos_weight", "train_metrics.total"])
def test_a_loss_beside_a_network_is_left_and_named(tmp_path, name):
    state = state_of(ARRAYS, SPELLING, "model.") | {name: np.ones(3, "float32")}
    source = read(saved(tmp_path / "a", state))
    assert source.beside == ((name, Beside.LOSS),)
    assert settle(source)[0].top == ()


@pytest.mark.parametrize(
    "state",
    [
        {"metric.weight": np.ones((3, 32), "float32"), "metric.bias": np.ones(3, "float32")},
        {
            f"loss_bn.{kind}": np.ones(32, "float32")
            for kind in ("weight", "bias", "running_mean", "running_var")
        },
    ],
)
def test_a_layer_is_never_taken_for_a_loss(tmp_path, state):
    source = read(saved(tmp_path / "a", state_of(ARRAYS, SPELLING) | state))
    assert source.beside == ()
    assert source.head() == [next(iter(state)).partition(".")[0]]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_names_of_tensorflows_variables(tmp_path, suffix):
    named = {f"{name}:0": array for name, array in ARRAYS.items()}
    path = tmp_path / f"a{suffix}"
    np.savez(path, **named) if suffix == ".npz" else saved(path, named)
    assert_equal(read(path).arrays, ARRAYS)


def test_complex_numbers_are_refused_by_their_name(tmp_path):
    state = {**state_of(ARRAYS, SPELLING), **HEAD}
    state["classifier.2.weight"] = state["classifier.2.weight"] * np.complex64(1j)
    np.savez(tmp_path / "a.npz", **state)
    with pytest.raises(InputError, match=r"classifier\.2/kernel holds complex numbers"):
        known(read(tmp_path / "a.npz"))


def test_a_network_that_is_known_under_strange_names_is_not_called_another(tmp_path):
    arrays = arrays_of("resnet50", "v1.5", 0.0625)
    state = {f"mine.{name}".replace("/kernel", "/w"): array for name, array in arrays.items()}
    with pytest.raises(InputError, match="is a ResNet50, but its arrays have names that aren't known"):
        known(read(saved(tmp_path / "a.safetensors", state)))


def slim_vgg(layer):
    return f"vgg_16/conv{layer[5]}/conv{layer[5]}_{layer[-1]}/weights"


def caffe_vgg(layer):
    return f"conv{layer[5]}_{layer[-1]}_W"


def slim_resnet(layer):
    if layer == "conv1_conv":
        return "resnet_v1_50/conv1/weights"
    stage, block, number, _ = layer.removeprefix("conv").replace("_block", "_").split("_")
    part = f"conv{number}" if number != "0" else "shortcut"
    return f"resnet_v1_50/block{int(stage) - 1}/unit_{block}/bottleneck_v1/{part}/weights"


@pytest.mark.parametrize(
    ("backbone", "named", "kind"),
    [
        ("vgg16", slim_vgg, "a VGG16"),
        ("vgg16", caffe_vgg, "a VGG16"),
        ("resnet50", slim_resnet, "a ResNet50"),
    ],
)
def test_names_of_tensorflows_slim_and_of_caffe_are_known_as_the_network(tmp_path, backbone, named, kind):
    arrays = arrays_of(backbone, width=0.0625)
    state = {named(n.rpartition("/")[0]): a for n, a in arrays.items() if n.endswith("kernel")}
    np.savez(tmp_path / "a.npz", **state)
    with pytest.raises(InputError, match=f"is {kind}, but its arrays have names that aren't known"):
        known(read(tmp_path / "a.npz"))


RELATIVES = {
    "a Res2Net50": {"layer1.0.convs.0.weight": (4, 4, 3, 3)},
    "an SK-ResNet50": {"layer1.0.conv2.paths.0.conv.weight": (4, 4, 3, 3)},
    "a ResNeSt50": {"layer1.0.conv2.fc1.weight": (4, 4, 1, 1)},
    "an SE-ResNet50": {"layer1.0.se.fc1.weight": (4, 4, 1, 1)},
}
SHALLOW = {"an SE-ResNet18": {"layer1.0.se_module.fc1.weight": (4, 4, 1, 1)}}


@pytest.mark.parametrize("name", RELATIVES | SHALLOW)
def test_a_relative_of_resnet_is_called_by_its_name(name):
    state = torch_resnet((2, 2, 2, 2), bottleneck=False) if name in SHALLOW else torch_resnet((3, 4, 6, 3))
    state |= {key: np.ones(shape) for key, shape in (RELATIVES | SHALLOW)[name].items()}
    assert recognise(state) == name


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("blocks.0.layers.0.layers.window_attention.attn_layer.1.se.squeeze.weight", "a MaxViT"),
        ("features.3.squeeze.weight", ""),
        ("features.3.expand3x3.weight", "a SqueezeNet"),
        ("stages.0.blocks.0.conv_mid.0.conv.weight", "a VoVNet"),
        ("stages.0.blocks.0.token_mixer.dwconv_hw.weight", "an InceptionNeXt"),
        ("stages.0.blocks.0.token_mixer.proj.weight", "a MetaFormer, as PoolFormer is one"),
        ("layers.8.0.layers.1.running_mean", "an MNASNet"),
        ("stages.0.blocks.0.attn.meta_mlp.fc1.weight", "a Swin Transformer"),
        ("normal_conv_1_1/kernel", "a NASNet"),
        ("stages.3.0.self_attn.pos_embed.height_rel", ""),
        ("encoder.layer.0.attention.self.query.weight", "a transformer for text"),
        ("features.1.0.attn.cpb_mlp.0.weight", "a Swin Transformer"),
    ],
)
def test_a_word_of_one_architecture_does_not_name_another(key, name):
    assert recognise({key: np.ones((2, 2))}) == name


VGGS = {
    "a VGG13": (2, 2, 2, 2, 2),
    "a VGG16": (2, 2, 3, 3, 3),
    "a VGG with 2, 2, 3, 3 convolutions a block": (2, 2, 3, 3),
    "a VGG with 1, 2, 3, 2, 2 convolutions a block": (1, 2, 3, 2, 2),
}


@pytest.mark.parametrize("kind", ["Keras", "torchvision", "with BN"])
@pytest.mark.parametrize("name", VGGS)
def test_a_vgg_is_known_by_its_blocks_and_not_by_a_count(name, kind):
    if kind == "Keras":
        arrays = {
            f"block{block}_conv{conv}/kernel": np.ones((3, 3, 2, 2))
            for block, count in enumerate(VGGS[name], 1)
            for conv in range(1, count + 1)
        }
    else:
        state = torch_vgg(VGGS[name], bn=kind == "with BN")
        arrays = {f"model.{key}": array for key, array in state.items()}
    number, _, blocks = name.partition(" with ")
    bn = " with BN" if kind == "with BN" else ""
    assert recognise(arrays) == f"{number}{bn}{f' with {blocks}' if blocks else ''}"


def test_detectrons_names_of_a_resnet_are_known_as_a_resnet():
    state = torch_resnet((3, 4, 6, 3))
    renamed = {re.sub(r"layer(\d)", lambda m: f"res{int(m[1]) + 1}", key): a for key, a in state.items()}
    assert recognise(renamed) == "a ResNet50"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classifier.2.weight": np.ones((3, 5), "float32")}, r"classifier\.2 "),
        ({"classifier.1.weight": np.ones(4, "float32")}, r"layer net\.classifier\.1 is no dense layer"),
    ],
)
def test_a_refusal_names_a_layer_as_the_file_does(tmp_path, change, words):
    state = {f"net.{key}": a for key, a in (state_of(ARRAYS, SPELLING) | HEAD | change).items()}
    with pytest.raises(InputError, match=words):
        settle(read(saved(tmp_path / "a.safetensors", state)))
