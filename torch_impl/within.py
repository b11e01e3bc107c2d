"""A batch normalisation that a module writes out by hand beside other layers: it normalises what it has made itself.

What it takes the mean of in training is written down where it takes it; that its buffers go there tells that it
normalises with it. Given other statistics, it is told those where it takes its own.
"""

import torch

from . import owned

STATISTICS = frozenset({"mean", "var", "std", "var_mean", "std_mean"})
# relative to a statistic's own size: rounding; a variance divided by n or by n - 1
_CLOSE, _NEAR = 1e-4, 0.1


class Within(owned.Owned):
    """Such a normalisation.

    Attributes:
        axis: of its channels in what it normalises.
        kinds: what it takes of that, in turn: ``mean``, ``variance`` or ``deviation``, several at once in a tuple.
    """

    def __init__(self, module, names, axis, kinds):
        super().__init__(module, *names)
        self.axis, self.kinds = axis, kinds

    @property
    def first(self):
        """The number of the statistic that it takes first of what it normalises."""
        return next(i for i, several in enumerate(self.kinds, 1) if several)

    def fits(self, x):
        """Whether it normalises what reaches the module: what it makes of that, and so it was found."""
        return True

    def rows(self, x):
        """What it normalises with its channels along axis 1."""
        return x.movedim(self.axis, 1)

    def told(self, number, result, mean, variance):
        """What a statistic that it takes, counted from 1, is to be: of these, in its own shape."""
        kinds = self.kinds[number - 1] if number <= len(self.kinds) else ()
        values = {"mean": mean, "variance": variance, "deviation": variance**0.5}
        parts = _parts(result)
        if not kinds:
            return result
        found = [
            torch.as_tensor(values[kind], dtype=part.dtype, device=part.device).reshape(part.shape)
            for kind, part in zip(kinds, parts, strict=True)
        ]
        return tuple(found) if isinstance(result, tuple) else found[0]


def may_be(module):
    """Whether a module keeps two arrays of the same number of values, which may be a mean and a variance."""
    if type(module).__module__.startswith("torch."):
        return False
    sizes = [t.numel() for t in owned.buffers(module).values()]
    return len(sizes) > len(set(sizes))


def find(module, taken, before, after):
    """Find such a normalisation in a module that has been called in training; None where there is none.

    Args:
        module: the module.
        taken: the statistics that the call took in turn: of which tensor, and the result.
        before, after: its buffers by name, around the call.
    """
    for start, (x, result) in enumerate(taken):
        for axis in range(1, x.ndim):
            rows = x.movedim(axis, -1).flatten(0, -2)
            if len(rows) < 2 or "mean" not in _kinds(result, rows):
                continue
            names = _names(before, after, rows)
            kinds = [()] * start + [_kinds(other, rows) for _, other in taken[start:]]
            wanted = {kind for several in kinds for kind in several}
            if names is not None and len(wanted) > 1:
                return Within(module, names, axis, kinds)
    return None


def _parts(result):
    return result if isinstance(result, tuple) else (result,)


def _kinds(result, rows):
    """What a result is of some rows; empty where it is nothing of them."""
    mean, variance = rows.mean(0), rows.var(0, unbiased=False)
    found = []
    for part in _parts(result):
        values = part.reshape(-1)
        for kind, wanted, close in (
            ("mean", mean, _CLOSE), ("variance", variance, _NEAR), ("deviation", variance**0.5, _NEAR)
        ):  # fmt: skip
            if values.shape == wanted.shape and bool(
                (values - wanted).abs().max() <= close * (wanted.abs().max() + 1e-6)
            ):
                found.append(kind)
                break
    return tuple(found) if len(found) == len(_parts(result)) else ()


def _names(before, after, rows):
    """The buffers of mean and spread, and whether that is a deviation: those that went there; by name if none moved."""
    of_size = {name: values for name, values in before.items() if values.numel() == rows.shape[1]}
    flat = {name: values.reshape(-1) for name, values in of_size.items()}
    moved = owned.moved(flat, {name: after[name].reshape(-1) for name in flat}, rows)
    if moved is not None or any(not torch.equal(before[name], after[name]) for name in of_size):
        return moved
    named = owned.named(of_size)
    if named is None and len(of_size) == 2:
        # a mean may be below zero and a variance isn't
        first, second = sorted(of_size, key=lambda name: bool((of_size[name] >= 0).all()))
        return first, second, False
    return named
