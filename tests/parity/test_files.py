"""`compare parity A B`, and what the command refuses."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from compare.cli.app import main
from compare.parity import inputs
from compare.parity.figures import Distance, Stage, compare, judge
from compare.parity.stages import configuration, follow


@pytest.fixture
def arrays():
    return inputs.random_arrays("resnet50", "v1", 0.25, 0)


def answer(capsys, *arguments):
    code = main(["parity", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_equal_files_are_the_same(arrays, tmp_path, capsys):
    for name in ("a", "b"):
        save_file(arrays, tmp_path / f"{name}.safetensors")
    code, out, _ = answer(capsys, tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert code == 0
    assert "same: 318 arrays, 318 of them bit for bit" in out


def test_one_moved_array_is_named_with_its_figures(arrays, tmp_path, capsys):
    save_file(arrays, tmp_path / "b.safetensors")
    kernel = arrays["conv3_block1_2_conv/kernel"]
    arrays["conv3_block1_2_conv/kernel"] = np.ascontiguousarray(kernel.transpose(1, 0, 2, 3))
    save_file(arrays, tmp_path / "a.safetensors")
    code, out, _ = answer(capsys, tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--json")
    stage = json.loads(out)
    assert (code, stage["place"]) == (1, "conv3_block1_2_conv/kernel")
    row = next(row for row in stage["rows"] if row["name"] == stage["place"])
    assert row["max_abs"] == pytest.approx(np.abs(kernel - kernel.transpose(1, 0, 2, 3)).max())
    assert 0.3 < row["cosine"] < 0.4  # three of nine taps stay where they were
    assert row["share"] == pytest.approx(1 / 3, abs=0.01)


def test_dumps_say_what_is_missing_unexpected_and_misshapen(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name / "layer").mkdir(parents=True)
    x = rng.normal(size=(3, 4))
    np.save(tmp_path / "a/layer/x.npy", x)
    np.savez(tmp_path / "b/layer.npz", x=x.T, y=x)
    np.save(tmp_path / "a/z.npy", x)
    code, out, _ = answer(capsys, tmp_path / "a", tmp_path / "b", "--json")
    stage = json.loads(out)
    assert code == 1
    assert [re.sub(r" in .*:", ":", note) for note in stage["notes"]] == [
        "1 missing: layer/y",
        "1 unexpected: z",
    ]
    assert stage["rows"][0]["note"] == "shape (3, 4) for (4, 3)"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "of what? Give --backbone"),
        (("nothing.keras",), "two files are needed"),
        (("nothing.keras", "nothing.pth"), "nothing.keras is missing"),
        (("--backbone", "resnet51"), "did you mean 'resnet50'"),
        (
            ("--backbone", "resnet50", "--policy", "frozzen"),
            "unknown policy 'frozzen': did you mean 'frozen'",
        ),
        (("--backbone", "resnet50", "--dtype", "float16"), "float64, float32"),
        (("--backbone", "resnet50", "--momentum", "0.9"), "only sgd has one"),
        (("--backbone", "resnet50", "--weight-decay", "0.9"), "only sgd and adamw have one"),
        (("--backbone", "resnet50", "--learning-rate", "nan"), "above zero"),
        (("--check", "nothing.json"), "nothing.json can't be read"),
        (("--backbone", "vgg16", "--frameworks", "torch", "torch"), "framework 'torch' is named twice"),
        (("--backbone", "vgg16", "--frameworks", "keras", "mxnet"), "unknown framework 'mxnet'"),
        (
            ("--backbone", "vgg16", "--frameworks", "keras", "keras-jax", "--numerics", "native"),
            "give one of Keras's and torch",
        ),
    ],
)
def test_bad_input_is_one_line(arguments, words, capsys):
    code, out, err = answer(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_what_is_no_certificate_and_what_is_in_the_way_are_refused(tmp_path, capsys):
    (tmp_path / "certificate.json").write_text('{"format": 1}')
    code, _, err = answer(capsys, "--check", tmp_path / "certificate.json")
    assert (code, "is no certificate" in err) == (2, True)
    (tmp_path / "a.pth.certificate.json").write_text('{"kind": "compare port"}')
    code, _, err = answer(capsys, "--check", tmp_path / "a.pth.certificate.json")
    assert (code, "is of compare port; to prove that again" in err) == (2, True)
    (tmp_path / "thesis.tex").write_text("")
    code, _, err = answer(capsys, "--backbone", "resnet50", "--out", tmp_path)
    assert (code, "holds something else" in err) == (2, True)


def test_figures_are_what_they_say():
    reference = np.array([1.0, -2.0, 4.0])
    row = compare("x", np.array([1.0, -2.0, 4.4]), reference, 0.05)
    assert (row.max_abs, row.relative) == (pytest.approx(0.4), pytest.approx(0.1))
    assert (row.mean, row.share) == (pytest.approx(0.4 / 12), pytest.approx(2 / 3))
    assert not row.same
    assert not compare("x", np.array([np.nan]), np.array([1.0]), 1.0).same
    assert compare("x", np.zeros(3), np.zeros(3), 0.0).same
    assert compare("x", np.array([1e-20]), np.array([0.0]), 1e-3, scale=1.0).same


def test_the_place_is_where_an_error_arises_not_where_it_shows_first():
    def row(name, relative, introduced):
        return Distance(name, relative, relative, 0, 1, 1, 1e-13, 0, introduced=introduced)

    rows = [row("a", 1e-15, False), row("b", 2e-13, False), row("c", 1e-3, True), row("d", 1e-2, False)]
    assert judge(Stage("forward", rows=rows)).place == "c"
    plain = [row("a", 1.0, None), row("b", 1.0, None), row("c", 0.0, None)]
    assert judge(Stage("gradients", rows=plain), backwards=True).place == "b"
    stages = follow(
        [Stage("configuration"), Stage("forward", "differs", "c"), Stage("loss", "differs", "loss")]
    )
    assert [stage.verdict for stage in stages] == ["same", "differs", "follows"]


def test_configuration_compares_every_fact():
    facts = {
        "conv1_bn": {"epsilon": 1.001e-5, "decay": 0.99, "variance": "biased"},
        "optimizer": {"epsilon": 1e-7},
    }
    torch = {
        "conv1_bn": {"epsilon": 1e-5, "decay": 0.9, "variance": "unbiased"},
        "optimizer": {"epsilon": 1e-8},
    }
    plain = configuration(facts, torch)
    assert (plain.verdict, plain.place, len(plain.notes)) == ("differs", "conv1_bn", 4)
    native = configuration(facts, torch, native=True)  # a layer's epsilon is no default: it must be set
    assert (native.verdict, native.place) == ("differs", "conv1_bn")
    assert native.notes[0] == "conv1_bn: epsilon is 1.001e-05 in Keras and 1e-05 in PyTorch"
    torch["conv1_bn"]["epsilon"] = 1.001e-5
    assert configuration(facts, torch, native=True).verdict == "explained"
    assert configuration(facts, {**facts, "extra": {"kind": "relu"}}).place == "extra"
