"""What cuts a gradient off in a pass of PyTorch's, and the gradients without that, or with a cut more."""

import torch

from . import observing, stepping

# what a person writes to cut a gradient off
_WORDS = {torch.Tensor.detach: "detach()", torch.detach: "detach()", torch.Tensor.data.__get__: ".data"}  # type: ignore[attr-defined]


class Gradients(stepping.Steps):
    """Gradients of single passes, which leave the model as it was; arguments as of `stepping.Steps`."""

    def without(self, inputs, targets, undone=()):
        """Take no step, and let the gradient through where the pass cuts it off.

        Args:
            inputs, targets: of one step.
            undone: numbers of the cuts that are undone; None undoes all.

        Returns:
            The gradients by name, and the cuts: what a person wrote, the place, and the call before it (or in it).
        """
        self.undone, self.more = undone, {}
        found = self._taken(inputs, targets)
        return found, self.watch.cuts

    def with_cut(self, inputs, targets, call, number):
        """Take no step, and cut the gradient off at one of the tensors that a call takes."""
        self.undone, self.more = (), {call: number}
        return self._taken(inputs, targets)

    def _taken(self, inputs, targets):
        with observing.kept(self.model):
            observing.mode(self.model, True)
            for parameter in self.model.parameters():
                parameter.grad = None
            self._loss(inputs, targets).backward()
            return self._gradients()

    def _watching(self):
        self.watch = _Watch(self.model, self.edits, self.undone, self.more)
        return self.watch


class _Watch(observing.Watch):
    """Sees what cuts a gradient off, too."""

    def __init__(self, model, edits, undone, more):
        super().__init__(model, edits, values=False)
        self.undone, self.more, self.cuts = undone, more, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in _WORDS and torch.is_grad_enabled() and args[0].requires_grad:
            self.cuts.append((_WORDS[func], self.stack[-1], self.count - 1))
            return args[0] if self._through() else super().__torch_function__(func, types, args, kwargs)
        switched = getattr(func, "__name__", "") == "_set_grad_enabled"
        if switched and not args[0] and torch.is_grad_enabled():
            self.cuts.append(("torch.no_grad()", self.stack[-1], self.count))
        if torch.is_grad_enabled() or switched or not self._through():
            return super().__torch_function__(func, types, args, kwargs)
        with torch.enable_grad():
            return super().__torch_function__(func, types, args, kwargs)

    def _through(self):
        """Whether the last cut is undone."""
        return self.undone is None or len(self.cuts) - 1 in self.undone

    def _computed(self, number, name, func, args, kwargs):
        if number in self.more:
            args, kwargs = self._cut(args, kwargs, self.more[number])
        return super()._computed(number, name, func, args, kwargs)

    def _cut(self, args, kwargs, wanted):
        """The arguments with one of the tensors that come from the data detached."""
        seen = [x for x in observing.flat((args, tuple(kwargs.values()))) if self.name(x) is not None]
        one = seen[wanted]

        def without(value):
            if value is one:
                return value.detach()
            if isinstance(value, (tuple, list)):
                return type(value)(without(part) for part in value)
            return value

        return without(args), {key: without(value) for key, value in kwargs.items()}
