"""Every cause of the table, planted alone in a network that is right otherwise, is found and named in its layer."""

import pytest

from tests.pair.mutants import HARMLESS, MUTANTS, NETWORKS

TABLE = (
    "epsilon", "decay", "variance-rule", "swapped-statistics", "padding", "stride", "dilation", "kernel-layout",
    "flatten-order", "gate-order", "reset-after", "activation", "pooling", "resize", "axis", "scale", "input-scale",
    "missing-layer", "extra-layer", "bias", "extra-parameter", "sharing", "dropout-rate", "weight-decay", "optimizer",
)  # fmt: skip


@pytest.mark.parametrize("cause", TABLE)
def test_every_cause_is_planted_in_three_networks(cause):
    assert len({mutant.network for mutant in MUTANTS if mutant.cause == cause}) >= 3


@pytest.mark.parametrize("name", ["signal", "residual"])
def test_a_network_without_a_mistake_is_the_same(judge, name):
    outcome = judge(*NETWORKS[name])
    assert outcome.verdict == "same", outcome.first


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mistake_is_found_and_named_in_its_layer(judge, mutant):
    outcome = judge(*mutant.pair())
    assert outcome.verdict == "differs"
    assert (outcome.first.cause, outcome.first.keras) == (mutant.cause, mutant.layer)


@pytest.mark.parametrize("mutant", HARMLESS, ids=[mutant.name for mutant in HARMLESS])
def test_what_changes_nothing_is_named_and_no_difference(judge, mutant):
    outcome = judge(*mutant.pair())
    assert outcome.verdict == "same", outcome.first
