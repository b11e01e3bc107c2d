"""A file as its owner runs it: by PyTorch's own loading, for a proof that doesn't rest on anybody's reading of it."""

import pickle

import numpy as np
import safetensors.torch
import torch
import torchvision
from torch import nn

from . import networks


def original(paths, form, network, layout, keys, where):
    """Load a file by PyTorch alone and return the function that it computes.

    DIFFERS: PyTorch is told ``keys`` and ``where``; Keras finds the weights by the model.

    Args:
        paths: the file, or the parts that an index names.
        form: ``pickle``, ``safetensors`` or ``npz``.
        network: a record as `networks.build` takes it: what a person sets in code, as no weights hold it.
        layout: ``torchvision`` or ``project``: whose model the weights fit.
        keys: key in the file -> key in that model's state dict.
        where: keys that lead to the state dict in a checkpoint.

    Returns:
        A function: images ``(N, H, W, 3)``, float32, to the model's output, a map as ``(N, H, W, C)``.

    Raises:
        ValueError: PyTorch can't load it, with its reason.
    """
    try:
        state = {key: tensor for path in paths for key, tensor in _content(path, form, where).items()}
        named = {of_model: state[key] for key, of_model in keys.items()}
        model = _torchvision(network, named) if layout == "torchvision" else networks.build(network)
        shapes = {key: parameter.shape for key, parameter in model.state_dict().items()}
        # timm keeps VGG's dense layers as convolutions over the whole map
        named = {key: t.flatten(1) if len(shapes.get(key, ())) == 2 else t for key, t in named.items()}
        missing, unexpected = model.load_state_dict(named, strict=False)
    except (OSError, RuntimeError, KeyError, AttributeError, pickle.UnpicklingError, ValueError) as error:
        raise ValueError(f"PyTorch can't load it: {' '.join(str(error).split())[:150]}") from None
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(
            f"PyTorch can't load it: {len(missing)} missing and {len(unexpected)} unexpected keys"
        )
    function = _without_head(model) if layout == "torchvision" and network.pooling == "none" else model
    function.eval()
    return lambda images: _run(function, images)


def _content(path, form, where):
    """Load the state dict of a file, tensors only."""
    if form == "safetensors":
        return safetensors.torch.load_file(path)
    if form == "npz":
        with np.load(path, allow_pickle=False) as file:
            return {name: torch.from_numpy(file[name]) for name in file.files}
    content = torch.load(path, map_location="cpu", weights_only=True)
    for key in where:
        content = content[key]
    return content


def _run(model, images):
    with torch.no_grad():
        output = model(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    return np.array(output.transpose(0, 2, 3, 1) if output.ndim == 4 else output, order="C")


def _torchvision(network, state):
    """torchvision's own class, as wide as the weights are, with what a person sets in code."""
    resnet = network.backbone == "resnet50"
    with torch.device("meta"):
        model = torchvision.models.resnet50() if resnet else torchvision.models.vgg16()
    if resnet:
        _adapt(model, network)
    for path, module in list(model.named_modules()):
        fitted = _fitted(module, path, state, network)
        if fitted is not None:
            model.set_submodule(path, fitted)
    if network.pooling == "none":
        head = nn.Identity()
    else:
        model.avgpool = _pool(network)
        rows = network.map[0] * network.map[1] if network.pooling == "flatten" else 1
        units = [
            int((2048 if resnet else 512) * network.width) * rows,
            *(layer.units for layer in network.top),
        ]
        head = nn.Sequential(
            *(networks.Dense(n, layer) for n, layer in zip(units, network.top, strict=False))
        )
    setattr(model, "fc" if resnet else "classifier", head)
    return model


def _without_head(model):
    """What computes a map in torchvision's classes: all before the pooling."""
    return model.features if hasattr(model, "features") else nn.Sequential(*list(model.children())[:-2])


def _adapt(model, network):
    """Set in torchvision's ResNet50 what v1 has otherwise."""
    if network.variant != "v1.5":
        for stage in (model.layer2, model.layer3, model.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    if network.variant == "v1-old-unpadded":
        model.maxpool.padding = 0
    if network.variant == "v1-old-same":
        raise ValueError("torchvision's class can't pad as this variant does")


def _fitted(module, path, state, network):
    """A layer as wide as its weights, or None if it has none."""
    weight = state.get(f"{path}.weight")
    if weight is None:
        return None
    if isinstance(module, nn.Conv2d):
        out, channels, *size = weight.shape
        settings = {"stride": module.stride, "padding": module.padding, "bias": f"{path}.bias" in state}
        return nn.Conv2d(channels, out, tuple(size), **settings, dtype=weight.dtype)
    if isinstance(module, nn.BatchNorm2d):
        return nn.BatchNorm2d(len(weight), network.epsilon, dtype=weight.dtype)
    return None


def _pool(network):
    if network.pooling == "max":
        return nn.AdaptiveMaxPool2d(1)
    return nn.AdaptiveAvgPool2d(tuple(network.map) if network.pooling == "flatten" else 1)
