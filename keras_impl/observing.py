"""Every call of a forward pass, whoever's model it is: layers and operations, in order, with what goes in and out.

The same words for both frameworks: a call has a kind, a place, values that go in and come out, arrays and facts.
"""

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import tree

from . import beside, keeping, kinds
from .keeping import replaced

# attributes that hold a share or a size of noise, of Keras's own layers and as people name them
_NOISE = (
    "rate", "stddev", "dropout", "recurrent_dropout", "drop_path_rate", "_dropout", "drop_prob", "drop_rate",
)  # fmt: skip
_ATTENTION = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)


def arrays(model):
    """A model's floating-point arrays, parameters and moving statistics.

    Returns:
        name -> facts: ``shape``, ``trains``, ``alias`` (always None), ``kind`` of the layer that holds it.
    """
    return {
        name: {
            "shape": list(weight.shape),
            "trains": bool(weight.trainable) and any(weight is one for one in model.trainable_variables),
            "alias": None,
            "kind": kind,
            "own": weight.name,
        }
        for name, (weight, kind) in variables(model).items()
    }


def variables(model):
    """name -> the variable and the type of the layer that holds it."""
    found, seen = {}, set()
    for path, layer in paths(model).values():
        for one in kinds.arrays(layer, path):
            if id(one["variable"]) not in seen:
                seen.add(id(one["variable"]))
                found[one["name"]] = (one["variable"], type(layer).__name__)
    return found


def paths(model):
    """id of a layer -> its path in the model and itself, in the model's order; leaves are not looked into."""
    found, used = {id(model): ("", model)}, set()

    def walk(layer, prefix):
        for part in layer._flatten_layers(include_self=False, recursive=False):
            if id(part) in found:
                continue
            path = f"{prefix}{part.name}"
            while path in used:
                path += "'"
            used.add(path)
            found[id(part)] = (path, part)
            if not is_leaf(part):
                walk(part, f"{path}/")

    walk(model, "")
    return found


def is_leaf(layer):
    """Whether a layer is one step of a pass: it holds no others, or they are its own business."""
    return isinstance(layer, kinds.LEAVES) or not layer._flatten_layers(include_self=False, recursive=False)


def observe(model, inputs, training=False):
    """Run a model and record each call of a layer or operation; leave its state as it was.

    Args:
        model: a model.
        inputs: a list of arrays, as the model takes them.
        training: whether layers behave as in training; dropout and other noise are off in any case.

    Returns:
        ``calls``, ``inputs``, ``outputs`` (names of values), ``values`` (name -> array) and ``error``: why the pass
        ended early, or None.
    """
    tensors = [tensor(array) for array in inputs]
    if not model.built:
        model(tensors if len(tensors) > 1 else tensors[0])
    watch = _Watch(model)
    with kept(model), quiet(model):
        names = [watch.name(x) for x in tensors]
        with watch.attached():
            outputs = model(tensors if len(tensors) > 1 else tensors[0], training=training)
        found = [watch.name(x) for x in tree.flatten(outputs)]
    values = {**watch.values, **watch.masks}
    return {"calls": watch.calls, "inputs": names, "outputs": found, "values": values, "error": None}


@dataclass(eq=False)
class _Scope:
    """A call of a layer that holds others.

    Attributes:
        path, layer: of the layer.
        had: names of the values that it has had so far.
        dropped: whether its dropout is written down, once a call.
    """

    path: str
    layer: Any
    had: list
    dropped: bool = False


class _Watch:
    """Sees every call of a layer or operation and writes down what it sees."""

    def __init__(self, model):
        self.calls, self.values, self.masks, self.held, self.names = [], {}, {}, [], {}
        self.paths = paths(model)
        held = [(path, layer) for path, layer in self.paths.values() if not is_leaf(layer)]
        self.own, self.read = {path: kinds.arrays(layer, path) for path, layer in held}, set()
        self.scopes, self.inside, self.mask = [_Scope("", model, [])], False, None

    @contextmanager
    def attached(self):
        """Follow which layer is at work."""
        original = keras.Operation.__call__
        watch = self

        def call(operation, *args, **kwargs):
            return watch.seen(original, operation, args, kwargs)

        keras.Operation.__call__ = call
        try:
            yield
        finally:
            keras.Operation.__call__ = original

    def name(self, value):
        """Give a value a name, and keep a copy."""
        if id(value) in self.names:
            return self.names[id(value)]
        name = f"k{len(self.held)}"
        self.held.append(value)
        self.names[id(value)] = name
        self.values[name] = np.array(keras.ops.convert_to_numpy(value))
        return name

    def _result(self, value, incoming):
        """The name of a result; one that is handed through unchanged gets a new name."""
        if self.names.get(id(value)) in incoming:
            del self.names[id(value)]
        return self.name(value)

    def seen(self, original, operation, args, kwargs):
        if self.inside or any(isinstance(x, keras.KerasTensor) for x in tree.flatten((args, kwargs))):
            return original(operation, *args, **kwargs)
        if isinstance(operation, keras.layers.InputLayer):
            return original(operation, *args, **kwargs)
        if isinstance(operation, keras.layers.Layer) and not is_leaf(operation):
            return self._composite(original, operation, args, kwargs)
        return self._leaf(original, operation, args, kwargs)

    def _composite(self, original, layer, args, kwargs):
        path = self.paths.get(id(layer), (self.scopes[-1].path, None))[0]
        incoming = self._incoming(args, kwargs)
        scope = _Scope(path, layer, list(incoming))
        self.scopes.append(scope)
        try:
            with beside.attention_mask(layer if isinstance(layer, _ATTENTION) else None, self.masked):
                outputs = original(layer, *args, **kwargs)
        finally:
            self.scopes.pop()
        found = [self._known(value, scope) for value in tree.flatten(outputs) if _is_tensor(value)]
        self.scopes[-1].had.extend(name for name in found if name is not None)
        return outputs

    def _leaf(self, original, layer, args, kwargs):
        incoming = self._incoming(args, kwargs)
        fused = []
        self.masked(layer, beside.mask(layer, args, kwargs))
        self.inside = True
        try:
            with beside.activation(layer, fused):
                outputs = original(layer, *args, **kwargs)
        finally:
            self.inside = False
        results = [x for x in tree.flatten(outputs) if _is_tensor(x)]
        self._write(layer, incoming, results, fused, beside.numbers(layer, args))
        return outputs

    def masked(self, layer, mask):
        """Keep what a layer is told to leave out, for the next call that is written down of it."""
        self.mask = None if mask is None else (layer, f"m{len(self.masks)}")
        if self.mask is not None:
            self.masks[self.mask[1]] = mask

    def _mask_of(self, layer):
        """What a call of a layer was told to leave out, as a fact."""
        own = self.mask is not None and self.mask[0] is layer
        return {"mask": self.mask[1]} if own else {}

    def _incoming(self, args, kwargs):
        kwargs = {key: value for key, value in kwargs.items() if "mask" not in key}
        found = [x for x in tree.flatten((args, kwargs)) if _is_tensor(x) and not isinstance(x, np.ndarray)]
        return [name for x in found if (name := self._known(x, self.scopes[-1])) is not None]

    def _known(self, value, scope):
        """The name of a value; one that no call gave was computed in between, from what the scope has had."""
        if id(value) in self.names:
            return self.names[id(value)]
        array = np.array(keras.ops.convert_to_numpy(value))
        for name in self.values:
            if self.values[name].shape == array.shape and np.array_equal(self.values[name], array):
                self.held.append(value)
                self.names[id(value)] = name
                return name
        if hasattr(scope.layer, "operations"):
            return None  # what no layer of a graph gave is a constant
        name = self.name(value)
        kind = "attention" if isinstance(scope.layer, _ATTENTION) else "between"
        facts = {"shape": list(array.shape), "type": type(scope.layer).__name__}
        if kind == "attention":
            facts |= self._mask_of(scope.layer)
            size = getattr(scope.layer, "key_dim", None) or scope.layer.head_dim
            facts["attention_scale"] = float(getattr(scope.layer, "_inverse_sqrt_key_dim", size**-0.5))
            if not scope.dropped:
                facts["dropout_p"] = max(
                    kinds.rate(scope.layer, "_dropout"), kinds.rate(scope.layer, "dropout")
                )
                scope.dropped = True
        sources = list(dict.fromkeys(scope.had))
        if sources:
            own = [] if scope.path in self.read else self.own.get(scope.path, [])
            self.read.add(scope.path)
            self._append(kind, scope.path, sources, [name], _plain(own), facts)
        return name

    def _write(self, layer, incoming, results, fused, numbers):
        path = self.paths.get(id(layer), (f"{self.scopes[-1].path}/{layer.name}".strip("/"), None))[0]
        shapes = [list(self.values[n].shape) for n in incoming]
        out = results[0].shape if results else []
        kind, facts = kinds.describe(layer, shapes, [int(size) for size in out])
        facts |= {"trains": getattr(layer, "trainable", True), "scope": type(self.scopes[-1].layer).__name__}
        facts |= self._mask_of(layer) | numbers
        used = _plain(kinds.arrays(layer, path))
        if isinstance(layer, keras.layers.Layer):
            facts["penalty"] = beside.penalties(layer)
        if fused and fused[0][1] != "linear":
            before, name, options = fused[0]
            middle = self.name(before)
            self._append(
                kind, path, incoming, [middle], used, {**facts, "shape": [int(s) for s in before.shape]}
            )
            self._append(
                name,
                path,
                [middle],
                [self.name(x) for x in results],
                [],
                {**options, "fused": True, "shape": facts["shape"]},
            )
        else:
            self._append(kind, path, incoming, [self._result(x, incoming) for x in results], used, facts)
        self.scopes[-1].had.extend(self.names[id(x)] for x in results)

    def _append(self, kind, place, inputs, outputs, used, facts):
        held = (scope.path for scope in self.scopes if isinstance(scope.layer, _ATTENTION))
        owner = next(held, place)
        self.calls.append(
            {
                "index": len(self.calls),
                "kind": kind,
                "place": place,
                "owner": owner,
                "type": facts.get("type", ""),
                "inputs": inputs,
                "outputs": outputs,
                "arrays": [{**one, "index": None} for one in used],
                "facts": facts,
            }
        )


@contextmanager
def quiet(model):
    """Switch off dropout and other noise, whatever the mode."""
    owners = {}
    for _, layer in paths(model).values():
        cell = getattr(layer, "cell", None)
        sides = [getattr(layer, side, None) for side in ("forward_layer", "backward_layer")]
        owners |= {id(owner): owner for owner in (layer, cell, *sides) if hasattr(owner, "__dict__")}
    with ExitStack() as stack:
        for owner in owners.values():
            rates = {
                key: value for key in _NOISE if isinstance(value := vars(owner).get(key), float) and value
            }
            # what they were stands where `kinds.rate` looks for it
            kept = {f"own_{key}": value for key, value in rates.items()}
            stack.enter_context(replaced(owner, **dict.fromkeys(rates, 0.0), **kept))
        yield


def kept(model):
    """Put arrays back at the end."""
    return keeping.variables_kept([v for v in model.variables if "string" not in str(v.dtype)])


def tensor(array):
    """Copy an array to a tensor, floating-point ones in the default type."""
    array = np.asarray(array)
    return keras.ops.convert_to_tensor(
        array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array
    )


def _plain(used):
    return [{key: value for key, value in one.items() if key != "variable"} for one in used]


def _is_tensor(value):
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, keras.Variable)
