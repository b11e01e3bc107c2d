"""A diagnosis on Keras's other backends: each in a process of its own, since a process has one."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest

BACKENDS = ["jax", "torch"]


@cache
def said(backend):
    pytest.importorskip(backend, reason=f"{backend} isn't installed") if backend == "jax" else None
    done = subprocess.run(
        [sys.executable, "-m", "tests.keras.diagnosis.on_backend"],
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(params=BACKENDS)
def backend(request):
    return said(request.param)


def test_it_finds_the_cause_and_measures_what_evaluate_says(backend):
    found = backend["plain"]
    assert found["causes"][0] == "stale-statistics"
    for name, value in found["evaluated"].items():
        assert found["measured"][f"evaluate_{name}"] == pytest.approx(value, rel=1e-6)
    assert sum(found["terms"].values()) == pytest.approx(found["gap"], rel=1e-6)
    assert found["restored"] == "same"


def test_layers_are_seen_as_they_act_with_data_and_without(backend):
    acts = {"bn": ["normalisation", "batch", "moving"], "drop": ["dropout", "on", "off"]}
    assert backend["plain"]["rows"] == acts
    assert backend["plain"]["audit"] == acts


def test_the_callback_sees_fits_batches_and_changes_nothing(backend):
    found = backend["within"]
    assert found["same"]
    assert found["data"] == "list, 48 samples in 3 batches of 16"
    assert found["restored"] == "same"


def test_a_train_step_of_ones_own_is_an_objective_of_its_own(backend):
    found = backend["own"]
    assert found["restored"] == "same"
    # the step's loss is three times the other, which nothing but the objective's term can hold
    dropout, noise = (found["terms"].get(name, 0.0) for name in ("dropout", "batch-noise"))
    assert found["terms"]["objective"] < -abs(dropout) - abs(noise)


def test_a_step_of_the_persons_is_passed_as_the_compiled_loss_is(backend):
    mine, compiled = backend["stepped"], backend["stepped"]["compiled"]
    assert mine["causes"] == compiled["causes"]
    assert mine["rows"] == compiled["rows"]
    for name in ("fit_loss", "evaluate_loss"):
        assert mine["measured"][name] == pytest.approx(compiled["measured"][name], rel=1e-5)
    assert mine["terms"] == pytest.approx(compiled["terms"], rel=1e-2, abs=1e-4)
    assert mine["restored"] == "same"
