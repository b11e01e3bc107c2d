"""A port computes with the Keras that its machine has, whichever backend that is."""

import numpy as np
import pytest

from compare.frameworks import FRAMEWORKS
from compare.port import trace
from compare.weights import reading
from tests.support.weight_files import arrays_of, network_of


@pytest.mark.parametrize("name", ["keras-jax", "keras-torch"])
def test_a_file_is_written_bit_for_bit_in_its_own_dtype(name, tmp_path, monkeypatch):
    if FRAMEWORKS[name].missing:
        pytest.skip(f"{name} isn't installed")
    monkeypatch.setenv("KERAS_BACKEND", FRAMEWORKS[name].backend)
    network = network_of("vgg16", width=0.0625)
    with trace.Process("keras") as process:
        for dtype in ("float64", "float32"):
            path = tmp_path / f"{dtype}.weights.h5"
            arrays = {key: array.astype(dtype) / 3 for key, array in arrays_of("vgg16", width=0.0625).items()}
            process.hold(arrays)
            process.call("write", path, network, "applications", {})
            found = reading.read(path).arrays
            assert found.keys() == arrays.keys()
            for key, array in found.items():
                assert array.dtype == dtype
                np.testing.assert_array_equal(array, arrays[key])
        assert FRAMEWORKS[name].backend in process.versions()
