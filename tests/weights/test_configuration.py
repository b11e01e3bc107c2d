"""compare.weights.configuration: what a Keras configuration says, and which layer stands in the way of a move."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

from compare.spec import InputError
from compare.weights.network import Dense
from compare.weights.reading import read
from compare.weights.settle import settle
from compare.weights.source import Beside
from compare.weights.sources import resolve
from tests.support.weight_files import arrays_of

CONVS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}


def layer(kind, name, shape=None, calls=1, **arguments):
    """A layer of a configuration."""
    found = {"class_name": kind, "config": {"name": name, **arguments}, "inbound_nodes": [[]] * calls}
    return found | ({"build_config": {"input_shape": [None, *shape]}} if shape else {})


def dense(name, units, activation="linear", **more):
    return layer("Dense", name, units=units, use_bias=True, activation=activation, **more)


def body(size=(64, 64)):
    """VGG16's convolutions and poolings."""
    layers = [layer("InputLayer", "images", batch_shape=[None, *size, 3])]
    for block, count in CONVS.items():
        for conv in range(1, count + 1):
            layers.append(layer("Conv2D", f"block{block}_conv{conv}", padding="same", activation="relu"))
        layers.append(layer("MaxPooling2D", f"block{block}_pool", pool_size=[2, 2]))
    return layers


def write(path, layers, arrays, outputs=("out",)):
    """A ``.keras`` of a flat model with these layers and arrays."""
    config = {"layers": layers, "output_layers": [[name, 0, 0] for name in outputs]}
    content, counts = io.BytesIO(), {}
    with h5py.File(content, "w") as file:
        for name in dict.fromkeys(name.rpartition("/")[0] for name in arrays):
            own = [array for key, array in arrays.items() if key.startswith(f"{name}/")]
            kind = {4: "conv2d", 2: "dense"}.get(own[0].ndim, "other")
            counts[kind] = counts.get(kind, -1) + 1
            group = file.create_group(f"layers/{kind}{f'_{counts[kind]}' if counts[kind] else ''}/vars")
            group.attrs["name"] = name
            for number, array in enumerate(own):
                group[str(number)] = array
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.0"}))
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": config}))
        archive.writestr("model.weights.h5", content.getvalue())
    return path


def arrays(units=(3,), rows=4, names=("out",)):
    found, channels = arrays_of("vgg16", width=0.0625), 32 * rows
    for name, count in zip(names, units, strict=True):
        found |= {f"{name}/kernel": np.ones((channels, count), "float32")}
        found |= {f"{name}/bias": np.ones(count, "float32")}
        channels = count
    return found


FLATTEN = layer("Flatten", "flat", shape=(2, 2, 32))


def test_a_plain_head_is_read_with_its_activations_and_dropout(tmp_path):
    layers = [
        *body(),
        layer("RandomFlip", "flips"),
        FLATTEN,
        dense("hidden", 5, {"class_name": "function", "config": "tanh"}),
        layer("GaussianNoise", "noise", stddev=0.1),
        layer("Dropout", "drop", rate=0.25),
        dense("out", 3),
        layer("Softmax", "last", axis=-1),
    ]
    source = read(write(tmp_path / "a.keras", layers, arrays((5, 3), names=("hidden", "out"))))
    network, assumed = settle(source)
    assert network.top == (Dense("hidden", 5, True, "tanh", 0.0), Dense("out", 3, True, "softmax", 0.25))
    assert (network.pooling, network.map, network.size, assumed) == ("flatten", (2, 2), (64, 64), [])
    assert source.beside == (
        ("layer flips (RandomFlip)", Beside.IDLE),
        ("layer noise (GaussianNoise)", Beside.IDLE),
    )


@pytest.mark.parametrize("size", [(64, 96), (32, 128)])
def test_a_flattened_map_need_not_be_square(tmp_path, size):
    shape = (size[0] // 32, size[1] // 32, 32)
    layers = [*body(size), layer("Flatten", "flat", shape=shape), dense("out", 3)]
    source = read(write(tmp_path / "a.keras", layers, arrays(rows=shape[0] * shape[1])))
    network = settle(source)[0]
    assert (network.map, network.size) == (shape[:2], size)


SMOOTH = {
    "gelu": layer("Activation", "smooth", activation="gelu"),
    "silu": layer("Activation", "smooth", activation="swish"),
    "elu": layer("ELU", "smooth", alpha=1.0),
    "selu": layer("Activation", "smooth", activation={"class_name": "function", "config": "selu"}),
    "relu6": layer("ReLU", "smooth", max_value=6.0, negative_slope=0.0, threshold=0.0),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_an_activation_that_both_frameworks_have_is_carried_over(tmp_path, name):
    layers = [*body(), FLATTEN, dense("hidden", 5), SMOOTH[name], dense("out", 3)]
    source = read(write(tmp_path / "a.keras", layers, arrays((5, 3), names=("hidden", "out"))))
    assert [one.activation for one in settle(source)[0].top] == [name, "linear"]


BEFORE = [
    layer("Rescaling", "smaller", scale=0.5),
    layer("Normalization", "normal"),
    layer("CenterCrop", "crop", height=64, width=64),
    layer("Resizing", "resize", height=64, width=64),
]
AFTER = [
    layer("LeakyReLU", "leaky", negative_slope=0.1),
    layer("ReLU", "capped", max_value=5.0),
    layer("ReLU", "sloped", negative_slope=0.1),
    layer("PReLU", "learnt"),
    layer("UnitNormalization", "unit", axis=-1),
    layer("BatchNormalization", "norm", epsilon=1e-3, momentum=0.99),
    layer("LayerNormalization", "norm", epsilon=1e-3),
    layer("Softmax", "over_rows", axis=0),
    layer("Activation", "smooth", activation="mish"),
    layer("ELU", "steep", alpha=0.5),
    layer("Reshape", "other_shape", target_shape=[5, 1]),
    layer("SomebodysOwn", "own"),
]


@pytest.mark.parametrize("odd", BEFORE + AFTER, ids=lambda odd: odd["config"]["name"])
def test_a_layer_that_is_part_of_the_function_is_refused_by_its_name(tmp_path, odd):
    inside = [*body(), FLATTEN, dense("hidden", 5)]
    layers = [inside[0], odd, *inside[1:]] if odd in BEFORE else [*inside, odd]
    path = write(tmp_path / "a.keras", [*layers, dense("out", 3)], arrays((5, 3), names=("hidden", "out")))
    with pytest.raises(InputError, match=f"layer {odd['config']['name']} ") as error:
        settle(read(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([FLATTEN, dense("out", 3, "mish")], r"layer out \(Dense\) has the activation mish"),
        (
            [FLATTEN, dense("out", 3, {"class_name": "LeakyReLU", "config": {"negative_slope": 0.1}})],
            r"layer out \(Dense\) has the activation leakyrelu with settings",
        ),
        ([FLATTEN, dense("out", 3, calls=2)], "layer out .* is called several times"),
        ([layer("AveragePooling2D", "some", pool_size=[2, 2]), FLATTEN, dense("out", 3)], "layer some "),
        ([FLATTEN, dense("out", 3, "relu"), layer("Softmax", "twice")], "layer twice "),
        ([layer("Conv2D", "extra", activation="linear"), FLATTEN, dense("out", 3)], "layer extra "),
    ],
)
def test_what_a_known_layer_does_otherwise_is_refused(tmp_path, layers, words):
    held = arrays()
    if "extra" in words:
        held["extra/kernel"] = np.ones((1, 1, 32, 32), "float32")
    with pytest.raises(InputError, match=words):
        settle(read(write(tmp_path / "a.keras", [*body(), *layers], held)))


def test_dense_layers_may_see_a_map_of_one_place_before_it_is_flattened(tmp_path):
    one, five = (1, 1, 32), (1, 1, 5)
    before = [dense("hidden", 5, "relu", shape=one), layer("Flatten", "flat", shape=five), dense("out", 3)]
    held = arrays((5, 3), 1, ("hidden", "out"))
    network, _ = settle(read(write(tmp_path / "a.keras", [*body((32, 32)), *before], held)))
    assert (network.pooling, network.map, network.size) == ("flatten", (1, 1), (32, 32))
    assert [(one.name, one.activation) for one in network.top] == [("hidden", "relu"), ("out", "linear")]
    plain = [layer("Flatten", "flat", shape=one), dense("out", 3)]
    network, _ = settle(read(write(tmp_path / "b.keras", [*body((32, 32)), *plain], arrays(rows=1))))
    assert (network.pooling, network.map, network.size) == ("flatten", (1, 1), (32, 32))


@pytest.mark.parametrize(
    ("shape", "after", "words"),
    [
        ((2, 2, 32), [layer("Flatten", "flat", shape=(2, 2, 3))], "sees a map that nothing has pooled"),
        ((None, None, 32), [layer("GlobalAveragePooling2D", "late")], "sees a map that nothing has pooled"),
        ((1, 1, 32), [], "gives a map of one place that nothing flattens"),
    ],
)
def test_a_dense_layer_on_a_map_is_called_that_and_not_damaged(tmp_path, shape, after, words):
    layers = [*body(), dense("out", 3, shape=shape), *after]
    with pytest.raises(InputError, match=f"layer out .Dense. {words}") as error:
        settle(read(write(tmp_path / "a.keras", layers, arrays(rows=1))))
    assert "damaged" not in str(error.value)


def test_several_outputs_are_refused_by_their_names(tmp_path):
    layers = [*body(), layer("GlobalAveragePooling2D", "pool"), dense("kind", 3), dense("age", 3)]
    held = arrays((3,), 1, ("kind",)) | {"age/kernel": np.ones((32, 3), "float32")}
    with pytest.raises(InputError, match=r"several outputs \(kind, age\)"):
        settle(read(write(tmp_path / "a.keras", layers, held, ("kind", "age"))))


@pytest.mark.parametrize("kind", ["Lambda", "TFSMLayer", "TorchModuleWrapper"])
def test_code_is_refused_before_anything_else(tmp_path, kind):
    with pytest.raises(InputError, match=f"holds a {kind} layer, which is code"):
        read(write(tmp_path / "a.keras", [*body(), layer(kind, "mine")], arrays()))


def test_a_run_takes_the_backbone_and_says_what_it_leaves(tmp_path):
    inside = body()
    layers = [inside[0], BEFORE[0], *inside[1:], FLATTEN, dense("hidden", 5), AFTER[0], dense("out", 3)]
    path = write(tmp_path / "a.keras", layers, arrays((5, 3), names=("hidden", "out")))
    why = resolve(str(path), "vgg16", tmp_path / "out")["why"]
    assert "its head is left (hidden, out)" in why
    assert "left, though they changed what the backbone saw: smaller (Rescaling)" in why


ODD = "its parts aren't as they should be"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({}, "its part 'config' is missing"),
        ([], ODD),
        ({"class_name": "Functional", "config": {"layers": [{}]}}, "its part 'class_name' is missing"),
        (7, ODD),
    ],
)
def test_a_configuration_that_is_none_is_said_in_a_persons_words(tmp_path, config, reason):
    path = write(tmp_path / "a.keras", [*body()], arrays_of("vgg16", width=0.0625))
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", content)
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value).endswith(f"may be truncated or damaged: {reason}")


@pytest.mark.parametrize("index", [{"weight_map": [1, 2]}, {"weight_map": None}])
def test_an_index_without_names_is_said_in_a_persons_words(tmp_path, index):
    (tmp_path / "a.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=ODD):
        read(tmp_path / "a.index.json")
