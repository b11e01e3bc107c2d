"""The original classes at full width, saved as their owners save them, with weights that a training could have left."""

from __future__ import annotations

from pathlib import Path


def write_keras(path: Path, network: str, seed: int) -> None:
    """Save keras.applications' ``resnet50`` or ``vgg16`` with its classifier."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    make = {"resnet50": keras.applications.ResNet50, "vgg16": keras.applications.VGG16}[network]
    model = make(weights=None)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            statistics = [generator.normal(0, 0.1, shape), generator.uniform(0.5, 1.5, shape)]
            layer.set_weights(
                [generator.uniform(0.1, 0.4, shape), generator.normal(0, 0.1, shape), *statistics]
            )
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(generator.normal(0, 0.05, layer.bias.shape))
    model.save(path)


def write_torch(path: Path, network: str, seed: int) -> None:
    """Save the state dict of torchvision's ``resnet50`` or ``vgg16``."""
    import torch
    import torchvision

    torch.manual_seed(seed)
    model = torchvision.models.get_model(network, weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.1, 0.4)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif getattr(module, "bias", None) is not None:
            torch.nn.init.normal_(module.bias, 0, 0.05)
    torch.save(model.state_dict(), path)


WRITERS = {"keras": write_keras, "torch": write_torch}
