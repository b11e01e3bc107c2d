"""What a destination can take: its format, whose model it is to fit, and what can't be moved there, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compare.spec import EPSILONS, UNPADDED, InputError, choose
from compare.weights.network import Arrays, Network

LAYOUTS = {
    ".keras": ("applications", "project"),
    ".weights.h5": ("applications", "project"),
    ".h5": ("applications", "applications-old", "project"),
    ".pth": ("torchvision", "project"),
    ".pt": ("torchvision", "project"),
    ".safetensors": ("neutral", "torchvision", "project"),
}
ALL_LAYOUTS = ("project", "torchvision", "applications", "applications-old", "neutral")
STRIDES = "for s in (model.layer2, model.layer3, model.layer4): s[0].conv1.stride, s[0].conv2.stride = (2, 2), (1, 1)"


@dataclass(frozen=True)
class Destination:
    """A file to be written.

    Attributes:
        suffix: what its name ends in, one of `LAYOUTS`.
        layout: one of `ALL_LAYOUTS`: whose model the weights are to fit.
    """

    path: Path
    suffix: str
    layout: str

    @property
    def framework(self) -> str:
        """Who reads it; named arrays are Keras's."""
        torch = self.suffix in (".pth", ".pt") or (self.suffix == ".safetensors" and self.layout != "neutral")
        return "torch" if torch else "keras"

    @property
    def brings_its_graph(self) -> bool:
        """Whether the file holds a network and not the weights of a class that somebody has: any network goes in."""
        return self.suffix == ".keras" or self.layout == "neutral"

    def epsilon(self, variant: str) -> float:
        """Of batch normalisation in the class that the weights go into."""
        of_class = {"torchvision": 1e-5, "applications": 1.001e-5, "applications-old": 1e-3}
        return of_class.get(self.layout, EPSILONS[variant])


def destination(path: Path, layout: str | None, network: Network, fold_bias: bool) -> Destination:
    """Settle format and layout, and refuse what would be another network.

    Raises:
        InputError: an unknown suffix, a layout that the format hasn't, or weights that the layout's class can't hold.
    """
    suffix = next((s for s in sorted(LAYOUTS, key=len, reverse=True) if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise InputError(f"DEST {path}: its name must end in {', '.join(LAYOUTS)}")
    if layout is not None:
        choose("--layout", layout, ALL_LAYOUTS)
        if layout not in LAYOUTS[suffix]:
            raise InputError(f"--layout {layout}: a {suffix} can be {', '.join(LAYOUTS[suffix])}")
    found = Destination(path, suffix, layout or _inferred(suffix, network, fold_bias))
    _refuse(found, network, fold_bias)
    return found


def _inferred(suffix: str, network: Network, fold_bias: bool) -> str:
    """Take the originals' class where it can hold the weights, else this project's."""
    original = LAYOUTS[suffix][0]
    if original == "neutral" or network.project_head:
        return "neutral" if original == "neutral" else "project"
    holds = {"torchvision": ("v1.5",), "applications": ("v1", "v1-old")}[original]
    fits = network.variant in holds or network.backbone == "vgg16"
    return original if fits or fold_bias or suffix == ".keras" else "project"


def _refuse(dest: Destination, network: Network, fold_bias: bool) -> None:
    """Refuse what no assignment of weights can do."""
    resnet = network.backbone == "resnet50"
    if fold_bias and not (resnet and (network.bias or network.variant != "v1.5")):
        raise InputError("--fold-bias: the convolutions of SOURCE have no biases before BN to fold")
    if fold_bias and dest.layout != "torchvision":
        raise InputError(
            f"--fold-bias is for torchvision's class, which has no biases; {dest.layout}'s keeps them"
        )
    if dest.layout == "applications-old" and (not resnet or network.variant == "v1.5"):
        raise InputError("--layout applications-old: only ResNet50 v1 had other names in Keras 1 and 2")
    if not resnet or dest.brings_its_graph:
        return
    if dest.layout in ("torchvision", "applications") and network.variant in UNPADDED:
        raise InputError(
            f"{network.variant} weights into {dest.layout}'s ResNet50: its first pooling is padded and theirs isn't;"
            " a .keras brings its own graph, --layout project this project's class"
        )
    if dest.layout == "torchvision" and network.variant != "v1.5" and not fold_bias:
        raise InputError(
            "v1 weights into torchvision's resnet50, which is v1.5: it strides in the 3x3 convolution where v1 does"
            " in the 1x1 before it, and no weights make the one compute the other; --layout project keeps v1's class,"
            " --fold-bias writes for torchvision's class with its strides moved"
        )
    if dest.layout.startswith("applications") and network.variant == "v1.5":
        raise InputError(
            "v1.5 weights into keras.applications' ResNet50, which is v1: it strides in the 1x1 convolution where"
            " v1.5 does in the 3x3 after it, and no weights make the one compute the other; a .keras brings its own"
            " graph, --layout project this project's class"
        )
    if network.variant == "v1.5" and network.bias and not fold_bias:
        raise InputError("v1.5 classes have no biases in their convolutions, SOURCE has; a .keras keeps them")


def fitted(
    dest: Destination, arrays: Arrays, network: Network, fold_bias: bool
) -> tuple[Arrays, Network, list[str]]:
    """Change arrays into what the layout's class holds: biases folded, or zeros where it has biases and they haven't.

    Returns:
        The arrays, the network they make, and lines that say what was done and what is to be done in code.
    """
    lines = []
    if fold_bias:
        arrays, network = fold(arrays), replace(network, bias=False)
        lines += [
            "folded: the convolutions' biases into the moving means. Exact while BN normalises with batch statistics"
            " in training; where BN is frozen and the convolutions train, the biases are parameters that are missing",
            *([f"in code, before load_state_dict: {STRIDES}"] if network.variant != "v1.5" else []),
        ]
    elif network.variant != "v1.5" and not (network.bias or dest.brings_its_graph):
        arrays, network = with_zero_biases(arrays), replace(network, bias=True)
        lines.append("added: biases of zero in the convolutions, which the class has")
    if dest.layout == "project" and network.variant not in ("v1", "v1.5"):
        lines.append(f"in code: the class that the weights are for is built with variant={network.variant!r}")
    if dest.framework == "torch" and dest.layout == "torchvision" and network.top:
        lines += _activations(network)
    epsilon = dest.epsilon(network.variant)
    if network.backbone == "resnet50" and not dest.brings_its_graph and network.epsilon != epsilon:
        lines.append(_set_epsilon(dest.framework, network.epsilon, epsilon))
    return arrays, network, lines


def _activations(network: Network) -> list[str]:
    """Say which activations torchvision's classes haven't, and a state dict can't hold: those give logits."""
    last, hidden = network.top[-1], network.top[:-1]
    lines = [
        f"in code: {layer.activation} after {layer.name}, which a state dict can't hold"
        for layer in hidden
        if layer.activation != "relu"
    ]
    if last.activation == "softmax":
        lines.append("in code: torch.softmax(model(images), 1), since the class gives logits")
    elif last.activation != "linear":
        function = f"torch.nn.functional.{last.activation}"
        lines.append(f"in code: {function}(model(images)), since the class gives what is before it")
    return lines


def fold(arrays: Arrays) -> Arrays:
    """Take each convolution's bias before BN out, and out of the moving mean: conv + b - mean = conv - (mean - b)."""
    biases = {n.removesuffix("_conv/bias"): a for n, a in arrays.items() if n.endswith("_conv/bias")}
    kept = {name: array for name, array in arrays.items() if not name.endswith("_conv/bias")}
    means = {
        f"{layer}_bn/moving_mean": kept[f"{layer}_bn/moving_mean"] - bias for layer, bias in biases.items()
    }
    return {**kept, **means}


def with_zero_biases(arrays: Arrays) -> Arrays:
    """Give every convolution of a ResNet50 a bias of zero."""
    kernels = {n: a for n, a in arrays.items() if n.endswith("_conv/kernel")}
    zeros = {f"{n.removesuffix('kernel')}bias": np.zeros(a.shape[-1], a.dtype) for n, a in kernels.items()}
    return {**arrays, **zeros}


def _set_epsilon(framework: str, epsilon: float, of_class: float) -> str:
    layers = "model.modules()" if framework == "torch" else "model.layers"
    name, kind = ("eps", "BatchNorm2d") if framework == "torch" else ("epsilon", "BatchNormalization")
    return (
        f"in code: epsilon is {epsilon:g}, the class has {of_class:g} and weights hold none:"
        f" for layer in {layers}: if isinstance(layer, {kind}): layer.{name} = {epsilon:g}"
    )
