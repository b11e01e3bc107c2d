"""Completes what a file tells of its network: by what a person adds, and else by what has to be assumed and is said."""

from __future__ import annotations

from dataclasses import replace

from compare.spec import DECAY, EPSILONS, InputError, some
from compare.weights.network import (
    PROJECT_HEAD,
    Dense,
    Network,
    check,
    kernels_of,
    square,
    with_output,
)
from compare.weights.reading import known
from compare.weights.source import Source
from compare.weights.spellings import Names


def settle(
    source: Source, variant: str | None = None, epsilon: float | None = None, output: str | None = None
) -> tuple[Network, list[str]]:
    """Say which network a file's arrays are of.

    Args:
        variant, epsilon: of a ResNet50, as the person says; None where nothing is said.
        output: activation of the last dense layer, as the person says.

    Returns:
        The network, and a line for each thing that the file leaves open.

    Raises:
        InputError: it is another network, has parts that can't be moved, or the person contradicts the file.
    """
    known(source)
    if source.obstacles:
        more = f" (and {len(source.obstacles) - 1} more)" if len(source.obstacles) > 1 else ""
        raise InputError(
            f"{source.path}: {source.obstacles[0]}{more}; for a model of your own: compare port --into"
        )
    resnet, told = source.backbone == "resnet50", source.told
    for name, value, of_file in (("variant", variant, told.variant), ("epsilon", epsilon, told.epsilon)):
        if value is not None and not resnet:
            raise InputError(f"--{name} {value}: a vgg16 has no such thing")
        if value is not None and of_file is not None and value != of_file:
            raise InputError(f"--{name} {value}: the file says {of_file}")
    network, assumed = backbone(source, variant, epsilon)
    network, of_top = _top(source, network)
    if output is not None:
        network, of_top = with_output(network, output), [line for line in of_top if "--output" not in line]
    expected = {**source.backbone_shapes(), **_shapes(source, network)}
    try:
        check(source.arrays, expected)
    except ValueError as error:
        raise InputError(f"{source.path} is not a {network.describe()}: {error}") from error
    return network, assumed + of_top


def backbone(
    source: Source, variant: str | None = None, epsilon: float | None = None
) -> tuple[Network, list[str]]:
    """The network without its dense layers, and a line for each fact of a ResNet50 that nobody names."""
    told, resnet = source.told, source.backbone == "resnet50"
    biases = not resnet or "conv1_conv/bias" in source.arrays
    inferred = "v1" if biases else "v1.5"
    if (told.epsilon or epsilon) == EPSILONS["v1-old"] and inferred == "v1":
        # the same graph, told apart by epsilon
        inferred = "v1-old"
    settled = variant or told.variant or inferred
    if settled in ("v1", "v1-old") and (epsilon or told.epsilon):
        settled = "v1-old" if (epsilon or told.epsilon) == EPSILONS["v1-old"] else "v1"
    lines = []
    if resnet and told.variant is None and variant is None:
        how = f"{'' if biases else 'no '}biases"
        lines.append(f"{settled}, as the convolutions have {how} (else --variant)")
    if resnet and told.epsilon is None and epsilon is None:
        lines.append(f"epsilon {EPSILONS[settled]:g}, as {settled} has (else --epsilon)")
    others = source.names.torch and source.names is not Names.PROJECT
    network = Network(
        backbone=source.backbone,
        variant=settled if resnet else "v1",
        width=source.width,
        preprocessing=told.preprocessing or ("torch" if others or settled == "v1.5" else "caffe"),
        epsilon=epsilon or told.epsilon or EPSILONS[settled],
        decay=told.decay or DECAY["native"][source.framework],
        bias=biases,
    )
    return network, lines


def _top(source: Source, network: Network) -> tuple[Network, list[str]]:
    """Add the dense layers, with what the file, or else its origin, says of their activations."""
    told, arrays, order = source.told, source.arrays, source.chain
    if not order.names:
        return replace(network, pooling=told.pooling or "none"), []
    said = {layer.name: layer for layer in told.top or ()}
    top = []
    for name in order.names:
        units, bias = arrays[f"{name}/kernel"].shape[1], f"{name}/bias" in arrays
        if name in said and (said[name].units, said[name].bias) != (units, bias):
            raise InputError(f"{source.path} may be damaged: its layer {name} has other weights than it says")
        dropout = said[name].dropout if name in said else 0.5 if name in PROJECT_HEAD[1:] else 0.0
        activation = said[name].activation if name in said else _activation(source, name)
        top.append(Dense(name, units, bias, activation, dropout))
    lines = []
    if not said and order.names != PROJECT_HEAD:
        activations = ", ".join(f"{layer.name} {layer.activation}" for layer in top)
        lines.append(f"activations ({activations}; else --output) and no dropout: weights don't say")
    if order.unsure:
        lines.append(f"the order of {some(list(order.unsure))}, which fit in any: the file doesn't say")
    flatten = order.rows > 1
    flattened = told.pooling == "flatten" and told.map != (1, 1)
    if told.pooling is not None and flatten != flattened and (flatten or told.map):
        raise InputError(
            f"{source.path} may be damaged: {order.names[0]} doesn't fit its pooling, {told.pooling}"
        )
    size = (told.map or square(order.rows) or (0, 0)) if flatten else (0, 0)
    pooling = "flatten" if flatten or told.pooling == "flatten" else (told.pooling or "avg")
    if pooling == "none":
        pooling = "avg"
    size = (1, 1) if pooling == "flatten" and not flatten else size
    images = (told.input or (32 * size[0], 32 * size[1])) if pooling == "flatten" else (0, 0)
    return replace(network, map=size, size=images, pooling=pooling, top=tuple(top)), lines


def _activation(source: Source, name: str) -> str:
    """What a dense layer of bare weights is taken to have.

    The last one: Keras's in keras.applications, none in PyTorch's classes, whose outputs are logits.
    """
    if name != source.chain.names[-1]:
        return "relu"
    if name == "head_output":
        return "sigmoid"
    if name == "predictions" and not source.names.torch:
        return "softmax" if source.arrays[f"{name}/kernel"].shape[1] > 1 else "sigmoid"
    return "linear"


def _shapes(source: Source, network: Network) -> dict[str, tuple[int, ...]]:
    kernels = kernels_of(source.arrays)
    found: dict[str, tuple[int, ...]] = {}
    for layer in network.top:
        found[f"{layer.name}/kernel"] = kernels[layer.name].shape
        if layer.bias:
            found[f"{layer.name}/bias"] = (layer.units,)
    return found
