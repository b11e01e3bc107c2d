"""Correct networks that magnify rounding are the same function; what rounding can't do is still found."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from compare.parity import inputs, twin
from compare.parity.check import Check
from compare.parity.figures import Verdict, compare
from compare.parity.stages import Pair, free, run
from compare.parity.twin import moved, one_rounding_away, raise_bars
from compare.weights.shapes import shapes
from tests.support import parity_mutants
from tests.support.restless import restless_arrays

RESNET = Check(width=0.25, steps=2)
FULL = {
    "resnet50 v1": Check(steps=2),
    "resnet50 v1.5": Check(variant="v1.5", steps=2, preprocessing="torch"),
    "vgg16": Check(backbone="vgg16", steps=2),
}


def check(pair, wanted, seed, mutation=None):
    pair.other.call(parity_mutants.mutate, mutation)
    save_file(restless_arrays(wanted.backbone, wanted.variant, wanted.width, seed), pair.file("restless"))
    return run(pair, wanted, pair.file("restless"))


def test_a_network_that_magnifies_rounding_is_the_same_function(pair):
    found = check(pair, RESNET, 0)
    assert {stage.verdict for stage in found} == {Verdict.SAME}, found
    raised = [row for stage in found for row in stage.rows if row.twin is not None]
    assert raised  # else the bars as they stand would do, and this shows nothing
    assert max(row.bar for row in raised) < 1e-7


@pytest.mark.parametrize("mutation", ["disguised running variance", "disguised activation", "transpose"])
def test_a_mistake_in_such_a_network_is_found(pair, mutation):
    found = check(pair, replace(RESNET, steps=1), 0, mutation)
    departed = [(stage.name, stage.place) for stage in found if stage.verdict == Verdict.DIFFERS]
    assert departed == [parity_mutants.FOUND[mutation]]


@pytest.mark.slow
@pytest.mark.parametrize("network", FULL)
def test_ten_full_width_networks_are_the_same_function(network):
    wanted = FULL[network]
    with Pair("float64", make=parity_mutants.Mutant) as pair:
        for seed in range(10):
            found = check(pair, wanted, seed)
            departed = [(s.name, s.place, s.worst) for s in found if s.verdict != Verdict.SAME]
            assert not departed, (seed, departed)


def test_a_twin_is_one_rounding_away_in_every_weight_and_nothing_else():
    weights = inputs.random_arrays("vgg16", "v1", 0.05, 0)
    state = {f"weights/{name}": array for name, array in weights.items()} | {"counter": np.array(3)}
    twins = [moved(state, [0, number], "float64", "weights/") for number in (0, 1)]
    assert twins[0]["counter"] == 3
    for name, array in state.items():
        if name == "counter":
            continue
        distance = np.abs(twins[0][name] - array.astype("float64"))
        np.testing.assert_array_equal(distance, np.spacing(np.abs(array.astype("float64"))))
        assert (twins[0][name] > array).any()
        assert (twins[0][name] < array).any()
        assert not np.array_equal(twins[0][name], twins[1][name])


def test_a_twin_is_the_same_however_large_the_parts_are(monkeypatch):
    array = np.random.default_rng(0).normal(size=(5, 7)).astype("float32").T
    whole = one_rounding_away(array, [1, 2], "float64")
    monkeypatch.setattr(twin, "PART", 4)
    parted = one_rounding_away(array, [1, 2], "float64")
    np.testing.assert_array_equal(parted, whole)
    assert parted.shape == array.shape
    assert (parted != array).all()


def test_zeros_stay_and_float32_moves_by_its_own_rounding():
    moved_array = one_rounding_away(np.array([0, 1, -2], "float32"), 1, "float32")
    assert moved_array[0] == 0
    np.testing.assert_allclose(np.abs(moved_array[1:] / [1, -2] - 1), 1e-7, rtol=1)


def test_a_bar_rises_to_what_the_twin_shows_and_never_falls():
    from compare.parity.figures import compare

    own, reference = {"a": np.array([1.0, 2.0])}, np.array([1.0, 2.0 + 1e-12])
    row = compare("a", own["a"], reference, 1e-13)
    assert not row.same
    raise_bars([row], own, {"a": own["a"] + 2e-15})
    assert (row.bar, row.twin) == (1e-13, None)
    raise_bars([row], own, {"a": own["a"] + 4e-13})
    assert row.same
    assert row.bar == pytest.approx(10 * row.twin)
    bar = row.bar
    for other in (own["a"], np.array([1.0, np.inf]), np.array([1.0, np.nan])):
        raise_bars([row], own, {"a": other})
        assert row.bar == bar


def test_restless_weights_fit_the_network():
    arrays = restless_arrays("resnet50", "v1.5", 0.25, 3)
    assert {name: array.shape for name, array in arrays.items()} == shapes("resnet50", "v1.5", 0.25)


def test_a_sure_network_gives_zeros_and_is_no_distance_from_itself():
    sure = [(0.0, np.zeros((4, 1))), (800.0, np.zeros((4, 1)))]
    twin = [(0.0, np.zeros((4, 1))), (800.0 + 1e-10, np.zeros((4, 1)))]
    assert free(RESNET, sure, sure, [twin]).verdict == Verdict.SAME
    unsure = [(0.0, np.full((4, 1), np.nan)), sure[1]]
    assert free(RESNET, sure, unsure, [twin]).place == "step 1"


@pytest.mark.parametrize(("left", "same"), [(2.6e-44, True), (1e-16, True), (1e-15, False), (1e-12, False)])
def test_what_a_saturated_output_leaves_beside_a_gradient_of_zero_is_rounding(left, same):
    """1 - p is 0 in one framework and something below a rounding of 1 in the other; more than that is a mistake."""
    own = {"bias": np.array([left])}
    row = compare("bias", own["bias"], np.zeros(1), 1e-11)
    assert not row.same
    raise_bars([row], own, {"bias": own["bias"] * (1 + 1e-13)})
    assert row.same is same
