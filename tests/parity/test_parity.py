"""The parity check itself: the two sides agree as promised, and each planted mistake is found where it is."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from compare.parity import certificate, inputs, page, stages
from compare.parity.certificate import Result
from compare.parity.check import Check
from compare.parity.stages import STAGES, run
from compare.parity.terminal import verdict
from tests.support import parity_mutants

SMALL = Check(width=0.25, image_size=64, batch_size=4, steps=3)
CHEAP = replace(
    SMALL, policy="frozen-drifting", steps=1
)  # Keras traces no backward pass through the backbone


@pytest.fixture(scope="module")
def weights(pair):
    path = pair.file("weights")
    save_file(inputs.random_arrays("resnet50", "v1", 0.25, 0), path)
    return path


def check(pair, weights, wanted, mutation=None):
    pair.other.call(parity_mutants.mutate, mutation)
    return run(pair, wanted, weights)


@pytest.mark.parametrize("policy", ["frozen-drifting", "fine-tune"])
def test_both_sides_are_the_same_function(pair, weights, policy):
    found = check(pair, weights, replace(SMALL, policy=policy))
    assert {stage.name: stage.verdict for stage in found} == dict.fromkeys(STAGES, "same"), found
    forward = next(stage for stage in found if stage.name == "forward-batch")
    assert len(forward.rows) > 170
    assert all(row.cosine > 1 - 1e-12 and row.share == 1 for row in forward.rows)


@pytest.mark.slow
def test_an_older_structure_is_the_same_function_too(pair, weights):
    """The one in which all differs from today's: epsilon, pooling, and the first convolution's zeros."""
    found = check(pair, weights, replace(CHEAP, variant="v1-old-same"))
    assert {stage.name: stage.verdict for stage in found} == dict.fromkeys(STAGES, "same"), found


@pytest.mark.parametrize("mutation", parity_mutants.FOUND)
def test_a_mistake_is_found_and_named_once(pair, weights, mutation):
    found = check(pair, weights, CHEAP, mutation)
    departed = [(stage.name, stage.place) for stage in found if stage.verdict == "differs"]
    assert departed == [parity_mutants.FOUND[mutation]]
    stage, place = departed[0]
    assert verdict(found) == f"differs at {STAGES[stage]}: {place}"


@pytest.mark.parametrize("mutation", [None, *parity_mutants.FOUND_OF_CLASSES])
def test_of_three_classes_both_sides_are_the_same_function_and_a_mistake_is_found(pair, weights, mutation):
    found = check(pair, weights, replace(CHEAP, classes=3, image_size=32), mutation)
    departed = [(stage.name, stage.place) for stage in found if stage.verdict == "differs"]
    if mutation:
        assert departed == [parity_mutants.FOUND_OF_CLASSES[mutation]]
    else:
        assert {stage.name: stage.verdict for stage in found} == dict.fromkeys(STAGES, "same"), found


def test_native_differences_are_what_the_defaults_predict(pair, weights):
    found = {stage.name: stage for stage in check(pair, weights, replace(CHEAP, numerics="native", steps=2))}
    assert found["configuration"].verdict == "explained"
    assert any("n/(n-1)" in note for note in found["configuration"].notes)
    assert {name: stage.verdict for name, stage in found.items() if stage.verdict != "same"} == dict.fromkeys(
        ("configuration", "statistics", "parameters", "evaluation"), "explained"
    )
    for name in ("statistics", "parameters", "evaluation"):
        assert max(row.relative for row in found[name].rows) <= 1e-9
        assert max(row.difference for row in found[name].rows) > 1e-6
    variance = next(
        row for row in found["statistics"].rows if row.name == "conv5_block3_3_bn/moving_variance"
    )
    assert variance.note == "n = 16"


def test_a_mistake_shows_through_native_differences(pair, weights):
    found = check(pair, weights, replace(CHEAP, numerics="native"), "disguised stale statistics")
    departed = [(stage.name, stage.place) for stage in found if stage.verdict == "differs"]
    assert departed == [("statistics", "conv4_block2_1_bn/moving_mean")]


def test_certificate_and_page_hold_what_was_found(pair, weights):
    found = check(pair, weights, CHEAP, "gamma and beta")
    result = Result(CHEAP, {"frozen-drifting": found}, {"weights": "a", "images": "b"}, {"keras": "3"}, 0)
    paper = json.loads(json.dumps(certificate.as_json(result), allow_nan=False))
    assert paper["verdict"] == "different"
    assert certificate.check_of(paper)[1] == ("frozen-drifting",)
    assert all(tolerance["reason"] for tolerance in paper["tolerances"].values())
    assert certificate.differences(paper, paper) == []
    sound = replace_stages(result, check(pair, weights, CHEAP))
    lines = certificate.differences(paper, certificate.as_json(sound))
    assert lines[0] == "frozen-drifting, forward: same, was differs conv4_block3_2_bn"
    html = page.render(result)
    assert "departs at <b>conv4_block3_2_bn</b>" in html
    assert "http" not in html.replace("http-equiv", "")


def replace_stages(result, found):
    return replace(result, stages={"frozen-drifting": found})


def test_a_free_run_is_measured_against_its_twin():
    def runs(offset):
        return [(1.0 + offset * step, np.array([[0.5]])) for step in (1, 2, 3)]

    def verdict_of(torch, twin):
        stage = stages.free(SMALL, runs(0.0), runs(torch), [runs(twin)])
        return stage.verdict, stage.place

    assert verdict_of(torch=5e-12, twin=6e-12) == ("same", "")  # five times as far as the twin
    assert verdict_of(torch=5e-11, twin=5.1e-11) == ("differs", "step 1")  # fifty times
    assert verdict_of(torch=1e-15, twin=1e-15) == ("same", "")  # a twin that didn't move, and one rounding
    assert verdict_of(torch=float("nan"), twin=1e-12) == ("differs", "step 1")


def test_a_twin_that_comes_back_for_a_step_lowers_no_bar():
    def run(*offsets):
        return [(1.0 + offset, np.array([[0.5]])) for offset in offsets]

    def verdict_of(torch):
        twin = run(1e-9, 1e-8, 1e-12)
        beside = [(t[0] + w[0] - 1, w[1]) for t, w in zip(torch, twin, strict=True)]
        return stages.free(SMALL, run(0, 0, 0), torch, [beside])

    assert verdict_of(run(0, 2e-8, 3e-8)).verdict == "same"
    assert verdict_of(run(0, 2e-8, 2e-7)).place == "step 3"
    assert verdict_of(run(2e-8, 2e-8, 2e-8)).place == "step 1"  # what the twin does later says nothing of now
