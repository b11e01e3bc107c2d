"""Both processes are started once for all tests of pairs."""

import pytest

from compare.pair.proof import Asked, Pair, check, meet
from compare.pair.references import pair as references


@pytest.fixture(scope="session")
def both():
    with Pair("float64") as pair:
        yield pair


@pytest.fixture
def judge(both, tmp_path):
    """Write two models' sources to files, check the pair and return the outcome."""

    def run(keras, torch, **options):
        (tmp_path / "in_keras.py").write_text(keras)
        (tmp_path / "in_torch.py").write_text(torch)
        ours, theirs = references(f"{tmp_path}/in_keras.py:build", f"{tmp_path}/in_torch.py:build")
        asked = Asked(ours, theirs, **{"steps": 2, **options})
        met = meet(both, asked, lambda line: None)
        return check(both, asked, met, lambda line: None)

    return run
