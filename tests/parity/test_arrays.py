"""Arrays of every type are compared as what they are: nothing is cast, and what isn't a number has its place."""

import numpy as np
import pytest

from compare.cli.app import main
from compare.parity.files import compare_arrays

NAN, INF = float("nan"), float("inf")
PAIRS = {
    "complex": (np.array([1 + 2j, 3]), np.array([1 + 2j, 3]), True),
    "the imaginary part alone": (np.array([1 + 2j, 3]), np.array([1 + 2.1j, 3]), False),
    "complex within rounding": (np.array([1 + 2j]), np.array([1 + 2j]) * (1 + 1e-13), True),
    "complex and real": (np.array([1 + 0j]), np.array([1.0]), False),
    "integers beyond float64": (np.array([2**53 + 1]), np.array([2**53]), False),
    "unsigned beyond int64": (np.array([2**64 - 1], "uint64"), np.array([2**64 - 2], "uint64"), False),
    "integers of two widths": (np.array([7], "int8"), np.array([7], "int64"), True),
    "signed and unsigned": (np.array([-1], "int64"), np.array([2**64 - 1], "uint64"), False),
    "integers and floats": (np.array([1]), np.array([1.0]), False),
    "truth values": (np.array([True, False]), np.array([True, True]), False),
    "truth and numbers": (np.array([True]), np.array([1]), False),
    "texts": (np.array(["a", "b"]), np.array(["a", "c"]), False),
    "equal texts": (np.array(["a", "b"]), np.array(["a", "b"], "U9"), True),
    "dates": (np.array(["2024-01-01"], "M8[D]"), np.array(["2024-01-02"], "M8[D]"), False),
    "half precision within rounding": (np.array([1, 2], "float16"), np.array([1, 2.0007], "float32"), True),
    "half precision": (np.array([1, 2], "float16"), np.array([1, 2.1], "float16"), False),
    "extended precision": (np.array([1], "longdouble"), np.array([1], "longdouble") * (1 + 1e-9), False),
    "not finite at the same place": (
        np.array([1, NAN, INF, -INF]),
        np.array([1 + 1e-13, NAN, INF, -INF]),
        True,
    ),
    "not finite at another place": (np.array([1, NAN]), np.array([NAN, 1]), False),
    "infinities of two signs": (np.array([1, INF]), np.array([1, -INF]), False),
    "NaN beside a number": (np.array([NAN]), np.array([0.0]), False),
    "not a number in complex": (np.array([complex(1, NAN)]), np.array([complex(1, NAN)]), True),
    "nothing but NaN": (np.full(3, NAN), np.full(3, -NAN), True),
    "empty": (np.zeros((0, 3)), np.zeros((0, 3)), True),
    "empty of two types": (np.zeros(0, "float32"), np.zeros(0, "float64"), True),
    "empty of two shapes": (np.zeros((0, 3)), np.zeros((3, 0)), False),
    "a single number": (np.array(2.0), np.array(2.0), True),
    "zeros and next to nothing": (np.zeros(3), np.full(3, 1e-30), False),
}


@pytest.mark.parametrize("what", PAIRS)
def test_arrays_are_compared_as_what_they_are(tmp_path, capsys, what):
    a, b, same = PAIRS[what]
    for name, array in (("a", a), ("b", b)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "x.npy", array)
    code = main(["parity", str(tmp_path / "a"), str(tmp_path / "b")])
    out = capsys.readouterr().out
    assert code == (0 if same else 1), out
    assert "nan%" not in out
    assert max(map(len, out.splitlines())) <= 80
    exact = a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    assert ("1 of them bit for bit" in out) == exact
    # against itself it is the same whatever it holds
    assert compare_arrays("x", b, b.copy()).exact


def test_how_far_integers_are_apart_is_told_beyond_float64():
    row = compare_arrays("x", np.array([2**53 + 1, 5]), np.array([2**53, 5]))
    assert (row.max_abs, row.share, row.same) == (1.0, 0.5, False)
    assert 0 < row.relative < 1e-15


def test_arrays_of_objects_are_not_read(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert main(["parity", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    error = capsys.readouterr().err
    assert "x.npy can't be read" in error
    assert error.count("\n") == 1
