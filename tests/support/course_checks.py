"""What a process keeps from one cell to the next changes nothing: held against a new process, to the last digit."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from compare.cells import cell as cells
from compare.frameworks import FRAMEWORKS
from compare.spec import POLICIES
from tests.support.shallow import forget
from tests.support.small_run import SMALL, train

EXPLAINED = replace(SMALL, epochs=2, patience=2, explain="best-and-last")

LED = [("frozen-drifting", "frozen-batch-stats"), ("frozen", "features")]
# one policy after another that leaves the most behind: flags, statistics, a graph of its evaluation
AFTER = [("batch-stats", "adapted"), ("frozen-drifting", "fine-tune")]


def trained_after_another_is_as_if_alone(framework, monkeypatch, tmp_path, before, policy):
    same_after(framework, monkeypatch, tmp_path, before, policy, without=("transfer", "build"))


def follower_is_as_if_it_had_trained(framework, monkeypatch, tmp_path, leader, follower):
    same_after(framework, monkeypatch, tmp_path, leader, follower, without=("training", "fit"))


def follower_is_explained_by_the_leaders_passes(framework, monkeypatch, tmp_path):
    """The population's statistics are measured once an epoch, though two policies are explained in it."""
    settings = replace(EXPLAINED, explain="every-epoch")
    without = ("statistics", "population")
    same_after(framework, monkeypatch, tmp_path, *LED[0], without=without, settings=settings)


def same_after(framework, monkeypatch, tmp_path, before, policy, without, settings=EXPLAINED):
    """Train a policy alone, then after another without a function of the wing: nothing may differ."""
    module, function = without
    forget(monkeypatch)
    alone = train(framework, policy, tmp_path, "native", settings)
    best = (Path(tmp_path) / "best.safetensors").read_bytes()
    forget(monkeypatch)
    train(framework, before, tmp_path, "native", settings)

    def never(*_, **__):
        raise AssertionError(f"{module}.{function} was called again")

    monkeypatch.setattr(FRAMEWORKS[framework].module(module), function, never)
    assert train(framework, policy, tmp_path, "native", settings) == alone
    assert (Path(tmp_path) / "best.safetensors").read_bytes() == best


def features_computed_once_train_the_same(framework, monkeypatch, tmp_path, policy):
    settings = replace(SMALL, epochs=2)
    once = train(framework, policy, tmp_path, "native", settings)
    monkeypatch.setattr(cells, "POLICIES", {policy: _plain(POLICIES[policy])})
    plainly = train(framework, policy, tmp_path, "native", settings)
    assert len(once.history) == 2
    for ours, theirs in zip(once.history, plainly.history, strict=True):
        for part in ("fit", "evaluate", "val"):
            assert ours.part(part)["loss"] == pytest.approx(theirs.part(part)["loss"], abs=1e-6)


def _plain(policy):
    """The same policy, whose backbone runs at every step of `fit` and of `evaluate`."""

    class Plain(type(policy)):
        fixed_in_fit = fixed_in_evaluate = apart_in_evaluate = False

    return Plain(**asdict(policy))
