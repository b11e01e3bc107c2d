"""Preprocessing against keras.applications' own."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from compare.data import preprocess


@pytest.mark.parametrize("network", ["resnet", "vgg16"])
def test_caffe_is_what_keras_applications_does(network):
    images = np.random.default_rng(0).integers(0, 256, (4, 33, 35, 3), dtype=np.uint8)
    wanted = getattr(keras.applications, network).preprocess_input(images.astype(np.float32))
    np.testing.assert_array_equal(preprocess(images, "caffe"), wanted)


def test_torch_is_what_keras_calls_torch():
    images = np.random.default_rng(1).integers(0, 256, (4, 33, 35, 3), dtype=np.uint8)
    wanted = keras.applications.imagenet_utils.preprocess_input(images.astype(np.float32), mode="torch")
    np.testing.assert_array_equal(preprocess(images, "torch"), wanted)
