"""compare.port: the proof, what it says and that a mistake fails it."""

import json
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest
import safetensors.numpy

from compare.parity.inputs import random_arrays
from compare.port import certificate, move
from compare.port.destination import fold
from compare.port.move import port
from compare.spec import InputError
from compare.weights.network import ACTIVATIONS
from compare.weights.reading import read
from tests.support.ported import OWN, V1, held, moved, quiet, saved, with_dense
from tests.support.weight_files import arrays_of, network_of, old_resnet50_layer, write_legacy


def test_a_port_is_proven_and_said_in_plain_words(tmp_path, shared):
    arrays = random_arrays("resnet50", "v1", 0.25, 1)
    source = write_legacy(
        tmp_path / "old.h5", with_dense(arrays, 512, OWN), layer_name=old_resnet50_layer_or_own
    )
    lines = []
    proof = port(source, tmp_path / "a.pth", say=lines.append)
    assert proof["verdict"] == "same function"
    computed = [
        f"{stage} {dtype}" for dtype in ("float64", "float32") for stage in ("forward", "forward-batch")
    ]
    assert [stage["name"] for stage in proof["stages"]] == ["original", *computed]
    assert {"conv1_conv", "conv5_block3_out", "pool", "scores"} <= {
        row["name"] for row in proof["stages"][2]["rows"]
    }
    assert proof["network"]["epsilon"] == 1e-3
    assert json.loads((tmp_path / "a.pth.certificate.json").read_text()) == proof
    assert {path.name for path in tmp_path.iterdir()} == {"old.h5", "a.pth", "a.pth.certificate.json"}
    said = "\n".join(lines)
    for words in (
        "Keras legacy .h5, names of Keras 1 and 2; resnet50 v1-old, width 0.25, epsilon 0.001",
        "assumed: activations (first relu, second relu, scores linear; else --output)",
        "in code: the class that the weights are for is built with variant='v1-old'",
        "every array the same bit for bit",
        "same function: Keras and PyTorch agree in every layer",
    ):
        assert words in said


def old_resnet50_layer_or_own(layer):
    return layer if layer in OWN else old_resnet50_layer(layer)


@pytest.mark.parametrize("change", [{"epsilon": 1e-3}, {"decay": 0.9}, {"variant": "v1.5"}])
def test_a_file_that_says_something_else_is_found(tmp_path, unproven, monkeypatch, change):
    saved(tmp_path / "a.safetensors", random_arrays("resnet50", "v1", 0.25, 1))

    def mistaken(path):
        source = read(path)
        return replace(source, told=replace(source.told, **change)) if path.suffix == ".keras" else source

    monkeypatch.setattr(move, "read_file", mistaken)
    with pytest.raises(InputError, match=f"holds something else than it was given: {next(iter(change))}$"):
        moved(tmp_path / "a.safetensors", tmp_path / "a.keras")
    assert not (tmp_path / "a.keras").exists()


def test_folded_biases_compute_the_same_where_bn_uses_batch_statistics(tmp_path, shared, frameworks):
    arrays = random_arrays("resnet50", "v1", 0.25, 2)
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors")
    lines = []
    options = {"layout": "torchvision", "fold_bias": True}
    proof = port(tmp_path / "a.safetensors", tmp_path / "a.pth", say=lines.append, **options)
    assert proof["verdict"] == "same function"
    found, said = held(tmp_path / "a.pth")
    assert not [name for name in found if name.endswith("/bias")]
    name = "conv4_block2_1"
    expected = arrays[f"{name}_bn/moving_mean"] - arrays[f"{name}_conv/bias"]
    np.testing.assert_array_equal(found[f"{name}_bn/moving_mean"], expected)
    assert said.variant == "v1"
    assert any("Exact while BN normalises with batch statistics" in line for line in lines)
    assert any("s[0].conv1.stride, s[0].conv2.stride = (2, 2), (1, 1)" in line for line in lines)


@pytest.mark.parametrize(
    ("mutate", "place"),
    [
        (lambda a: a["conv3_block2_2_conv/kernel"].swapaxes(0, 1), "conv3_block2_2_conv"),
        (lambda a: a["conv3_block2_2_conv/kernel"] * np.float32(1 + 1e-4), "conv3_block2_2_conv"),
    ],
)
def test_a_planted_mistake_is_found_and_named(tmp_path, frameworks, mutate, place):
    arrays = random_arrays("resnet50", "v1", 0.0625, 1)
    network = network_of("resnet50", "v1", 0.0625, pooling="none")
    wrong = {**arrays, f"{place}/kernel": np.ascontiguousarray(mutate(arrays))}
    certificate.traced(frameworks["keras"], (arrays, network), tmp_path, quiet)
    stages = certificate.compared(frameworks["torch"], (wrong, network), tmp_path, False, quiet)
    assert {(stage.verdict, stage.place) for stage in stages} == {("differs", place)}


def test_every_activation_is_the_same_in_both_and_another_is_found(tmp_path, frameworks):
    names = [name for name in ACTIVATIONS if name != "linear"]
    arrays = with_dense(
        random_arrays("vgg16", "v1", 0.0625, 1), 32, {f"a_{name}": (6, True) for name in names}
    )
    top = [(f"a_{name}", 6, name, True) for name in names]
    network = network_of("vgg16", "v1", 0.0625, top)
    certificate.traced(frameworks["keras"], (arrays, network), tmp_path, quiet)
    stages = certificate.compared(frameworks["torch"], (arrays, network), tmp_path, False, quiet)
    assert {stage.verdict for stage in stages} == {"same"}
    # without BN, training mode is the same computation
    assert [stage.name for stage in stages] == ["forward float64", "forward float32"]
    other = replace(network.top[names.index("gelu")], activation="silu")
    mistaken = replace(
        network, top=tuple(other if layer.name == other.name else layer for layer in network.top)
    )
    stages = certificate.compared(frameworks["torch"], (arrays, mistaken), tmp_path, False, quiet)
    assert {(stage.verdict, stage.place) for stage in stages} == {("differs", "a_gelu")}


def test_arrays_are_sent_once_and_others_take_their_place(frameworks, monkeypatch):
    process, sent = frameworks["torch"], []
    call = process.call

    def counted(request, *arguments):
        sent.append(request)
        return call(request, *arguments)

    monkeypatch.setattr(process, "call", counted)
    one, other = {"a": np.ones(3)}, {"b": np.zeros(2), "c": np.zeros(2)}
    process.hold(one)
    process.hold(one)
    assert sent == ["hold"]
    assert sorted(call(attrgetter("arrays"))) == ["a"]
    process.hold(other)
    assert sorted(call(attrgetter("arrays"))) == ["b", "c"]


def test_folding_is_undone_by_nothing_else():
    arrays = arrays_of(*V1, 0.0625)
    folded = fold(arrays)
    assert arrays.keys() - folded.keys() == {name for name in arrays if name.endswith("_conv/bias")}
    changed = {name for name, array in folded.items() if not np.array_equal(array, arrays[name])}
    assert changed == {name for name in arrays if name.endswith("/moving_mean")}
