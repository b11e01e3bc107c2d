"""Both processes are started once for all tests that plant mistakes in float64."""

import pytest

from compare.parity.stages import Pair


@pytest.fixture(scope="session")
def pair():
    from tests.support import parity_mutants

    with Pair("float64", make=parity_mutants.Mutant) as both:
        yield both
