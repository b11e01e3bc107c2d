"""Keras on its other backends, held against PyTorch as Keras on TensorFlow is, and against one another."""

import itertools

import numpy as np
import pytest
from safetensors.numpy import save_file

from compare.frameworks import FRAMEWORKS, labels
from compare.parity import comparing, inputs
from compare.parity.check import Check
from compare.parity.figures import Verdict
from compare.parity.model import Model
from compare.parity.stages import STAGES, Pair, run
from compare.spec import POLICIES
from tests.support import parity_mutants

BACKENDS = [
    pytest.param(name, marks=pytest.mark.skipif(bool(FRAMEWORKS[name].missing), reason="isn't installed"))
    for name in ("keras-torch", "keras-jax")
]


def pairs(*names):
    missing = any(FRAMEWORKS[name].missing for name in names)
    return pytest.param(
        *names, marks=pytest.mark.skipif(missing, reason="isn't installed"), id=" ".join(names)
    )


# any two of the three are held by these: what two don't share with the third, they don't share
KERAS = [pairs("keras", "keras-jax"), pairs("keras", "keras-torch")]


def check_keras(one, other, policy, steps, make=Model, **settings):
    """Check Keras on one backend against Keras on another."""
    wanted = Check(width=0.25, policy=policy, steps=steps, frameworks=(one, other), **settings)
    with Pair("float64", wanted.frameworks, make) as pair:
        save_file(inputs.random_arrays("resnet50", "v1", 0.25, 0), pair.file("weights"))
        return run(pair, wanted, pair.file("weights"))


def check(name, policy, steps, mutation=None, **settings):
    wanted = Check(width=0.25, policy=policy, steps=steps, frameworks=(name, "torch"), **settings)
    with Pair("float64", wanted.frameworks, parity_mutants.Mutant) as pair:
        pair.other.call(parity_mutants.mutate, mutation)
        save_file(inputs.random_arrays("resnet50", "v1", 0.25, 0), pair.file("weights"))
        return run(pair, wanted, pair.file("weights"))


@pytest.mark.parametrize("name", BACKENDS)
def test_keras_on_another_backend_is_the_same_function(name):
    found = check(name, "frozen-drifting", 2)
    assert {stage.name: stage.verdict for stage in found} == dict.fromkeys(STAGES, Verdict.SAME), found


@pytest.mark.parametrize(("one", "other"), KERAS[1:])
def test_keras_is_the_same_function_on_two_backends(one, other):
    found = check_keras(one, other, "frozen-drifting", 2)
    assert {stage.name: stage.verdict for stage in found} == dict.fromkeys(STAGES, Verdict.SAME), found


class Rounding(Model):
    """Keras with Adam's betas rounded to float32, as TensorFlow has them unless it is told otherwise."""

    def make_optimizer(self):
        optimizer = super().make_optimizer()
        optimizer.beta_2 = float(np.float32(optimizer.beta_2))
        return optimizer


@pytest.mark.parametrize(("one", "other"), KERAS[1:])
def test_a_backend_that_rounds_its_constants_is_found(one, other):
    found = check_keras(one, other, "frozen-drifting", 1, Rounding)
    assert next(stage.name for stage in found if stage.verdict == Verdict.DIFFERS) == "optimizer"


@pytest.mark.parametrize(
    ("frameworks", "probability", "noted"),
    [
        (("keras-jax", "torch"), 1e-9, True),
        (("keras-torch", "torch"), 1 - 1e-9, True),
        (("keras-jax", "torch"), 1e-6, False),
        (("keras", "torch"), 1e-9, False),
    ],
)
def test_a_loss_that_is_cut_off_is_said_to_be(frameworks, probability, noted):
    outputs = np.array([[0.5], [probability]])
    own, reference = (
        {"evaluation/loss": np.array(loss), "evaluation/outputs": outputs} for loss in (20.7, 16.1)
    )
    loss, same = comparing.compare_results(Check(frameworks=frameworks), own, reference, 1)["evaluation"]
    assert not loss.same
    assert ("within 1e-7 of 0 or 1" in loss.note) == noted
    assert same.note == ""
    (equal, _) = comparing.compare_results(Check(frameworks=frameworks), own, own, 1)["evaluation"]
    assert equal.note == ""


def test_who_rounds_and_who_is_told_not_to():
    told = {names: Check(frameworks=names).rounds for names in itertools.permutations(FRAMEWORKS, 2)}
    assert {names for names, rounds in told.items() if rounds} == {("keras", "torch"), ("torch", "keras")}


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("one", "other"), KERAS)
def test_every_policy_is_the_same_function_on_two_backends(one, other, policy):
    found = check_keras(one, other, policy, 10)
    assert {stage.verdict for stage in found} == {Verdict.SAME}, found


def test_a_mistake_is_found_beside_another_backend():
    found = check("keras-torch", "frozen-drifting", 1, "disguised adam epsilon")
    assert [(s.name, s.place) for s in found if s.verdict == Verdict.DIFFERS] == [
        parity_mutants.FOUND["disguised adam epsilon"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", BACKENDS)
def test_every_policy_is_the_same_function(name, policy):
    found = check(name, policy, 10)
    assert {stage.verdict for stage in found} == {Verdict.SAME}, found


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamw", "weight_decay": 0.004},
        {"optimizer": "rmsprop"},
        # larger steps saturate the output, and there the backends' losses differ
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01, "learning_rate": 1e-4},
    ],
    ids=lambda settings: settings["optimizer"],
)
@pytest.mark.parametrize("name", BACKENDS)
def test_every_optimizer_is_the_same_function(name, settings):
    found = check(name, "fine-tune", 3, **settings)
    assert {stage.verdict for stage in found} == {Verdict.SAME}, found
    found = check_keras("keras", name, "fine-tune", 3, **settings)
    assert {stage.verdict for stage in found} == {Verdict.SAME}, found


def test_what_a_person_calls_two_frameworks():
    assert labels(("keras", "torch")) == ("Keras", "PyTorch")
    assert labels(["keras-jax"]) == ("Keras on JAX",)
    assert labels(("keras", "keras-jax")) == ("Keras on TensorFlow", "Keras on JAX")


@pytest.mark.skipif(bool(FRAMEWORKS["keras-torch"].missing), reason="isn't installed")
def test_float64_is_float64_in_batch_normalisation():
    """Keras promotes float64 to float32 on this backend, unless it is told otherwise."""
    from compare.processes.worker import Worker
    from tests.support import far_functions as far

    for dtype, bar in (("float64", 1e-14), ("float32", 1e-5)):
        with Worker(FRAMEWORKS["keras-torch"], 1, dtype) as worker:
            x, normalised = worker.call(far.normalise)
        exact = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-3)
        apart = np.abs(normalised - exact).max()
        assert apart < bar
        assert normalised.dtype == dtype
