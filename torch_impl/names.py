"""Neutral names and layouts of a PyTorch model's layers and weights: those that both frameworks share.

Names and layouts are Keras's: ``conv1_conv/kernel`` is ``(height, width, in, out)``, a dense kernel ``(in, out)``.
"""

from collections import Counter

import numpy as np
import torch

from . import resnet50, vgg16

# what a state dict calls a batch normalisation's arrays, and a convolution's or a dense layer's
BATCH_NORM_KINDS = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
KINDS = {"weight": "kernel", "bias": "bias"}
BLOCKS = [(stage, block) for stage, blocks in resnet50.BLOCKS.items() for block in range(1, blocks + 1)]
# this project's module -> layer, where the two differ
MODULES = {
    f"conv{stage}_block{block}.{kind}{n}": f"conv{stage}_block{block}_{n}_{kind}"
    for stage, block in BLOCKS
    for n in range(4)
    for kind in ("conv", "bn", "relu")
}
MODULES |= {f"conv{stage}_block{block}.out": f"conv{stage}_block{block}_out" for stage, block in BLOCKS}
MODULES |= {"conv1_bn": "conv1_bn"}  # so that its name is the same in a backbone and in a transfer model


def _torchvision_resnet50():
    """Map the names of torchvision's modules to layers."""
    layers = {"conv1": "conv1_conv", "bn1": "conv1_bn", "fc": "predictions"}
    for stage, block in BLOCKS:
        module, name = f"layer{stage - 1}.{block - 1}", f"conv{stage}_block{block}"
        layers |= {f"{module}.downsample.0": f"{name}_0_conv", f"{module}.downsample.1": f"{name}_0_bn"}
        for n in (1, 2, 3):
            layers |= {f"{module}.conv{n}": f"{name}_{n}_conv", f"{module}.bn{n}": f"{name}_{n}_bn"}
    return layers


def _torchvision_vgg16():
    layers, index = {}, 0
    for block, convs in vgg16.CONVS.items():
        layers |= {f"features.{index + 2 * n}": f"block{block}_conv{n + 1}" for n in range(convs)}
        index += 2 * convs + 1  # a relu follows each convolution, a pooling the block
    return layers | {"classifier.0": "fc1", "classifier.3": "fc2", "classifier.6": "predictions"}


TORCHVISION = {"resnet50": _torchvision_resnet50(), "vgg16": _torchvision_vgg16()}


def of_layers(model, kind=object):
    """Find the layers of a kind in a model, however deeply nested: name -> layer.

    DIFFERS: a module is called by its path, and in this project's models by the neutral name; a Keras layer has
    a name of its own.
    """
    return {of_path(path): module for path, module in model.named_modules() if isinstance(module, kind)}


def of_path(path):
    """Name the layer that a module of this project's models is; any other keeps its path."""
    return MODULES.get(path.removeprefix("backbone."), path)


def of_state(state):
    """Map the floating-point keys of a state dict to neutral names.

    Raises:
        ValueError: two layers have the same name.
    """
    table = torchvision(state)
    names = {}
    for key, tensor in state.items():
        if not tensor.is_floating_point():
            continue
        module, _, kind = key.rpartition(".")
        batch_norm = f"{module}.running_mean" in state or state.get(f"{module}.weight", tensor).ndim == 1
        own = module if table else module.removeprefix("backbone.").removeprefix("head.")
        names[key] = (
            f"{(table or MODULES).get(own, own)}/{(BATCH_NORM_KINDS if batch_norm else KINDS).get(kind, kind)}"
        )
    twice = sorted(name for name, count in Counter(names.values()).items() if count > 1)
    if twice:
        raise ValueError(f"layers of the model have the same name: {', '.join(twice)}")
    return names


def torchvision(state):
    """Return the table of torchvision's module names, if the state dict has them."""
    if "layer1.0.conv1.weight" in state:
        return TORCHVISION["resnet50"]
    return TORCHVISION["vgg16"] if "features.0.weight" in state else None


def to_array(tensor, key):
    """Copy a tensor, which a state dict has under ``key``, to Keras's layout."""
    array = tensor.detach().cpu().numpy()
    if array.ndim == 4:  # (out, in, height, width)
        array = array.transpose(2, 3, 1, 0)
    elif key == "classifier.0.weight":  # VGG's first dense layer sees (C, 7, 7) flattened, Keras's (7, 7, C)
        array = array.reshape(len(array), -1, 7, 7).transpose(2, 3, 1, 0).reshape(-1, len(array))
    else:
        array = array.T
    return np.array(array, order="C")


def to_tensor(array, key):
    """Copy an array to PyTorch's layout, as a state dict has it under ``key``."""
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
    elif key == "classifier.0.weight":
        array = array.reshape(7, 7, -1, array.shape[1]).transpose(3, 2, 0, 1).reshape(array.shape[1], -1)
    else:
        array = array.T
    return torch.from_numpy(np.array(array, order="C"))
