"""Whether two evaluations are the same, and whether other switches change what reaches a layer."""

from types import SimpleNamespace

import numpy as np
import pytest

from compare.diagnosis.measuring import ALONE, shifting
from compare.diagnosis.probes import alike
from compare.diagnosis.side import Pass, Seen, Step


def one(loss, outputs=None):
    return Pass([Step(loss, 2, 2.0, outputs=outputs)], {"loss": loss})


@pytest.mark.parametrize(("apart", "same"), [(5e-6, True), (5e-5, False)])
def test_losses_alone_tell_two_evaluations_apart_sooner_than_outputs_do(apart, same):
    assert alike(one(1.0), one(1.0 + apart), 1e-4) == same
    outputs = np.array([1.0, -2.0], "float32")
    assert alike(one(1.0, outputs), one(1.0 + apart, outputs), 1e-4) == same
    assert alike(one(1.0, outputs), one(1.0 + apart, outputs * (1 + 5e-5)), 1e-4)
    assert not alike(one(1.0, outputs), one(1.0, outputs * (1 + 5e-4)), 1e-4)


@pytest.mark.parametrize(("times", "shifted"), [(1.005, False), (1.02, True), (0.9, True)])
def test_a_switch_that_changes_a_variance_by_more_than_rounding_shifts_it(times, shifted):
    def seen(variance):
        return Seen(8, np.zeros(3), variance, np.zeros(3), variance, np.zeros(3), np.ones(3), 4, 2)

    variance = np.array([1.0, 4.0, 0.0])  # a channel that nothing reaches says nothing
    done = SimpleNamespace(
        switches=ALONE | {"dropout"}, seen={"bn#2": seen(times * variance)},
        standing={ALONE: SimpleNamespace(seen={"bn#2": seen(variance)})},
    )  # fmt: skip
    assert shifting(done) == ({"bn": pytest.approx(times)} if shifted else {})
    done.switches = ALONE
    assert shifting(done) == {}
