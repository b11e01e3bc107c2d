"""Every cause of the table, planted alone in a network that is right otherwise, is found and named in its layer."""

import pytest

from tests.pair.mutants import HARMLESS, MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mistake_is_found_and_named_in_its_layer(judge, mutant):
    outcome = judge(*mutant.pair())
    assert outcome.verdict == "differs"
    assert (outcome.first["cause"], outcome.first["keras"]) == (mutant.cause, mutant.layer)


@pytest.mark.parametrize("mutant", HARMLESS, ids=[mutant.name for mutant in HARMLESS])
def test_what_changes_nothing_is_named_and_no_difference(judge, mutant):
    outcome = judge(*mutant.pair())
    assert outcome.verdict == "same", outcome.first
