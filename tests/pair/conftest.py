"""Both processes are started once for all tests of pairs."""

from contextlib import nullcontext

import pytest

from compare.cli import app as cli
from compare.pair.asked import Asked
from compare.pair.ends import Pair
from compare.pair.meeting import meet
from compare.pair.proof import check
from compare.pair.references import pair as references


@pytest.fixture(scope="session")
def both():
    with Pair("float64") as pair:
        yield pair


@pytest.fixture
def shell(both, monkeypatch, tmp_path, capfd):
    """Run a command in a directory of its own, with the processes that are there; returns exit code and lines."""
    for room in ("proof", "porting", "finding"):
        monkeypatch.setattr(f"compare.pair.{room}.Pair", lambda dtype: nullcontext(both))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capfd.readouterr()
        # the processes began elsewhere: what is there has its whole path
        there = [str(one) for one in arguments]
        there = [str(tmp_path / one) if (tmp_path / one.partition(":")[0]).exists() else one for one in there]
        code = cli.main(there)
        said = capfd.readouterr()
        return code, said.out, [line for line in said.err.splitlines() if line.startswith("error:")]

    return run


@pytest.fixture
def judge(both, tmp_path):
    """Write two models' sources to files, check the pair and return the outcome."""

    def run(keras, torch, **options):
        (tmp_path / "in_keras.py").write_text(keras)
        (tmp_path / "in_torch.py").write_text(torch)
        ours, theirs = references(f"{tmp_path}/in_keras.py:build", f"{tmp_path}/in_torch.py:build")
        asked = Asked(ours, theirs, **{"steps": 2, **options})
        met = meet(both, asked, lambda line: None)
        return check(both, asked, met, lambda line: None)

    return run
