"""Preprocessing against the presets that torchvision ships with its weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models import ResNet50_Weights, VGG16_Weights

from compare.data import preprocess


@pytest.mark.parametrize("weights", [ResNet50_Weights.IMAGENET1K_V1, VGG16_Weights.IMAGENET1K_V1])
def test_torch_is_what_torchvisions_presets_do(weights):
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    preset = weights.transforms(crop_size=40, resize_size=40)  # nothing to resize or crop: the numbers alone
    wanted = preset(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(preprocess(images, "torch"), wanted.numpy())
