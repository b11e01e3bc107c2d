"""compare.weights.reading: files told by structure, names by what they mean, other networks by their own name."""

import json
import re
import time

import h5py
import numpy as np
import pytest
import safetensors.numpy

from compare.spec import InputError
from compare.weights import guard
from compare.weights.reading import known, read
from compare.weights.settle import settle
from compare.weights.spellings import BATCH_NORM, SPELLINGS, WEIGHTS, Names
from tests.support.waiting import LONG
from tests.support.weight_files import arrays_of, write_legacy

KEYS = {kind: key for table in (WEIGHTS, BATCH_NORM) for key, kind in table.items()}
NAMED = {(spelling.names, spelling.backbone): spelling for spelling in reversed(SPELLINGS)}


def raw(arrays, low=None, start=None):
    """A ``.safetensors`` whose first byte, or first two, are as asked for: those of the header's length."""
    content = safetensors.numpy.save(arrays)
    size = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + size], content[8 + size :]
    wanted, modulus = (low, 256) if low is not None else (int.from_bytes(start, "little"), 65536)
    header += b" " * ((wanted - len(header)) % modulus)
    return len(header).to_bytes(8, "little") + header + data


def state_of(arrays, spelling, prefix="", others=()):
    """Arrays under PyTorch's names and in its layout."""
    modules = {layer: module for module, layer in spelling.modules.items()}
    state = {}
    for name, array in arrays.items():
        layer, _, kind = name.rpartition("/")
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim, (0,))
        key = f"{modules.get(layer, layer)}.{KEYS[kind]}"
        state[prefix + key] = np.ascontiguousarray(array.transpose(axes))
    return state | {name: np.ones(2, "float32") for name in others}


def saved(path, arrays, **metadata):
    safetensors.numpy.save_file(arrays, path, metadata or None)
    return path


def assert_equal(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, name)


@pytest.mark.parametrize("first", [{"low": 0x80}, {"start": b"PK"}, {"low": 0x89}])
def test_a_safetensors_is_one_whatever_its_first_bytes_are(tmp_path, first):
    arrays = arrays_of("vgg16", width=0.0625)
    (tmp_path / "a").write_bytes(raw(arrays, **first))
    assert_equal(read(tmp_path / "a").arrays, arrays)


@pytest.mark.parametrize("prefix", ["", "model.", "_orig_mod.module.net.", "backbone.encoder."])
@pytest.mark.parametrize(("names", "backbone"), NAMED)
def test_names_of_others_mean_the_same_arrays(tmp_path, names, backbone, prefix):
    variant = "v1" if names is Names.PROJECT else "v1.5"
    arrays = arrays_of(backbone, variant, 0.0625)
    state = state_of(arrays, NAMED[names, backbone], prefix)
    if names is Names.TIMM:
        state[f"{prefix}pre_logits.fc1.weight"] = np.ones((3, 32, 7, 7), "float32")
    source = read(saved(tmp_path / "a", state))
    found = source.backbone_arrays()
    assert_equal(found, arrays)
    plain = prefix.removeprefix("_orig_mod.module.")
    assert (source.names, source.prefix, source.backbone) == (names, plain, backbone)
    assert all(key in state for key in source.keys.values())


def test_a_head_beside_a_prefixed_backbone_is_named_by_its_modules(tmp_path):
    arrays = arrays_of("resnet50", "v1.5", 0.0625)
    state = state_of(arrays, NAMED[Names.TORCHVISION, "resnet50"], "body.")
    state |= {"classifier.2.weight": np.ones((3, 128), "float32"), "classifier.2.bias": np.ones(3, "float32")}
    source = read(saved(tmp_path / "a", state))
    assert source.head() == ["classifier.2"]
    assert source.chain.names == ("classifier.2",)
    network, assumed = settle(source)
    assert (network.top[0].activation, network.top[0].units) == ("linear", 3)
    assert any("else --output" in line for line in assumed)
    assert settle(source, output="softmax")[0].top[0].activation == "softmax"


def test_two_networks_in_one_file_are_refused_with_both_names(tmp_path):
    arrays, spelling = arrays_of("resnet50", "v1.5", 0.0625), NAMED[Names.TORCHVISION, "resnet50"]
    state = state_of(arrays, spelling, "encoder_q.") | state_of(arrays, spelling, "encoder_k.")
    with pytest.raises(InputError, match=r"several networks, under 'encoder_k\.' and 'encoder_q\.'"):
        read(saved(tmp_path / "a", state))


def test_parts_with_an_index_are_one_file(tmp_path):
    arrays = arrays_of("resnet50", "v1.5", 0.0625)
    state = state_of(arrays, NAMED[Names.HUGGING_FACE, "resnet50"], "resnet.")
    halves = [dict(list(state.items())[:90]), dict(list(state.items())[90:])]
    index = {}
    for number, half in enumerate(halves):
        saved(tmp_path / f"part{number}.safetensors", half)
        index |= dict.fromkeys(half, f"part{number}.safetensors")
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": index}))
    assert_equal(read(path).arrays, arrays)
    (tmp_path / "part1.safetensors").unlink()
    with pytest.raises(InputError, match=r"a part that is missing: part1.safetensors"):
        read(path)
    path.write_text(json.dumps({"weight_map": {"a": "../../etc/passwd"}}))
    with pytest.raises(InputError, match="doesn't lie beside it"):
        read(path)


def test_an_npz_of_named_arrays(tmp_path):
    arrays = arrays_of("resnet50", "v1.5", 0.0625)
    np.savez(tmp_path / "a.npz", **state_of(arrays, NAMED[Names.TORCHVISION, "resnet50"], "model."))
    assert_equal(read(tmp_path / "a.npz").arrays, arrays)


def dense(arrays, units, names, channels=32):
    generator = np.random.default_rng(5)
    for name in names:
        arrays[f"{name}/kernel"] = generator.normal(size=(channels, units)).astype("float32")
        channels = units
    return arrays


def test_dense_layers_of_a_legacy_file_stand_in_the_models_order(tmp_path):
    names = [f"dense_{number}" for number in (8, 9, 10, 11)]
    arrays = dense(arrays_of("vgg16", width=0.0625), 32, names)
    source = read(write_legacy(tmp_path / "a.h5", arrays))
    assert source.chain.names == tuple(names)
    assert [layer.name for layer in settle(source)[0].top] == names


def test_an_order_that_a_file_does_not_keep_is_said(tmp_path):
    arrays = dense(arrays_of("vgg16", width=0.0625), 32, ["b", "a", "c_10", "c_9"])
    network, assumed = settle(read(saved(tmp_path / "a.safetensors", arrays)))
    assert [layer.name for layer in network.top] == ["a", "b", "c_9", "c_10"]
    assert any(line.startswith("the order of a, b, c_9, c_10") for line in assumed)


def test_rows_are_reordered_whatever_the_units(tmp_path):
    arrays = dense(arrays_of("vgg16", width=0.0625), 128, ["classifier.0"], channels=128)
    state = state_of(arrays, NAMED[Names.TORCHVISION, "vgg16"])
    found = read(saved(tmp_path / "a", state)).arrays["fc1/kernel"]
    expected = arrays["classifier.0/kernel"].reshape(32, 2, 2, 128).transpose(1, 2, 0, 3).reshape(128, 128)
    np.testing.assert_array_equal(found, expected)


def test_a_map_that_is_not_square_needs_its_height_and_width(tmp_path):
    arrays = dense(arrays_of("vgg16", width=0.0625), 3, ["top"], channels=32 * 6)
    state = state_of(arrays, NAMED[Names.TORCHVISION, "vgg16"])
    source = read(saved(tmp_path / "a", state))
    with pytest.raises(
        InputError, match="layer top sees a flattened map of 6 places, whose height and width"
    ):
        settle(source)


def tf_keras_file(path, arrays):
    """Weights by number alone, as tf-keras and Keras before 3.6 wrote them."""
    order = [name for name in arrays if name.startswith("block")]
    convs = list(dict.fromkeys(name.rpartition("/")[0] for name in order))
    with h5py.File(path, "w") as file:
        for number, layer in enumerate(convs):
            group = file.create_group(f"layers/conv2d{f'_{number}' if number else ''}/vars")
            group["0"], group["1"] = arrays[f"{layer}/kernel"], arrays[f"{layer}/bias"]
    return path


def test_layers_without_names_are_named_by_their_order(tmp_path):
    arrays = arrays_of("vgg16", width=0.0625)
    assert_equal(read(tf_keras_file(tmp_path / "a.weights.h5", arrays)).arrays, arrays)


CONV = {3: (4, 3, 3, 3), 1: (4, 4, 1, 1)}


def torch_resnet(blocks, bottleneck=True, wide=1, groups=1):
    """The names and kinds of shapes of torchvision's ResNets."""
    state = {"conv1.weight": np.ones((4, 3, 7, 7)), "bn1.weight": np.ones(4)}
    for stage, count in enumerate(blocks, 1):
        for block in range(count):
            name = f"layer{stage}.{block}"
            state[f"{name}.conv1.weight"] = np.ones((4 * wide, 4, 1, 1))
            state[f"{name}.conv2.weight"] = np.ones((4 * wide, 4 * wide // groups, 3, 3))
            if bottleneck:
                state[f"{name}.conv3.weight"] = np.ones((16, 4 * wide, 1, 1))
    return state


def torch_vgg(blocks, bn):
    state, index = {}, 0
    for convs in blocks:
        for _ in range(convs):
            state[f"features.{index}.weight"] = np.ones((4, 4, 3, 3))
            if bn:
                state[f"features.{index + 1}.running_mean"] = np.ones(4)
            index += 3 if bn else 2
        index += 1  # the pooling
    return state


OTHERS = {
    "a ResNet18": torch_resnet((2, 2, 2, 2), bottleneck=False),
    "a ResNet34": torch_resnet((3, 4, 6, 3), bottleneck=False),
    "a ResNet101": torch_resnet((3, 4, 23, 3)),
    "a ResNet152": torch_resnet((3, 8, 36, 3)),
    "a Wide ResNet50": torch_resnet((3, 4, 6, 3), wide=2),
    "a ResNeXt50": torch_resnet((3, 4, 6, 3), groups=2),
    "a VGG19": torch_vgg((2, 2, 4, 4, 4), bn=False),
    "a VGG16 with BN": torch_vgg((2, 2, 3, 3, 3), bn=True),
    "a DenseNet121": {
        f"features.denseblock{b}.denselayer{n + 1}.conv1.weight": np.ones((4, 4, 1, 1))
        for b, count in enumerate((6, 12, 24, 16), 1)
        for n in range(count)
    },
    "a LoRA adapter without the model that it is for": {"base.layer1.0.conv1.lora_A.weight": np.ones((2, 4))},
    "a Vision Transformer": {"cls_token": np.ones((1, 1, 8)), "blocks.0.attn.qkv.weight": np.ones((24, 8))},
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_network_is_called_by_its_name(tmp_path, name):
    state = {key: array.astype("float32") for key, array in OTHERS[name].items()}
    with pytest.raises(InputError, match=re.escape(f"is {name}, neither")) as error:
        known(read(saved(tmp_path / "a.safetensors", state)))
    assert len(str(error.value).replace(str(tmp_path), "")) < 200


def test_long_lists_end_in_a_count(tmp_path):
    state = {f"layer_{number}.weights": np.ones(1, "float32") for number in range(500)}
    with pytest.raises(InputError, match=r"500 arrays .* and 496 more") as error:
        known(read(saved(tmp_path / "a.safetensors", state)))
    assert len(str(error.value)) < 400


def protobuf():
    return b"\x08\x08\x12\x07pytorch\x1a\x032.4:\x06\x12\x04main"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (protobuf(), "an ONNX model"),
        (b"\x20\x00\x00\x00TFL3" + bytes(40), "TensorFlow Lite"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"\n<!doctype html><title>404</title>", "a web page"),
        (b"GGUF\x03\x00\x00\x00", "a GGUF file"),
        (b"\x1f\x8b\x08\x00", "a gzip archive; unpack it first"),
        (b"\x93NUMPY\x01\x00", "a single array"),
        (
            b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False}",
            "pickled objects, which may run code",
        ),
        (b'{"class_name": "Sequential"}', "configuration without weights"),
        (b'{"weightsManifest": []}', "TensorFlow.js"),
        (b'{"weight_map": {"/layers/conv2d/vars": ["a.h5"]}}', "that Keras wrote in parts"),
        (b'{"a": 1', "is JSON, no file of weights"),
        (b"", "is empty"),
        (b"\x00\x01\x02", "it is none of .keras, "),
    ],
)
def test_a_foreign_format_is_called_by_its_name(tmp_path, content, words):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(words)) as error:
        read(tmp_path / "a.bin")
    assert str(error.value).startswith(str(tmp_path / "a.bin"))


def test_what_cannot_be_told_by_its_structure_is_told_by_its_name(tmp_path):
    for name, words in (("a.caffemodel", "a Caffe model"), ("a.msgpack", "one of Flax")):
        (tmp_path / name).write_bytes(b"\x0a\x01\x02")
        with pytest.raises(InputError, match=f"it is called as {words} is"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((".metadata", "__0_0.distcp"), "a distributed checkpoint of PyTorch"),
        (("_METADATA",), "a checkpoint of JAX"),
        (("checkpoint", "a.index"), "a TensorFlow checkpoint"),
    ],
)
def test_a_folder_that_somebody_saved_is_called_by_its_name(tmp_path, names, words):
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=words):
        read(tmp_path)


def test_a_saved_model_is_called_by_its_name(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(InputError, match="a TensorFlow SavedModel"):
        read(tmp_path)


def hang(path):
    time.sleep(3600)


def crash(path):
    import ctypes

    ctypes.string_at(0)


def devour(path):
    return bytearray(2**40)


@pytest.mark.parametrize(
    ("function", "words", "patience"),
    [(hang, "ended", 0.5), (crash, "ended", LONG), (devour, "more memory", LONG)],
)
def test_a_reader_that_hangs_crashes_or_devours_memory_is_ended(monkeypatch, function, words, patience):
    monkeypatch.setattr(guard, "PATIENCE", patience)
    with pytest.raises(ValueError, match=words):
        guard.call(function, "a")
    monkeypatch.setattr(guard, "PATIENCE", LONG)
    assert guard.call(len, "abc") == 3
