"""A Keras model's configuration, of whatever Keras, as its layers in their order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Layer:
    """A layer of a configuration: its class, name and arguments, and where its weights lie in Keras's HDF5."""

    kind: str
    name: str
    arguments: dict[str, Any]
    path: str
    calls: int
    shape: tuple[int | None, ...]

    @property
    def called(self) -> str:
        """The layer as a person finds it."""
        return f"layer {self.name} ({self.kind})"


def either(layer: dict[str, Any], name: str, of_keras_1: str) -> Any:
    """An argument of a layer, which Keras 1 called otherwise."""
    return layer[name] if name in layer else layer[of_keras_1]


def activation_name(activation: Any) -> str:
    """The name of an activation, however a configuration holds it."""
    if isinstance(activation, dict):
        inner = activation.get("config")
        # a layer in an activation's place may have settings, and is none of those that are known by name
        kind = activation.get("class_name")
        activation = inner if isinstance(inner, str) else f"{kind} with settings" if inner else kind
    name = str(activation or "linear").lower()
    # its older name in Keras
    return "silu" if name == "swish" else name


def half(policy: Any) -> str:
    """The name of a layer's policy of numbers, where it computes in half precision."""
    name = policy.get("config", {}).get("name") if isinstance(policy, dict) else policy
    return str(name) if str(name).endswith("float16") else ""


def class_names(config: Any) -> set[str]:
    """Collect the ``class_name`` of everything in a configuration, with marshalled functions as ``function_lambda``."""
    if isinstance(config, list):
        return {name for item in config for name in class_names(item)}
    if isinstance(config, dict):
        own = str(config.get("class_name"))
        return {"function_lambda" if own == "__lambda__" else own} | class_names(list(config.values()))
    return set()


def layers_of(config: Any, path: str) -> Iterator[Layer]:
    """Yield every layer of a configuration, in order, those of inner models too."""
    arguments = config["config"]
    inner = arguments.get("layers") if isinstance(arguments, dict) else arguments
    if not isinstance(inner, list):  # Keras 1 and 2 kept a Sequential's layers as the list alone
        yield _layer(config, path)
        return
    counts: Counter[str] = Counter()
    for layer in inner:
        base = snake_case(str(layer["class_name"]))
        place = f"{path}{'/' if path else ''}layers/{base}"
        yield from layers_of(layer, f"{place}_{counts[base]}" if counts[base] else place)
        counts[base] += 1


def _layer(config: dict[str, Any], path: str) -> Layer:
    arguments = config["config"]
    shape = (config.get("build_config") or {}).get("input_shape") or ()
    calls = len(config.get("inbound_nodes") or ())
    name = str(arguments.get("name") or config.get("name"))
    return Layer(str(config["class_name"]), name, arguments, path, calls, tuple(shape))


def snake_case(name: str) -> str:
    """The name that Keras gives a class's group of weights."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def ends_of(layers: Any) -> list[str]:
    """The names of a model's inputs or outputs: ``[name, 0, 0]`` for one, a list or dict of those for several."""
    if isinstance(layers, dict):
        layers = list(layers.values())
    if not isinstance(layers, list) or not layers:
        return []
    return [str(end[0]) for end in layers] if isinstance(layers[0], list) else [str(layers[0])]
