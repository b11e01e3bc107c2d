"""Preprocessing. What the frameworks' own functions say stands in tests/keras and tests/torch."""

from __future__ import annotations

import numpy as np
import pytest

from compare.data import preprocess
from compare.spec import InputError


@pytest.mark.parametrize(
    ("mode", "pixel", "wanted"),
    [
        ("caffe", (255, 0, 10), (10 - 103.939, 0 - 116.779, 255 - 123.68)),
        ("torch", (255, 0, 51), (0.515 / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225)),
    ],
)
def test_one_pixel_by_hand(mode, pixel, wanted):
    ready = preprocess(np.array(pixel, np.uint8).reshape(1, 1, 1, 3), mode)
    np.testing.assert_allclose(ready.ravel(), wanted, rtol=1e-5)


@pytest.mark.parametrize("mode", ["caffe", "torch"])
def test_the_form_whatever_the_memory_layout(mode):
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    ready = preprocess(np.asfortranarray(images), mode)
    assert (ready.shape, ready.dtype, ready.flags.c_contiguous) == (images.shape, np.float32, True)
    np.testing.assert_array_equal(ready, preprocess(images, mode))


def test_an_unknown_mode_is_refused():
    with pytest.raises(InputError, match="unknown preprocessing 'pytorch': did you mean 'torch'"):
        preprocess(np.zeros((1, 2, 2, 3), np.uint8), "pytorch")


@pytest.mark.parametrize("images", [np.zeros((1, 2, 2, 3), np.float32), np.zeros((2, 2, 3), np.uint8)])
def test_other_arrays_are_refused(images):
    with pytest.raises(ValueError, match="it must be uint8"):
        preprocess(images, "caffe")
