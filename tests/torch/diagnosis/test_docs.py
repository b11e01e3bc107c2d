"""The code of docs/diagnose.md and of the README runs."""

import pytest
import torch
import torch.nn.functional as F

import compare
from tests.support.blocks import blocks
from tests.torch.diagnosis.toys import fit, loader, mlp, toy


@pytest.mark.parametrize("page", ["docs/diagnose.md", "README.md"])
def test_the_code_of_a_persons_own_loop_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model, batches = mlp(momentum=0.002), loader(toy(64, shift=6.0))
    fit(model, batches, epochs=3)
    optimizer = torch.optim.Adam(model.parameters(), 0.001)
    names = {
        "torch": torch,
        "F": F,
        "compare": compare,
        "model": model,
        "loader": batches,
        "optimizer": optimizer,
    }
    codes = blocks(page, "PyTorch", "Keras and PyTorch")
    assert codes
    for code in codes:
        exec(code, names)
    assert names["diagnosis"].findings[0].cause == "stale-statistics"
    assert (tmp_path / "why.html").is_file()
    assert "stale statistics: harmful" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")  # Lightning's own words on loggers
@pytest.mark.parametrize(
    ("title", "package"), [("Lightning", "lightning.pytorch"), ("Hugging Face", "transformers")]
)
def test_the_code_for_a_trainer_runs(title, package):
    trainer = pytest.importorskip(package, reason=f"{package} isn't installed").Trainer
    for code in blocks("docs/diagnose.md", title):
        exec(code, {"compare": compare, "Trainer": trainer})
    assert blocks("docs/diagnose.md", title)
