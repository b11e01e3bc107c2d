"""Layers of every kind are mapped, and right ports of them are the same through training."""

import pytest

from tests.pair.zoo import ZOO


@pytest.mark.parametrize("name", ZOO)
def test_a_right_port_of_layers_of_every_kind_is_the_same(judge, name):
    outcome = judge(*ZOO[name])
    assert outcome.verdict == "same", outcome.first
    assert all(row.same for stage in outcome.stages for row in stage.rows)
    assert all(one.side == "torch" and "bias_hh" in one.name for one in outcome.map.left)
