"""Thousands of damaged files of named arrays: each is read or refused in a line, in bounded time."""

import numpy as np
import pytest
import safetensors.numpy

from compare.weights.spellings import SPELLINGS, Names
from tests.support.damage import outcomes
from tests.support.weight_files import arrays_of, write_legacy
from tests.weights.test_configuration import FLATTEN, arrays, body, dense, write
from tests.weights.test_reading import state_of, tf_keras_file

TORCHVISION = next(one for one in SPELLINGS if (one.names, one.backbone) == (Names.TORCHVISION, "vgg16"))


def whole(path):
    return write(path, [*body(), FLATTEN, dense("out", 3)], arrays())


def npz(path):
    np.savez(path, **state_of(arrays_of("vgg16", width=1 / 16), TORCHVISION))
    return path


def named(path):
    safetensors.numpy.save_file(arrays_of("vgg16", width=1 / 16), path, {"preprocessing": "caffe"})
    return path


def legacy(path):
    return write_legacy(path, arrays_of("vgg16", width=1 / 16))


def numbered(path):
    return tf_keras_file(path, arrays_of("vgg16", width=1 / 16))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "suffix", "count"),
    [
        (whole, ".keras", 2000),
        (legacy, ".h5", 1500),
        (numbered, ".weights.h5", 1500),
        (named, ".safetensors", 1500),
        (npz, ".npz", 1500),
    ],
)
def test_a_damaged_file_is_read_or_refused_in_a_line(tmp_path, make, suffix, count):
    content = make(tmp_path / f"a{suffix}").read_bytes()
    wrong, refused = outcomes(content, tmp_path / f"b{suffix}", range(count))
    assert not wrong, "\n".join(wrong)
    # some damage does no harm to what is read, and most does
    assert count * 0.2 < refused < count
