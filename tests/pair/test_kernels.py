"""Models that a framework can't compute in float64."""

import pytest

from compare.pair.asked import Asked
from compare.pair.kernels import NONE, NOTE, in_its_dtype
from compare.pair.proof import prove
from compare.pair.references import pair as references
from compare.processes.errors import WorkerError
from tests.pair.short import pair

VIDEO = pair(
    """i = keras.Input((4, 6, 6, 2))
x = L.MaxPooling3D(2, name="mp")(L.Conv3D(4, 3, padding="same", activation="relu", name="c")(i))
o = L.Dense(2, name="out")(L.Flatten(name="flat")(x))""",
    "self.c = nn.Conv3d(2, 4, 3, padding=1); self.out = nn.Linear(72, 2)",
    "return self.out(F.max_pool3d(F.relu(self.c(x)), 2).flatten(1))",
)


def asked(tmp_path, case):
    (tmp_path / "in_keras.py").write_text(case.keras)
    (tmp_path / "in_torch.py").write_text(case.torch)
    return Asked(*references(f"{tmp_path}/in_keras.py:build", f"{tmp_path}/in_torch.py:build"), steps=2)


def test_what_has_no_float64_is_done_in_float32_and_said(tmp_path):
    def work(asked, notes):
        if asked.dtype == "float64":
            raise WorkerError("InvalidArgumentError", f"Value for attr 'T' {NONE}: half, float")
        return asked.dtype, notes

    assert in_its_dtype(asked(tmp_path, VIDEO), work) == ("float32", [NOTE])


def test_any_other_error_is_one(tmp_path):
    def work(asked, notes):
        raise WorkerError("InvalidArgumentError", "shapes don't fit")

    with pytest.raises(WorkerError, match="shapes don't fit"):
        in_its_dtype(asked(tmp_path, VIDEO), work)


@pytest.mark.slow
def test_three_dimensional_pooling_is_compared_in_float32(tmp_path):
    outcome = prove(asked(tmp_path, VIDEO))
    assert (outcome.verdict, outcome.dtype) == ("same", "float32"), outcome.first
    assert NOTE in outcome.notes
