"""keras.applications' and torchvision's own classes at full width, both ways: `pytest -m slow`, most of an hour."""

import numpy as np
import pytest

from benchmarks.full_width import WRITERS
from compare.port import certificate
from tests.support.ported import moved

pytestmark = pytest.mark.slow

DIRECTIONS = {"keras": ("a.keras", "a.pth"), "torch": ("a.pth", "a.keras")}
MUTATED = {"resnet50": "conv3_block2_2_conv/kernel", "vgg16": "block3_conv2/kernel"}


@pytest.fixture
def ported(tmp_path, shared, frameworks):
    """Write a class's weights and port them; return the verdict and the last line that was said."""

    def both(network, framework, seed):
        source, dest = (tmp_path / name for name in DIRECTIONS[framework])
        frameworks[framework].worker.call(WRITERS[framework], source, network, seed)
        lines = []
        proof = moved(source, dest, say=lines.append)
        return proof["verdict"], lines[-1]

    return both


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("framework", DIRECTIONS)
@pytest.mark.parametrize("network", MUTATED)
def test_a_correct_port_is_the_same_function(ported, network, framework, seed):
    verdict, line = ported(network, framework, seed)
    print(line)
    assert verdict == "same function", line


@pytest.mark.parametrize("framework", DIRECTIONS)
@pytest.mark.parametrize("network", MUTATED)
def test_a_kernel_off_by_a_part_in_ten_million_is_found(monkeypatch, ported, network, framework):
    compared, name = certificate.compared, MUTATED[network]

    def mistaken(process, held, *others):
        arrays = {**held[0], name: held[0][name] * np.float32(1 + 1.2e-7)}
        return compared(process, (arrays, held[1]), *others)

    monkeypatch.setattr(certificate, "compared", mistaken)
    verdict, line = ported(network, framework, 0)
    assert verdict == "differs"
    assert name.rpartition("/")[0] in line
