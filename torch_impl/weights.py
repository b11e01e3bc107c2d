"""A PyTorch model's weights as named arrays, the neutral form that both frameworks share.

Names and layouts are Keras's: ``conv1_conv/kernel`` is ``(height, width, in, out)``, a dense kernel
``(in, out)``. Names are matched, never positions, and nothing is reshaped to fit.
"""

import numpy as np
import torch

from . import resnet50, vgg16

_BLOCKS = [(stage, block) for stage, blocks in resnet50.BLOCKS.items() for block in range(1, blocks + 1)]
# this project's module -> layer, where the two differ
_MODULES = {
    f"conv{stage}_block{block}.{kind}{n}": f"conv{stage}_block{block}_{n}_{kind}"
    for stage, block in _BLOCKS
    for n in range(4)
    for kind in ("conv", "bn")
}
_CONV_OR_DENSE = {"weight": "kernel", "bias": "bias"}
_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def _torchvision_resnet50():
    """Map the names of torchvision's modules to layers."""
    layers = {"conv1": "conv1_conv", "bn1": "conv1_bn", "fc": "predictions"}
    for stage, block in _BLOCKS:
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


_TORCHVISION = {"resnet50": _torchvision_resnet50(), "vgg16": _torchvision_vgg16()}


def to_arrays(model):
    """Copy a model's weights and moving statistics into arrays.

    Args:
        model: a transfer model, its backbone, its head, torchvision's ResNet50 or VGG16, or any other
            model of convolution, dense and BN layers.

    Returns:
        name -> array, in the model's own dtype. Counters and random states, which are integers, are left out.

    Raises:
        ValueError: two layers have the same name.
    """
    state = model.state_dict()
    return {name: _to_array(state[key], key) for key, name in _names(state).items()}


def from_arrays(model, arrays):
    """Set all of a model's weights and moving statistics to copies of ``arrays``, in the model's dtype.

    Raises:
        ValueError: names are missing, unexpected or of another shape; the model stays as it was.
    """
    state = model.state_dict()
    names = _names(state)
    check(arrays, {name: _to_array(state[key], key).shape for key, name in names.items()})
    with torch.no_grad():
        for key, name in names.items():
            state[key].copy_(_to_tensor(arrays[name], key))


def backbone_arrays(arrays):
    """Leave out the arrays of an ImageNet classifier or of a transfer model's head."""
    tops = ("predictions/", "fc1/", "fc2/", "head_")
    return {name: array for name, array in arrays.items() if not name.startswith(tops)}


def check(arrays, shapes):
    """Compare the names and shapes of ``arrays`` with ``shapes``, a dict of name -> shape.

    Raises:
        ValueError: they differ; the line lists missing, unexpected and misshapen names, each sorted.
    """
    missing = sorted(shapes.keys() - arrays.keys())
    unexpected = sorted(arrays.keys() - shapes.keys())
    misshapen = [
        f"{name} {tuple(arrays[name].shape)} for {tuple(shapes[name])}"
        for name in sorted(shapes.keys() & arrays.keys())
        if tuple(arrays[name].shape) != tuple(shapes[name])
    ]
    lists = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    if any(lists.values()):
        found = "; ".join(
            f"{len(names)} {what}: {', '.join(names)}" for what, names in lists.items() if names
        )
        raise ValueError(f"the arrays are not this model's: {found}")


def _names(state, kept=()):
    """Map the floating-point keys of a state dict to neutral names; modules in ``kept`` are layers themselves."""
    torchvision = _torchvision(state)
    names = {}
    for key, tensor in state.items():
        if not tensor.is_floating_point():
            continue
        module, _, kind = key.rpartition(".")
        batch_norm = f"{module}.running_mean" in state or state.get(f"{module}.weight", tensor).ndim == 1
        own = module if torchvision else module.removeprefix("backbone.").removeprefix("head.")
        layer = own if own in kept else (torchvision or _MODULES).get(own, own)
        names[key] = f"{layer}/{(_BATCH_NORM if batch_norm else _CONV_OR_DENSE).get(kind, kind)}"
    if len(set(names.values())) < len(names):
        twice = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
        raise ValueError(f"layers of the model have the same name: {', '.join(twice)}")
    return names


def _torchvision(state):
    """The table of torchvision's module names, if the state dict has them."""
    if "layer1.0.conv1.weight" in state:
        return _TORCHVISION["resnet50"]
    return _TORCHVISION["vgg16"] if "features.0.weight" in state else None


def _to_array(tensor, key):
    """Copy a tensor to Keras's layout."""
    array = tensor.detach().cpu().numpy()
    if array.ndim == 4:  # (out, in, height, width)
        array = array.transpose(2, 3, 1, 0)
    elif key == "classifier.0.weight":  # VGG's first dense layer sees (C, 7, 7) flattened, Keras's (7, 7, C)
        array = array.reshape(len(array), -1, 7, 7).transpose(2, 3, 1, 0).reshape(-1, len(array))
    else:
        array = array.T
    return np.array(array, order="C")


def _to_tensor(array, key):
    """Copy an array to PyTorch's layout."""
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
    elif key == "classifier.0.weight":
        array = array.reshape(7, 7, -1, array.shape[1]).transpose(3, 2, 0, 1).reshape(array.shape[1], -1)
    else:
        array = array.T
    return torch.from_numpy(np.array(array, order="C"))
