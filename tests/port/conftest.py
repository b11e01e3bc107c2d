"""What the tests of `port` share: a process of each framework for all of them, arrays with dense layers, and files."""

import pytest

from compare.parity.figures import Distance, Stage
from compare.port import certificate
from compare.port import move as port_module
from compare.port.trace import Process


@pytest.fixture(scope="session")
def frameworks():
    """A process of each framework for all tests of this folder."""
    with Process("keras") as keras, Process("torch") as torch:
        yield {"keras": keras, "torch": torch}


@pytest.fixture
def shared(monkeypatch, frameworks):
    """Let `port` use the processes that are there."""

    class Shared:
        def __init__(self, name):
            self.process = frameworks[name]

        def __enter__(self):
            return self.process

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(port_module, "Process", Shared)


@pytest.fixture
def unproven(monkeypatch, shared):
    """Leave out the computing, which is the same whatever the formats are."""
    rows = [Distance("layer", 0.0, 0.0, 0.0, 1.0, 1.0, 1e-13, 0.0)]
    monkeypatch.setattr(certificate, "traced", lambda *_: None)
    monkeypatch.setattr(certificate, "compared", lambda *_: [Stage("forward", rows=rows)])
    monkeypatch.setattr(certificate, "prove_original", lambda *_: ([], ""))
