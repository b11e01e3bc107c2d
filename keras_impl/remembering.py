"""Remember what objects hold in their attributes, however deep, and put it back: containers, arrays, generators.

The same text in both implementations; it knows no framework.
"""

import hashlib
import operator
import random
import signal
import sys
import threading
from collections import OrderedDict, deque
from contextlib import contextmanager
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, SimpleNamespace

import numpy as np

# libraries whose own objects keep nothing of a person's: they are not looked into
_LIBRARIES = {
    "accelerate", "jax", "jaxlib", "keras", "lightning", "lightning_fabric", "numpy", "pytorch_lightning",
    "tensorflow", "torch", "torchmetrics", "torchvision", "transformers", *sys.stdlib_module_names,
}  # fmt: skip
_CODE = (type, ModuleType, FunctionType, MethodType, BuiltinFunctionType, partial)
# of a longer container the items themselves are remembered, and not what is in them
_LONG = 10_000


class Memory:
    """What some dictionaries of attributes hold, with all that is in it.

    Args:
        roots: the dictionaries.
        known: called with each value; whether somebody else keeps it, so that it is passed over.
    """

    def __init__(self, roots, known):
        self._known, self._kept, self._seen = known, [], set()
        for root in roots:
            self._walk(root)

    def put_back(self):
        """Make everything hold what it held."""
        for value, copy, way in self._kept:
            way.put(value, copy)

    def digest(self):
        """Hash of all that was remembered, as far as it has a text or bytes of its own."""
        digest = hashlib.sha256()
        for _, copy, _ in self._kept:
            digest.update(_text(copy))
        return digest.hexdigest()

    def _walk(self, start):
        left = [start]
        while left:
            value = left.pop()
            if id(value) in self._seen or isinstance(value, _CODE) or self._known(value):
                continue
            self._seen.add(id(value))
            way = _way(value)
            if way is not None:
                self._kept.append((value, way.copy(value), way))
            left += _inside(value)


class Turns:
    """Passes that take turns at a model, each of which finds there what it has written there itself.

    Args:
        memory: of what a pass may write to. What the first one writes is looked for; the others run the same code.
    """

    def __init__(self, memory):
        self._looked_at = [item for item in memory._kept if item[2].same is not None]
        self._written, self._own = {}, {}

    @contextmanager
    def of(self, number):
        """The turn of a pass, by its number."""
        own = self._own.get(number, {})
        for key, (value, before, way) in self._written.items():
            way.put(value, own.get(key, before))
        yield
        if number == 0:
            changed = [item for item in self._looked_at if not item[2].same(*item[:2])]
            self._written |= {id(item[0]): item for item in changed}
        self._own[number] = {key: way.copy(value) for key, (value, _, way) in self._written.items()}


@contextmanager
def undisturbed():
    """Have Ctrl-C wait until the block is through."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Way:
    """How values of a kind are copied, compared with a copy, and made what it is again.

    Without a comparison they are always written, and never looked at for a change.
    """

    def __init__(self, copy, write, same=None):
        self.copy, self.write, self.same = copy, write, same

    def put(self, value, copy):
        if self.same is None or not self.same(value, copy):
            self.write(value, copy)


def _way(value):
    """The way of a value; None where there is nothing to keep."""
    # what a value passes for may be another class than its type, as where somebody watches a dictionary for changes
    kind = type(value), value.__class__
    if kind not in _known:
        framework = all(hasattr(kind[0], name) for name in ("get_state", "set_state", "manual_seed"))
        found = next((way for kinds, way in _WAYS if isinstance(value, kinds)), None)
        _known[kind] = _FRAMEWORK_GENERATOR if found is None and framework else found
    return _known[kind]


def _inside(value):
    """What is to be looked at in a value."""
    if isinstance(value, dict):
        found = [*value.values()]
    elif isinstance(value, list | tuple | set | frozenset | deque):
        found = [*value]
    else:
        library = type(value).__module__.partition(".")[0] in _LIBRARIES
        own = isinstance(value, SimpleNamespace) or (hasattr(value, "__dict__") and not library)
        return [vars(value)] if own else []
    return found if len(found) <= _LONG else []


def _same_items(value, copy):
    """Whether a dictionary has the very items of a list, in its order."""
    keys, values = copy
    return _alike(value, keys) and _alike(value.values(), values)


def _write_items(value, copy):
    # past whatever watches for changes; some dictionaries only pass for one
    kind = next((kind for kind in (OrderedDict, dict) if issubclass(type(value), kind)), type(value))
    kind.clear(value)
    kind.update(value, zip(*copy, strict=True))


def _write_set(value, copy):
    set.clear(value)
    set.update(value, copy)


def _write_deque(value, copy):
    deque.clear(value)
    deque.extend(value, copy)


def _write_array(value, copy):
    if value.flags.writeable:
        value[...] = copy


def _write_bits(value, copy):
    value.bit_generator.state = copy


def _alike(these, those):
    return len(these) == len(those) and all(map(operator.is_, these, those))


def _items(value):
    return list(value), list(value.values())


_WAYS = (
    (dict, _Way(_items, _write_items, _same_items)),
    (list, _Way(list, lambda value, copy: list.__setitem__(value, slice(None), copy), _alike)),
    (deque, _Way(list, _write_deque, _alike)),
    (set, _Way(set, _write_set, lambda value, copy: set(value) == copy)),
    (np.ndarray, _Way(np.copy, _write_array)),
    (np.random.Generator, _Way(lambda value: value.bit_generator.state, _write_bits)),
    (
        np.random.RandomState,
        _Way(lambda value: value.get_state(), lambda value, state: value.set_state(state)),
    ),
    (random.SystemRandom, _Way(lambda value: None, lambda value, copy: None)),
    (random.Random, _Way(lambda value: value.getstate(), lambda value, state: value.setstate(state))),
)
# (type, class) -> the way of such values, once it was looked for
_known: dict[tuple[type, type], _Way | None] = {}
_FRAMEWORK_GENERATOR = _Way(
    lambda value: value.get_state().clone(), lambda value, state: value.set_state(state)
)


def _text(copy, above=()):
    """Bytes that stand for a copy; of what is no plain value, or is around itself, its type alone."""
    if isinstance(copy, np.ndarray) and copy.dtype != object:
        return copy.tobytes()
    if isinstance(copy, dict | list | tuple) and id(copy) not in above:
        above = (*above, id(copy))
        parts = sorted(copy.items(), key=lambda item: str(item[0])) if isinstance(copy, dict) else copy
        return b"(" + b",".join(_text(part, above) for part in parts) + b")"
    if isinstance(copy, bool | int | float | complex | str | bytes | type(None)):
        return repr(copy).encode()
    return type(copy).__name__.encode()
