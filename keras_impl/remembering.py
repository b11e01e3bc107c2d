"""Remember what objects hold in their attributes, however deep, and put it back: containers, arrays, generators.

The same text in both implementations; it knows no framework.
"""

import hashlib
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
        for value, copy, put in self._kept:
            put(value, copy)

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
                copy, put = way
                self._kept.append((value, copy(value), put))
            left += _inside(value)


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


def _way(value):
    """How a value is copied and put back; None where there is nothing to keep."""
    for kinds, copy, put in _WAYS:
        if isinstance(value, kinds):
            return copy, put
    if all(hasattr(type(value), name) for name in ("get_state", "set_state", "manual_seed")):
        return lambda generator: generator.get_state().clone(), lambda generator, state: generator.set_state(
            state
        )
    return None


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


def _put_dict(value, copy):
    if not _same([*value.items()], copy):
        # past whatever watches for changes; some dictionaries only pass for one
        kind = next((kind for kind in (OrderedDict, dict) if issubclass(type(value), kind)), type(value))
        kind.clear(value)
        kind.update(value, copy)


def _put_list(value, copy):
    if not _alike(list(value), copy):
        list.__setitem__(value, slice(None), copy)


def _put_set(value, copy):
    if set(value) != copy:
        set.clear(value)
        set.update(value, copy)


def _put_deque(value, copy):
    if not _alike(list(value), copy):
        deque.clear(value)
        deque.extend(value, copy)


def _put_array(value, copy):
    if value.flags.writeable:
        value[...] = copy


def _put_bits(value, copy):
    value.bit_generator.state = copy


def _same(these, those):
    return len(these) == len(those) and all(
        a[0] is b[0] and a[1] is b[1] for a, b in zip(these, those, strict=True)
    )


def _alike(these, those):
    return len(these) == len(those) and all(a is b for a, b in zip(these, those, strict=True))


_WAYS = (
    (dict, lambda value: [*value.items()], _put_dict),
    (list, list, _put_list),
    (deque, list, _put_deque),
    (set, set, _put_set),
    (np.ndarray, np.copy, _put_array),
    (np.random.Generator, lambda value: value.bit_generator.state, _put_bits),
    (np.random.RandomState, lambda value: value.get_state(), lambda value, state: value.set_state(state)),
    (random.SystemRandom, lambda value: None, lambda value, copy: None),
    (random.Random, lambda value: value.getstate(), lambda value, state: value.setstate(state)),
)


def _text(copy):
    """Bytes that stand for a copy; of what is no plain value its type alone."""
    if isinstance(copy, np.ndarray) and copy.dtype != object:
        return copy.tobytes()
    if isinstance(copy, dict):
        copy = sorted(copy.items(), key=lambda item: str(item[0]))
    if isinstance(copy, list | tuple):
        return b"(" + b",".join(map(_text, copy)) + b")"
    if isinstance(copy, bool | int | float | complex | str | bytes | type(None)):
        return repr(copy).encode()
    return type(copy).__name__.encode()
