"""One training serves every policy whose `fit` is the same: held against a training of its own, to the last digit."""

from dataclasses import replace
from pathlib import Path

from compare.cells import cell as cells
from compare.cells.courses import Courses
from compare.frameworks import FRAMEWORKS
from tests.support.small_run import SMALL, train

EXPLAINED = replace(SMALL, epochs=2, patience=2, explain="best-and-last")

LED = [("frozen-drifting", "frozen-batch-stats"), ("frozen", "features")]


def follower_is_as_if_it_had_trained(framework, monkeypatch, tmp_path, leader, follower):
    monkeypatch.setattr(cells, "COURSES", Courses())
    alone = train(framework, follower, tmp_path, "native", EXPLAINED)
    best = (Path(tmp_path) / "best.safetensors").read_bytes()
    monkeypatch.setattr(cells, "COURSES", Courses())
    train(framework, leader, tmp_path, "native", EXPLAINED)

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(FRAMEWORKS[framework].implementation.training, "fit", never)
    assert train(framework, follower, tmp_path, "native", EXPLAINED) == alone
    assert (Path(tmp_path) / "best.safetensors").read_bytes() == best
