"""What a process keeps from one cell to the next changes nothing: held against a new process, to the last digit."""

from dataclasses import replace
from pathlib import Path

from compare.cells import cell as cells
from compare.cells.courses import Courses
from compare.cells.models import Models
from compare.frameworks import FRAMEWORKS
from tests.support.small_run import SMALL, train

EXPLAINED = replace(SMALL, epochs=2, patience=2, explain="best-and-last")

LED = [("frozen-drifting", "frozen-batch-stats"), ("frozen", "features")]
# one policy after another that leaves the most behind: flags, statistics, a graph of its evaluation
AFTER = [("batch-stats", "adapted"), ("frozen-drifting", "fine-tune")]


def forget(monkeypatch):
    """Keep nothing of the cells before, as a new process does."""
    monkeypatch.setattr(cells, "COURSES", Courses())
    monkeypatch.setattr(cells, "MODELS", Models())


def trained_after_another_is_as_if_alone(framework, monkeypatch, tmp_path, before, policy):
    forget(monkeypatch)
    alone = train(framework, policy, tmp_path, "native", EXPLAINED)
    best = (Path(tmp_path) / "best.safetensors").read_bytes()
    forget(monkeypatch)
    train(framework, before, tmp_path, "native", EXPLAINED)

    def never(*_, **__):
        raise AssertionError("built again")

    monkeypatch.setattr(FRAMEWORKS[framework].implementation.transfer, "build", never)
    assert train(framework, policy, tmp_path, "native", EXPLAINED) == alone
    assert (Path(tmp_path) / "best.safetensors").read_bytes() == best


def follower_is_as_if_it_had_trained(framework, monkeypatch, tmp_path, leader, follower):
    forget(monkeypatch)
    alone = train(framework, follower, tmp_path, "native", EXPLAINED)
    best = (Path(tmp_path) / "best.safetensors").read_bytes()
    forget(monkeypatch)
    train(framework, leader, tmp_path, "native", EXPLAINED)

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(FRAMEWORKS[framework].implementation.training, "fit", never)
    assert train(framework, follower, tmp_path, "native", EXPLAINED) == alone
    assert (Path(tmp_path) / "best.safetensors").read_bytes() == best
