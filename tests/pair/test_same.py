"""Three ports without a mistake are found to compute and train the same."""

import pytest

from tests.pair import sources

PAIRS = {
    "convolutions": (sources.CNN_KERAS, sources.CNN_TORCH),
    "attention": (sources.MIXER_KERAS, sources.MIXER_TORCH),
    "recurrent": (sources.RECURRENT_KERAS, sources.RECURRENT_TORCH),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_right_port_is_the_same_through_training(judge, name):
    outcome = judge(*PAIRS[name])
    assert outcome.verdict == "same", outcome.first
    assert {stage.name for stage in outcome.stages} >= {"forward", "gradients", "parameters"}
    assert all(row.same for stage in outcome.stages for row in stage.rows)


@pytest.mark.parametrize("name", PAIRS)
def test_every_array_of_a_right_port_has_its_partner(judge, name):
    found = judge(*PAIRS[name]).map
    assert found.bindings
    assert all(one.side == "torch" and "bias" in one.name for one in found.left)
