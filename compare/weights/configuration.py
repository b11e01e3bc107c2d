"""What a Keras model's configuration says of its function: the network it is, and what of it can't be moved."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from compare.spec import EPSILONS, some
from compare.weights.errors import UnreadableError
from compare.weights.keras_layers import Layer, activation_name, class_names, either, ends_of, half, layers_of
from compare.weights.network import ACTIVATIONS, Dense, Told
from compare.weights.spellings import OLD_LAYERS

OLD_EPSILON = EPSILONS["v1-old"]  # of Keras's ResNet50 as long as it had the old names
_POOLINGS = {
    "GlobalAveragePooling2D": "avg",
    # until Keras 2.2 the last map was averaged so, at 224 pixels a single value
    "AveragePooling2D": "avg",
    "GlobalMaxPooling2D": "max",
    "Flatten": "flatten",
}
_STRUCTURE = (
    *("InputLayer", "ZeroPadding2D", "Conv2D", "MaxPooling2D", "Add"),
    *("Convolution2D", "Merge"),  # of Keras 1
    "Identity",
)
_ACTIVATION_LAYERS = ("Activation", "ReLU", "Softmax", "ELU")
_BATCH_NORM = ("BatchNormalization", "BatchNorm")
_OWN_CONV = re.compile(r"conv1_conv|conv\d_block\d_\d_conv|block\d_conv\d")
_OWN_BN = re.compile(r"conv1_bn|conv\d_block\d_\d_bn")
# layers that do nothing when a model is evaluated; what they do in training belongs to the training
_NOISE = ("GaussianNoise", "ActivityRegularization")
_LAST = (
    "conv5_block3_out",
    "activation_49",
    "block5_pool",
)  # of the backbones; the second is Keras 1 and 2's
# what may hold code, or may make a program read other files
CODE = ("Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "function_lambda")


@dataclass(frozen=True)
class Configured:
    """What a configuration says.

    Attributes:
        told: of the network, as far as it is one.
        names: path of a layer's weights in HDF5 -> the layer's name.
        idle: layers that do nothing when the model is evaluated, as ``name (class)``.
        obstacles: what of the function can't be moved, a line each that names the layer.
        inside: those of the obstacles that lie within the backbone, which is then another function.
        front: the layers in front of the backbone that change what it sees, as ``name (class)``.
        precision: what it computes in where that is half of float32's, as ``mixed_float16``.
    """

    told: Told
    names: dict[str, str]
    idle: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    front: tuple[str, ...] = ()
    precision: str = ""


def configured(config: Any) -> Configured:
    """Read a configuration.

    Raises:
        UnreadableError: it holds code, or its backbone's BN layers differ.
    """
    # a loss may be code, too, but nobody loads it
    parts = (
        [held for name, held in config.items() if name != "compile_config"]
        if isinstance(config, dict)
        else config
    )
    code = sorted(set(CODE) & class_names(parts))
    own = config.get("registered_name") if isinstance(config, dict) else None
    inner = config.get("config") if isinstance(config, dict) else None
    if isinstance(inner, dict) and "layers" not in inner and own:
        raise UnreadableError(
            f"holds a model of somebody's own class, {config.get('class_name')}, which is code; save the weights"
            " alone with save_weights"
        )
    if code:
        raise UnreadableError(
            f"holds a {code[0]} layer, which is code; save the weights alone with save_weights"
        )
    layers = list(layers_of(config, ""))
    reader = _Reader(old=any(layer.name == "bn_conv1" for layer in layers))
    for layer in layers:
        reader.take(layer)
    reader.ends(config)
    return Configured(
        reader.finished(),
        {layer.path: reader.named(layer.name) for layer in layers},
        tuple(reader.idle),
        tuple(reader.obstacles),
        tuple(reader.inside),
        tuple(reader.front),
        next(
            filter(
                None, (half(layer.arguments.get("dtype")) for layer in layers if layer.kind != "InputLayer")
            ),
            "",
        ),
    )


@dataclass
class _Reader:
    """Takes a model's layers in order, and keeps what they say."""

    old: bool
    told: Told = field(default_factory=Told)
    top: list[Dense] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    front: list[str] = field(default_factory=list)
    epsilons: dict[tuple[float, float], str] = field(default_factory=dict)
    dropout: float = 0.0
    begun: bool = False
    ended: bool = False
    same: bool = False
    padded: bool = False
    mapped: str = ""
    strides: int = 0

    def named(self, name: str) -> str:
        """Today's name of a layer."""
        return OLD_LAYERS.get(name, name) if self.old else name

    def take(self, layer: Layer) -> None:
        kind, arguments = layer.kind, layer.arguments
        if arguments.get("data_format") == "channels_first":
            self.obstacles.append(
                f"{layer.called} has channels first; Keras on TensorFlow and this command have them last"
            )
        if layer.calls > 1 and kind != "InputLayer":
            self.obstacles.append(f"{layer.called} is called several times")
        if kind in _BATCH_NORM and not self.ended:
            decay = arguments["decay"] if "decay" in arguments else arguments["momentum"]
            self.epsilons.setdefault((float(arguments["epsilon"]), float(decay)), layer.name)
            if self.within and not _OWN_BN.fullmatch(self.named(layer.name)):
                self.refuse(layer, "normalises where the backbone doesn't, and can't be moved")
        elif kind in _POOLINGS:
            self.pool(layer)
        elif kind == "Dense":
            self.dense(layer)
        elif kind in ("Dropout", "CounterDropout") and not self.within:
            self.dropout = float(arguments.get("rate", arguments.get("p", 0.0)))
        elif "Dropout" in kind or kind in _NOISE or (kind.startswith("Random") and kind != "RandomCrop"):
            self.idle.append(f"{layer.name} ({kind})")
        elif kind in _ACTIVATION_LAYERS:
            self.activation(layer)
        elif kind in _STRUCTURE:
            self.structure(layer)
        else:
            if not self.begun:
                self.front.append(f"{layer.name} ({kind})")
            self.refuse(layer, "is part of what the model computes and can't be moved")
        self.ended = self.ended or layer.name in _LAST

    @property
    def within(self) -> bool:
        """Whether the layer that is taken lies within the backbone."""
        return self.begun and not (self.ended or self.top or self.told.pooling)

    def refuse(self, layer: Layer, reason: str) -> None:
        """Note that a layer is part of the function and can't be moved."""
        line = f"{layer.called} {reason}"
        self.obstacles.append(line)
        if self.within:
            self.inside.append(line)

    def structure(self, layer: Layer) -> None:
        arguments, name = layer.arguments, self.named(layer.name)
        if layer.kind == "InputLayer" and self.told.input is None and not self.begun:
            shape = list(arguments.get("batch_shape") or arguments.get("batch_input_shape") or ())
            if len(shape) == 4 and shape[1] and shape[2]:
                self.told = replace(self.told, input=(int(shape[1]), int(shape[2])))
        if "Conv" in layer.kind:
            self.begun = True
            if (self.told.pooling or self.top) and _OWN_CONV.fullmatch(name):
                line = f"{layer.called} comes after layers that a plain backbone hasn't, and can't be moved"
                self.obstacles.append(line)
                self.inside.append(line)
            if name == "conv3_block1_1_conv":
                self.strides = int(either(arguments, "strides", "subsample")[0])
            elif name == "conv1_conv":
                self.same = either(arguments, "padding", "border_mode") == "same"
            if activation_name(arguments.get("activation")) not in ("linear", "relu"):
                self.refuse(layer, f"has the activation {activation_name(arguments['activation'])}")
            if arguments.get("dilation_rate") not in (None, 1, [1, 1]) or arguments.get("groups", 1) != 1:
                self.refuse(layer, "is dilated or grouped, which can't be moved")
        elif name == "pool1_pad":
            self.padded = True
        elif layer.kind in ("Add", "Merge", "MaxPooling2D", "ZeroPadding2D") and self.ended:
            self.refuse(layer, "comes after the backbone and can't be moved")

    def pool(self, layer: Layer) -> None:
        if layer.kind == "AveragePooling2D" and list(layer.arguments.get("pool_size", ())) != [7, 7]:
            self.refuse(layer, "averages within the map; only averaging all of it can be moved")
        if self.top and layer.kind != "Flatten":
            self.refuse(layer, "comes after a dense layer")
        if self.told.pooling is None:
            self.told = replace(self.told, pooling=_POOLINGS[layer.kind])
            if layer.kind == "Flatten" and len(layer.shape) == 4 and layer.shape[1] and layer.shape[2]:
                self.told = replace(self.told, map=(int(layer.shape[1]), int(layer.shape[2])))

    def dense(self, layer: Layer) -> None:
        self.ended = True
        arguments = layer.arguments
        if len(layer.shape) == 4:
            self.mapped = layer.name
            if layer.shape[1:3] != (1, 1):
                self.refuse(layer, "sees a map that nothing has pooled or flattened, and can't be moved")
        activation = activation_name(arguments.get("activation"))
        self.top.append(
            Dense(
                self.named(layer.name),
                int(either(arguments, "units", "output_dim")),
                bool(either(arguments, "use_bias", "bias")),
                "linear",
                self.dropout,
            )
        )
        self.dropout = 0.0
        self.activate(layer, activation)

    def activation(self, layer: Layer) -> None:
        arguments = layer.arguments
        name = activation_name(arguments.get("activation")) if layer.kind == "Activation" else None
        name = name or layer.kind.lower()
        if layer.kind == "ReLU" and arguments.get("max_value") == 6:
            name = "relu6"
        plain = (arguments.get("max_value") is None or name == "relu6") and not (
            arguments.get("negative_slope") or arguments.get("threshold")
        )
        usual = 1 if name == "elu" else 0
        plain = plain and arguments.get("alpha", usual) == usual
        if not plain or (layer.kind == "Softmax" and arguments.get("axis", -1) != -1):
            self.refuse(layer, "has settings that can't be moved")
        elif self.top:
            self.activate(layer, name)
        elif name != "relu" or self.told.pooling is not None:
            self.refuse(layer, f"is a {name} where the backbone has none, and can't be moved")

    def activate(self, layer: Layer, activation: str) -> None:
        """Put an activation onto the last dense layer."""
        if activation == "linear":
            return
        if activation not in ACTIVATIONS or self.top[-1].activation != "linear":
            self.refuse(layer, f"has the activation {activation}, which can't be moved")
        else:
            self.top[-1] = replace(self.top[-1], activation=activation)

    def ends(self, config: Any) -> None:
        """Refuse what has several inputs or outputs, or ends in a map of one place."""
        if self.mapped and self.told.pooling is None:
            self.obstacles.append(
                f"layer {self.mapped} (Dense) gives a map of one place that nothing flattens"
            )
        inner = config.get("config", {})
        for word in ("input", "output"):
            layers = inner.get(f"{word}_layers") if isinstance(inner, dict) else None
            names = ends_of(layers)
            if len(names) > 1:
                self.obstacles.append(
                    f"it has several {word}s ({', '.join(names)}), of which one can be moved"
                )

    def finished(self) -> Told:
        """What all layers together say."""
        told = replace(self.told, top=tuple(self.top))
        if len(self.epsilons) > 1:
            found = [f"{name} {epsilon:g} and {decay:g}" for (epsilon, decay), name in self.epsilons.items()]
            raise UnreadableError(
                f"can't be read: its BN layers have several epsilons and momentums: {some(found)}"
            )
        for epsilon, decay in self.epsilons:
            told = replace(told, epsilon=epsilon, decay=decay)
        if self.strides:
            variant = "v1" if self.strides == 2 else "v1.5"
            if variant == "v1" and (self.same or not self.padded):
                variant = "v1-old-same" if self.same else "v1-old-unpadded"
            elif variant == "v1" and told.epsilon == OLD_EPSILON:
                variant = "v1-old"
            told = replace(told, variant=variant)
        return told if told.pooling else replace(told, pooling="none")
