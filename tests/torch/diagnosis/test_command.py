"""The command `compare diagnose` on PyTorch models: answers, exit codes, and one line for what a person got wrong."""

import json

import numpy as np
import pytest
import torch

from compare.cli.app import main

SCRIPT = """
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

print("a person's own word")
torch.manual_seed(0)
x = 3 + torch.randn(64, 4)
y = (x[:, 0] > 3).long()
loss = F.cross_entropy
figures = {"loss": 0.5}
nothing = 3


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8, momentum=0.001), nn.ReLU(), nn.Linear(8, 2))


def trained():
    net = model()
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(25):
        for a, b in data():
            optimizer.zero_grad()
            loss(net(a), b).backward()
            optimizer.step()
    return net


def plain():
    torch.manual_seed(0)
    return nn.Linear(4, 2)


def data():
    return DataLoader(TensorDataset(x, y), 16)


def takes(width):
    return nn.Linear(4, width)


def raises():
    raise KeyError("what I forgot")


used_up = (batch for batch in data())
wide = [(torch.randn(8, 7), torch.zeros(8, dtype=torch.long))]
with_nan = [(torch.where(torch.arange(32).reshape(8, 4) == 21, torch.nan, 0.0), torch.zeros(8, dtype=torch.long))]


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("my own mistake")


broken = Broken()
trained_once = trained().train()
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    (tmp_path / "person.py").write_text(SCRIPT)
    (tmp_path / "broken.npz").write_bytes(b"not a zip archive")
    np.savez(tmp_path / "whole.npz", x=np.zeros((4, 4)), y=np.zeros(4))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:200])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments):
    code = main(["diagnose", *arguments])
    return code, *capsys.readouterr()


FIELDS = {
    "terms": {"term", "value", "uncertainty"},
    "findings": {"cause", "harmful", "value", "layers", "evidence", "cure"},
    "probes": {"evaluate_twice", "state_after_evaluation", "alone_and_in_batch", "restored"},
}


def test_a_harmful_finding_is_exit_code_1_and_json_is_all_that_stdout_holds(script, capsys):
    code, out, _ = run(
        capsys, "person.py:trained", "--data", "person.py:data", "--loss", "cross_entropy", "--json"
    )
    said = json.loads(out)
    assert code == 1
    assert said["framework"] == "torch"
    assert said["findings"][0]["cause"] == "stale-statistics"
    assert said["findings"][0]["cure"]["code"]
    assert said["probes"]["restored"] == "same"
    assert said["reported"] is None
    assert said["samples"] == 64
    assert sum(term["value"] for term in said["terms"]) == pytest.approx(said["gap"], rel=1e-6)
    fit, evaluate = said["measured"]["fit_loss"], said["measured"]["evaluate_loss"]
    assert evaluate - fit == pytest.approx(said["gap"], rel=1e-6)
    for of, fields in FIELDS.items():
        assert set(said[of] if of == "probes" else said[of][0]) >= fields
    assert set(said["audit"][0]) >= {
        "layer",
        "kind",
        "trains",
        "fit",
        "evaluate",
        "moves",
        "virgin",
        "calls",
        "decay",
        "epsilon",
    }


@pytest.mark.parametrize("options", [["--data", "person.py:data", "--loss", "cross_entropy"], ["--audit"]])
def test_a_folder_gets_the_page_and_the_json(script, capsys, options):
    _, out, _ = run(capsys, "person.py:trained", *options, "--out", "new/why")
    assert sorted(path.name for path in (script / "new" / "why").iterdir()) == [
        "diagnosis.html",
        "diagnosis.json",
    ]
    said = json.loads((script / "new" / "why" / "diagnosis.json").read_text())
    page = (script / "new" / "why" / "diagnosis.html").read_text()
    assert all(f">{row['layer']}" in page for row in said["audit"])
    assert "Sequential (PyTorch)" in out


def test_nothing_harmful_is_exit_code_0(script, capsys):
    arguments = [
        "--data",
        "person.py:data",
        "--loss",
        "person.py:loss",
        "--reported",
        "loss=0.9,evaluate_loss=0.9",
    ]
    code, out, _ = run(capsys, "person.py:plain", *arguments)
    assert code == 0
    assert "Nothing harmful" in out


def test_an_audit_needs_no_data(script, capsys):
    code, out, _ = run(capsys, "person.py:model", "--audit", "--json")
    assert code == 0
    assert [row["fit"] for row in json.loads(out)["audit"]] == ["batch"]


def test_arrays_of_a_file_are_data(script, capsys):
    np.savez(
        "held.npz", x=np.random.default_rng(0).normal(size=(40, 4)).astype("float32"), y=np.arange(40) % 2
    )
    code, out, _ = run(capsys, "person.py:plain", "--data", "held.npz", "--loss", "cross_entropy", "--json")
    assert (code, json.loads(out)["samples"]) == (0, 40)


def test_weights_are_loaded_or_counted(script, capsys):
    good = {"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}
    torch.save(good, "good.pt")
    torch.save({"other.weight": good["weight"], "bias": good["bias"]}, "part.pt")
    arguments = ["person.py:plain", "--data", "person.py:data", "--loss", "cross_entropy"]
    code, out, _ = run(capsys, *arguments, "--weights", "good.pt", "--json")
    assert code == 0
    assert json.loads(out)["measured"]["evaluate_loss"] == pytest.approx(np.log(2), rel=1e-6)
    code, _, error = run(capsys, *arguments, "--weights", "part.pt")
    assert (code, "1 of 2 tensors" in error) == (2, True)


GIVEN = ("person.py:plain", "--data", "person.py:data", "--loss", "cross_entropy")
WRONG = {
    ("nowhere.py:model",): "no file nowhere.py",
    ("person.py:other",): "no 'other'",
    ("person",): "neither a file nor",
    ("person.py:nothing", "--data", "person.py:data"): "must be",
    ("person.py:raises", "--data", "person.py:data"): "what I forgot",
    ("person.py:plain",): "--data is missing: give what fit sees (--audit needs none)",
    (
        "person.py:takes",
        "--data",
        "person.py:data",
    ): "MODEL person.py:takes is called without arguments: missing",
    ("person.py:plain", "--data", "person.py:data"): "no loss",
    ("person.py:plain", "--data", "person.py:used_up", "--loss", "cross_entropy"): "used up",
    ("person.py:plain", "--data", "person.py:wide", "--loss", "cross_entropy"): "shapes",
    ("person.py:plain", "--data", "person.py:with_nan", "--loss", "cross_entropy"): "sample 5 has NaN",
    ("person.py:broken", "--data", "person.py:data", "--loss", "cross_entropy"): "person.py, line",
    (
        "person.py:plain",
        "--data",
        "person.py:data",
        "--loss",
        "cross_entropi",
    ): "no 'cross_entropi'; did you mean 'cross_entropy'?",
    (
        "person.py:plain",
        "--data",
        "person.py:data",
        "--loss",
        "cross_entropy",
        "--reported",
        "loss=low",
    ): "loss=0.2",
    (*GIVEN, "--reported", "=0.2"): "must be like loss=0.2",
    (*GIVEN, "--reported", "loss=0.2,loss=1.7"): "must be like loss=0.2",
    (*GIVEN, "--reported", ""): "neither a file nor",
    ("person.py:plain", "--data", "gone.npz", "--loss", "cross_entropy"): "no file gone.npz",
    ("person.py:plain", "--data", "broken.npz", "--loss", "cross_entropy"): "--data broken.npz can't be read",
    ("person.py:plain", "--data", "cut.npz", "--loss", "cross_entropy"): "--data cut.npz can't be read",
    ("person.py:plain", "--data", "", "--loss", "cross_entropy"): "neither a file nor",
    (*GIVEN, "--evaluate-data", "person.py:with_nan"): "evaluate_data: sample 5 has NaN in x",
    (*GIVEN[:-2], "--step", "person.py:nothing"): "step is int; it must be a function",
    ("whole.pth", "--data", "person.py:data"): "whole.pth is missing",
    (".", "--data", "person.py:data"): "is a directory; it must be a file of weights",
}


@pytest.mark.parametrize("arguments", WRONG, ids=lambda arguments: " ".join(arguments))
def test_what_a_person_got_wrong_is_one_line(script, capsys, arguments):
    code, _, error = run(capsys, *arguments)
    assert code == 2
    assert WRONG[arguments] in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_pickled_module_is_refused_unless_it_is_trusted(script, capsys):
    torch.save(torch.nn.Linear(4, 2), "whole.pth")
    arguments = ["whole.pth", "--data", "person.py:data", "--loss", "cross_entropy"]
    code, _, error = run(capsys, *arguments)
    assert (code, "--trust" in error) == (2, True)
    assert run(capsys, *arguments, "--trust")[0] == 0


ARGUMENTS = """
import argparse
import torch
parser = argparse.ArgumentParser()
parser.add_argument("--width", type=int, default=4)
parser.add_argument("data", nargs="{nargs}")
width = parser.parse_args().width
model = torch.nn.Linear(8, width)
data = (torch.randn(32, 8), torch.randint(width, (32,)))
"""


def test_a_script_that_reads_arguments_of_its_own_takes_its_defaults(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["compare", "diagnose", "--json"])
    for name, nargs in (("optional.py", "?"), ("needed.py", "+")):
        (tmp_path / name).write_text(ARGUMENTS.format(nargs=nargs))
    code, out, _ = run(
        capsys, "optional.py:model", "--data", "optional.py:data", "--loss", "cross_entropy", "--json"
    )
    assert code in (0, 1)
    assert json.loads(out)["samples"] == 32
    code, _, error = run(capsys, "needed.py:model", "--data", "needed.py:data")
    assert code == 2
    assert "ends the process when it is imported (exit code 2)" in error.splitlines()[-1]


def test_figures_without_a_loss_stop_nothing_and_are_said_to_be_of_no_use(script, capsys):
    code, out, _ = run(capsys, *GIVEN, "--reported", "accuracy=0.9,evaluate_accuracy=0.5")
    assert code == 0
    said = " ".join(out.split())
    assert "(accuracy, evaluate_accuracy) have neither training's loss, as loss, nor evaluation's" in said


@pytest.mark.parametrize("arguments", [("person.py:raises",), ("person.py:broken", *GIVEN[1:])])
def test_a_traceback_is_shown_where_it_is_asked_for_and_the_exit_code_stays(script, capsys, arguments):
    code, _, error = run(capsys, *arguments, "--debug")
    assert code == 2
    assert error.startswith("Traceback")
    assert error.splitlines()[-1].startswith("error: person.py, line ")


def test_what_is_refused_after_the_model_was_used_leaves_it_as_it_was(script, capsys):
    from compare.given import names

    net = names.thing("person.py:trained_once", "MODEL")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    drawn = torch.get_rng_state()
    for more in (["person.py:with_nan"], ["person.py:wide"], ["person.py:used_up"]):
        asked = ["person.py:trained_once", "--data", *more, "--loss", "cross_entropy"]
        assert run(capsys, *asked)[0] == 2
        assert net.training
        assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
        assert torch.equal(drawn, torch.get_rng_state())
