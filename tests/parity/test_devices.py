"""A parity check on an accelerator: its bars, and what is refused; no card is needed for that."""

import pytest

from compare.cli import app as cli
from compare.parity import tolerances
from compare.processes import devices


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_accelerators_bars_are_wider_and_say_why(dtype):
    here, there = tolerances.as_dict(dtype), tolerances.as_dict(dtype, "cuda")
    for name, bar in here.items():
        assert there[name]["bar"] == bar["bar"] * tolerances.ACCELERATED[dtype].factor
        assert there[name]["reason"].startswith(bar["reason"])
        assert "a card adds up in other orders" in there[name]["reason"] or dtype == "float32"
    assert there["preprocessing"]["bar"] == 0  # the same bytes wherever they then go


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "auto"], "both must compute on the same"),
        (["--device", "mps"], "it has no float64; give --dtype float32"),
        (["--device", "cuda"], "this machine has no cuda device"),
        (["--device", "gpu"], "it can be auto, cpu, cuda, cuda:N or mps"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(arguments, words, capsys, monkeypatch):
    monkeypatch.setattr(devices, "plausible", lambda kind: False)
    assert cli.main(["parity", "--backbone", "resnet50", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said
