"""compare.port.move: every pair of formats there and back, what is refused, and that nothing is left half-written."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from compare.parity.figures import Row, Stage
from compare.parity.inputs import random_arrays
from compare.parity.stages import STAGES
from compare.port import certificate
from compare.port import move as port_module
from compare.port import trace as processes
from compare.port.destination import fold
from compare.port.move import port
from compare.spec import InputError
from compare.weights.network import settle
from tests.support import legacy
from tests.support.weight_files import arrays_of, old_resnet50_layer, write_legacy

ROOT = Path(__file__).parents[2]
KERAS = [".keras", ".weights.h5", ".h5"]
TORCH = [
    (".pth", "project"),
    (".pt", "torchvision"),
    (".safetensors", "project"),
    (".safetensors", "torchvision"),
]
OWN = {"first": (7, True), "second": (7, False), "scores": (3, True)}


@pytest.fixture(scope="module")
def frameworks():
    """A process of each framework for all tests of this file."""
    with processes.Process("keras") as keras, processes.Process("torch") as torch:
        yield {"keras": keras, "torch": torch}


@pytest.fixture
def shared(monkeypatch, frameworks):
    """Let `port` use the processes that are there."""

    class Shared:
        def __init__(self, name):
            self.process = frameworks[name]

        def __enter__(self):
            return self.process

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(port_module, "Process", Shared)


@pytest.fixture
def unproven(monkeypatch, shared):
    """Leave out the computing, which is the same whatever the formats are."""
    rows = [Row("layer", 0.0, 0.0, 0.0, 1.0, 1.0, 1e-13, 0.0)]
    monkeypatch.setattr(certificate, "prove", lambda *_: [Stage("forward", rows=rows)])
    monkeypatch.setattr(certificate, "train", lambda *_: [])


def with_dense(arrays, channels, layers=OWN):
    """Add dense layers."""
    generator = np.random.default_rng(9)
    for name, (units, bias) in layers.items():
        arrays[f"{name}/kernel"] = generator.normal(0, channels**-0.5, (channels, units)).astype("float32")
        if bias:
            arrays[f"{name}/bias"] = generator.normal(0, 0.1, units).astype("float32")
        channels = units
    return arrays


def held(frameworks, path):
    framework = "torch" if port_module._is_torch(path) else "keras"
    return frameworks[framework].call(processes.read, path)


def assert_equal(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array, name)


def quiet(line):
    pass


def moved(source, dest, **options):
    return port(source, dest, **{"say": quiet, **options})


@pytest.fixture(scope="module")
def own_head(tmp_path_factory):
    """VGG16 with a person's own dense layers on a flattened map; a folder for its files, made once each."""
    folder = tmp_path_factory.mktemp("own_head")
    arrays = with_dense(arrays_of("vgg16", width=0.0625), 32 * 4)
    safetensors.numpy.save_file(arrays, folder / "a.safetensors")
    return folder, arrays


@pytest.mark.parametrize("back", KERAS)
@pytest.mark.parametrize(("between", "layout"), TORCH)
@pytest.mark.parametrize("start", KERAS)
def test_keras_to_pytorch_and_back_is_the_same_bit_for_bit(
    unproven, frameworks, own_head, start, between, layout, back
):
    folder, arrays = own_head
    keras, torch = folder / f"a{start}", folder / f"{start}-{layout}{between}"
    again = folder / f"{start}-{layout}{between}{back}"
    for source, dest, options in [
        (folder / "a.safetensors", keras, {}),
        (keras, torch, {"layout": layout}),
        (torch, again, {}),
    ]:
        if not dest.exists():
            moved(source, dest, **options)
    for path in (keras, torch, again):
        assert_equal(held(frameworks, path)[0], arrays)


@pytest.mark.parametrize(("variant", "top"), [("v1", {}), ("v1", {"predictions": (3, True)}), ("v1.5", OWN)])
def test_resnet50_through_every_format(tmp_path, unproven, frameworks, variant, top):
    arrays = with_dense(arrays_of("resnet50", variant, 0.0625), 128, top)
    safetensors.numpy.save_file(arrays, tmp_path / "0.safetensors")
    steps = [(".keras", None), (".pth", "project"), (".weights.h5", "project" if top == OWN else None)]
    steps += [
        (".safetensors", "project"),
        (".h5", None),
        (".pt", None),
        (".safetensors", "neutral"),
        (".keras", None),
    ]
    if variant == "v1":
        steps.append((".h5", "applications-old"))
    source = tmp_path / "0.safetensors"
    for number, (suffix, layout) in enumerate(steps, 1):
        dest = tmp_path / f"{number}{suffix}"
        options = {"epsilon": 1e-3, "variant": variant} if number == 1 else {}
        moved(source, dest, layout=layout, **options)
        found, said = held(frameworks, dest)
        assert_equal(found, arrays)
        if suffix not in (".weights.h5",):
            assert (said["epsilon"], said["decay"], said["variant"]) == (
                1e-3,
                0.99,
                {"v1": "v1-old"}.get(variant, variant),
            )
            assert [layer["name"] for layer in said["top"]] == list(top)
            source = dest


def test_an_old_structure_goes_where_a_graph_goes(tmp_path, unproven, frameworks):
    """Into the classes of today it can't: the first pooling there is another."""
    release = "keras-2.1.2"
    old = legacy.write_h5(tmp_path / "old.h5", release)
    for suffix, layout in ((".weights.h5", "applications"), (".pth", "torchvision")):
        with pytest.raises(
            InputError, match=f"{legacy.STRUCTURES[release]} weights into {layout}'s ResNet50"
        ):
            moved(old, tmp_path / f"no{suffix}", layout=layout)
    for dest in (tmp_path / "a.keras", tmp_path / "b.pth"):
        moved(old, dest)
        found, said = held(frameworks, dest)
        assert_equal(found, legacy.resnet50_arrays(release))
        assert (said["variant"], said["epsilon"]) == (legacy.STRUCTURES[release], 1e-3)


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("a.weights.h5", {"layout": "applications"}, "BatchNormalization): layer.epsilon = 0.001"),
        ("a.pth", {"fold_bias": True}, "BatchNorm2d): layer.eps = 0.001"),
    ],
)
def test_an_epsilon_that_the_class_has_not_is_said(tmp_path, unproven, name, options, line):
    lines = []
    old = legacy.write_h5(tmp_path / "old.h5", "keras-2.2.4")
    moved(old, tmp_path / name, say=lines.append, **options)
    assert line in "\n".join(lines)


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
    assert [stage["name"] for stage in proof["stages"]] == [*computed, *STAGES]
    assert {"conv1_conv", "conv5_block3_out", "pool", "scores"} <= {
        row["name"] for row in proof["stages"][1]["rows"]
    }
    assert proof["network"]["epsilon"] == 1e-3
    assert json.loads((tmp_path / "a.pth.certificate.json").read_text()) == proof
    assert {path.name for path in tmp_path.iterdir()} == {"old.h5", "a.pth", "a.pth.certificate.json"}
    said = "\n".join(lines)
    for words in (
        "Keras legacy .h5, old names; resnet50 v1-old, width 0.25, epsilon 0.001",
        "assumed: activations (first relu, second relu, scores linear)",
        "in code: the class that the weights are for is built with variant='v1-old'",
        "every array the same bit for bit",
        "same function: Keras and PyTorch agree in every layer and train alike",
    ):
        assert words in said


def old_resnet50_layer_or_own(layer):
    return layer if layer in OWN else old_resnet50_layer(layer)


@pytest.mark.parametrize("change", [{"epsilon": 1e-3}, {"decay": 0.9}, {"variant": "v1.5"}])
def test_a_file_that_says_something_else_is_found(
    tmp_path, shared, unproven, frameworks, monkeypatch, change
):
    safetensors.numpy.save_file(random_arrays("resnet50", "v1", 0.25, 1), tmp_path / "a.safetensors")
    call = processes.Process.call

    def mistaken(self, function, *arguments):
        answer = call(self, function, *arguments)
        if function is processes.read and arguments[0].suffix == ".keras":
            answer[1].update(change)
        return answer

    monkeypatch.setattr(processes.Process, "call", mistaken)
    with pytest.raises(RuntimeError, match=f"holds something else than it was given: {next(iter(change))}$"):
        moved(tmp_path / "a.safetensors", tmp_path / "a.keras")
    assert not (tmp_path / "a.keras").exists()


def test_folded_biases_compute_the_same_where_bn_uses_batch_statistics(tmp_path, shared, frameworks):
    arrays = random_arrays("resnet50", "v1", 0.25, 2)
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors")
    lines = []
    options = {"layout": "torchvision", "fold_bias": True}
    proof = port(tmp_path / "a.safetensors", tmp_path / "a.pth", say=lines.append, **options)
    assert proof["verdict"] == "same function"
    found, said = held(frameworks, tmp_path / "a.pth")
    assert not [name for name in found if name.endswith("/bias")]
    name = "conv4_block2_1"
    expected = arrays[f"{name}_bn/moving_mean"] - arrays[f"{name}_conv/bias"]
    np.testing.assert_array_equal(found[f"{name}_bn/moving_mean"], expected)
    assert said["variant"] == "v1"
    assert any("Exact while BN normalises with batch statistics" in line for line in lines)
    assert any("s[0].conv1.stride, s[0].conv2.stride = (2, 2), (1, 1)" in line for line in lines)


@pytest.mark.parametrize(
    ("mutate", "place"),
    [
        (lambda a: a["conv3_block2_2_conv/kernel"].swapaxes(0, 1), "conv3_block2_2_conv"),
        (lambda a: a["conv3_block2_2_conv/kernel"] * np.float32(1 + 1e-4), "conv3_block2_2_conv"),
    ],
)
def test_a_planted_mistake_is_found_and_named(frameworks, mutate, place):
    arrays = random_arrays("resnet50", "v1", 0.25, 1)
    said = {"backbone": "resnet50", "variant": "v1", "width": 0.25, "preprocessing": "caffe", "told": []}
    network, _ = settle(arrays, said, "keras", None, None)
    wrong = {**arrays, f"{place}/kernel": np.ascontiguousarray(mutate(arrays))}
    stages = certificate.prove(*frameworks.values(), (arrays, network), (wrong, network), False, quiet)
    assert {(stage.verdict, stage.place) for stage in stages} == {("differs", place)}


def saved(path, arrays, **metadata):
    safetensors.numpy.save_file(arrays, path, {key: str(value) for key, value in metadata.items()} or None)


V1, V15, VGG = (("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1"))


@pytest.mark.parametrize(
    ("network", "name", "options", "message"),
    [
        (V1, "a.pth", {"layout": "torchvision"}, "v1 weights into torchvision's resnet50, which is v1.5"),
        (V15, "a.weights.h5", {"layout": "applications"}, "v1.5 weights into keras.applications' ResNet50"),
        (V15, "a.h5", {"layout": "applications-old"}, "only ResNet50 v1 had other names"),
        (VGG, "a.h5", {"layout": "applications-old"}, "only ResNet50 v1 had other names"),
        (V15, "a.pth", {"fold_bias": True}, "no biases before BN to fold"),
        (VGG, "a.pth", {"fold_bias": True}, "no biases before BN to fold"),
        (V1, "a.keras", {"fold_bias": True}, "--fold-bias is for torchvision's class"),
        (V1, "a.onnx", {}, "must end in .keras, .weights.h5, .h5, .pth, .pt, .safetensors"),
        (
            V1,
            "a.keras",
            {"layout": "torchvision"},
            "--layout torchvision: a .keras can be applications, project",
        ),
        (V1, "a.pth", {"layout": "torchvisoin"}, "did you mean 'torchvision'?"),
        (V1, "a.pth", {"variant": "v2"}, "It can be v1, v1.5"),
        (VGG, "a.pth", {"epsilon": 1e-3}, "a vgg16 has no such thing"),
        (V1, "a.pth", {"epsilon": float("nan")}, "must be between 0 and 1"),
        (V1, "nowhere/a.pth", {}, "no directory"),
        (V1, "source.safetensors", {"force": True}, "is SOURCE"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(tmp_path, shared, network, name, options, message):
    saved(tmp_path / "source.safetensors", arrays_of(*network, 0.0625))
    with pytest.raises(InputError, match=re.escape(message)) as error:
        moved(tmp_path / "source.safetensors", tmp_path / name, **options)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source.safetensors"]


def test_a_source_that_contradicts_what_is_said_of_it(tmp_path, shared):
    saved(tmp_path / "a.safetensors", arrays_of(*V1, 0.0625), variant="v1")
    with pytest.raises(InputError, match=re.escape("--variant v1.5: the file says v1")):
        moved(tmp_path / "a.safetensors", tmp_path / "b.pth", variant="v1.5")


def another(path):
    arrays = arrays_of(*V1, 0.0625)
    arrays["conv9/kernel"] = arrays.pop("conv3_block1_1_conv/kernel").copy()
    arrays["conv1_bn/beta"] = np.ones(7, "float32")
    saved(path, arrays)


def loose(path):
    saved(path, with_dense(arrays_of(*VGG, 0.0625), 33))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "is missing"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_text("no weights"), "none of .weights.h5, .keras, .h5 and .safetensors"),
        (
            lambda path: path.write_bytes(b"\x80\x02cposix\nmkdir\nX\x04\x00\x00\x00evil\x85R."),
            "would run posix.mkdir",
        ),
        (lambda path: path.write_bytes((10**6).to_bytes(8, "little") + b'{"a": 1'), "may be truncated"),
        (
            another,
            "1 missing: conv3_block1_1_conv/kernel; 1 unexpected: conv9/kernel; 1 misshapen: conv1_bn/beta",
        ),
        (loose, "dense layers that don't follow one another from 32 channels on"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path, shared, make, message):
    make(tmp_path / "a.bin")
    with pytest.raises(InputError, match=re.escape(message)) as error:
        moved(tmp_path / "a.bin", tmp_path / "b.pth")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "b.pth").exists()
    assert not (ROOT / "evil").exists()


def test_a_file_that_exists_is_kept_unless_forced(tmp_path, unproven):
    saved(tmp_path / "a.safetensors", arrays_of(*VGG, 0.0625))
    (tmp_path / "b.pth").write_text("kept")
    with pytest.raises(InputError, match=r"b.pth exists; --force replaces it"):
        moved(tmp_path / "a.safetensors", tmp_path / "b.pth")
    assert (tmp_path / "b.pth").read_text() == "kept"
    moved(tmp_path / "a.safetensors", tmp_path / "b.pth", force=True)
    assert (tmp_path / "b.pth").stat().st_size > 1000


def test_an_error_while_writing_keeps_what_was_there(tmp_path, shared, monkeypatch):
    saved(tmp_path / "a.safetensors", arrays_of(*VGG, 0.0625))
    (tmp_path / "b.pth").write_text("kept")

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(certificate, "prove", fail)
    with pytest.raises(KeyboardInterrupt):
        moved(tmp_path / "a.safetensors", tmp_path / "b.pth", force=True)
    assert (tmp_path / "b.pth").read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"a.safetensors", "b.pth"}


def test_folding_is_undone_by_nothing_else():
    arrays = arrays_of(*V1, 0.0625)
    folded = fold(arrays)
    assert arrays.keys() - folded.keys() == {name for name in arrays if name.endswith("_conv/bias")}
    changed = {name for name, array in folded.items() if not np.array_equal(array, arrays[name])}
    assert changed == {name for name in arrays if name.endswith("/moving_mean")}


def compare(*arguments, preexec=None):
    command = [sys.executable, "-m", "compare", "port", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=preexec)


@pytest.mark.parametrize("suffix", [".pth", ".keras"])
def test_no_room_on_the_disk_is_a_line_and_leaves_nothing(tmp_path, suffix):
    saved(tmp_path / "a.safetensors", arrays_of(*VGG, 0.25))

    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    done = compare(tmp_path / "a.safetensors", tmp_path / f"b{suffix}", preexec=little_room)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "can't write it" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_command(tmp_path):
    saved(tmp_path / "a.safetensors", random_arrays("vgg16", "v1", 0.25, 0))
    done = compare(tmp_path / "a.safetensors", tmp_path / "b.weights.h5")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "same function" in done.stdout.splitlines()[-1]
    refused = compare(tmp_path / "a.safetensors", tmp_path / "b.weights.h5")
    assert refused.returncode == 2
    assert refused.stderr == f"error: DEST {tmp_path / 'b.weights.h5'} exists; --force replaces it\n"
