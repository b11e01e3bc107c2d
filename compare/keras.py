"""Diagnose a Keras model in training: ``model.fit(..., callbacks=[compare.keras.Diagnose(train_ds)])``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import keras

from compare.diagnosis.data import Data
from compare.diagnosis.diagnosis import diagnose
from compare.diagnosis.records import Diagnosis
from compare.spec import InputError

__all__ = ["Diagnose"]

# bytes of an epoch's batches that are held; of more the data are read once more instead
HELD = 2**28


class Diagnose(keras.callbacks.Callback):
    """Diagnose the model at the end of an epoch. ``fit``'s own figures are the same to the last bit with it.

    The batches of that epoch are recorded as `fit` sees them, with the weights that ``class_weight`` gives them: a
    network on batch statistics may know its batches by heart, and another order would tell another story.

    Args:
        data: what `fit` sees, as `compare.diagnose` takes it.
        at: ``last``, or the number of an epoch, from 1.
        evaluate_data: what validation sees; its figures are looked at only where it is given.
        verbose: whether the diagnosis is printed.
        options: of `compare.diagnose`, such as ``batch_size``, ``steps`` and ``limit``.

    Attributes:
        diagnosis: the answer; None before there is one.

    Raises:
        ValueError: ``at`` is neither ``last`` nor a number from 1.
    """

    def __init__(
        self,
        data: Any,
        at: str | int = "last",
        evaluate_data: Any = None,
        verbose: bool = True,
        **options: Any,
    ) -> None:
        super().__init__()
        if at != "last" and not (isinstance(at, int) and at >= 1):
            raise ValueError(f"at is {at!r}; it must be last or the number of an epoch, from 1")
        self.data, self.at, self.evaluate_data = data, at, evaluate_data
        self.verbose, self.options = verbose, options
        self.diagnosis: Diagnosis | None = None
        self._batches: list[Any] | None = None
        self._logs: dict[str, float] = {}
        self._tried = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Forget an earlier training."""
        self.diagnosis, self._batches, self._logs, self._tried = None, None, {}, False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Have the batches recorded, where this is the epoch."""
        if self._is_due(epoch):
            self._batches = []
            self._function = self.model.train_function
            self.model.train_function = _Recording(self._function, self._batches)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Diagnose, where this is the epoch."""
        self._logs = dict(logs or {})
        if self._is_due(epoch):
            self.model.train_function = self._function
            self._diagnose()

    def on_train_end(self, logs: Any = None) -> None:
        """Diagnose where training has stopped before the epoch that was meant, by an early stop for one."""
        if self.at == "last" and not self._tried and self._logs:
            self._logs = dict(self.model.history.history)  # an early stop may restore another epoch's weights
            self._diagnose()

    def _is_due(self, epoch: int) -> bool:
        last = self.params.get("epochs") if self.at == "last" else self.at
        return last is not None and epoch + 1 == last

    def _diagnose(self) -> None:
        self._tried = True
        evaluate = self.evaluate_data
        figures = {n: v for n, v in self._logs.items() if evaluate is not None or not n.startswith("val_")}
        data = self.data
        if self._batches:
            data = list(self._batches)
            if evaluate is None and _parts(data[0]) == 3 and _parts_of(self.data) == 2:
                evaluate = [batch[:2] for batch in data]  # the weights are fit's alone, by class_weight
        known = figures if figures else None
        self._batches = None
        try:
            self.diagnosis = diagnose(
                self.model, data, evaluate_data=evaluate, reported=known, **self.options
            )
        except InputError as error:  # a training must not end for it
            print(f"compare.keras.Diagnose: {error}", file=sys.stderr)
            return
        if self.verbose:
            print(self.diagnosis)


class _Recording:
    """A train function that keeps a copy of every batch that passes; past `HELD` bytes it keeps none.

    Each backend hands its train function the batches in its own way: TensorFlow in an iterator of its own kind, JAX
    in any iterator, behind the state; PyTorch in a list. They are handed on in the same way, so that the same
    compiled function runs on the same values.
    """

    def __init__(self, function: Any, kept: list[Any]) -> None:
        self.function, self.kept, self.bytes, self.ended = function, kept, 0, False
        self.known: tuple[Any, Any] | None = None

    def __call__(self, *given: Any) -> Any:
        *state, data = given
        if isinstance(data, list):
            for batch in data:
                self._keep(batch)
            return self.function(*given)
        if self.known is None or self.known[0] is not data:
            self.known = (data, self._passing(data))
        return self.function(*state, self.known[1])

    def _passing(self, iterator: Any) -> Any:
        spec = getattr(iterator, "element_spec", None)
        if spec is None:
            return self._pass(iterator)
        data = sys.modules["tensorflow"].data
        # nothing may be taken before its step comes: where data go on after the epoch the next one would lack it
        options = data.Options()
        options.experimental_optimization.inject_prefetch = False
        passing = data.Dataset.from_generator(lambda: self._pass(iterator), output_signature=spec)
        return iter(passing.with_options(options))

    def _pass(self, iterator: Any) -> Iterator[Any]:
        for batch in iterator:
            self._keep(batch)
            yield batch

    def _keep(self, batch: Any) -> None:
        if self.ended:
            return
        try:
            arrays = keras.tree.map_structure(_array, batch)
            self.bytes += sum(leaf.nbytes for leaf in keras.tree.flatten(arrays) if leaf is not None)
            self.ended = self.bytes > HELD
        except Exception:  # a kind of tensor that has no array; a training must not end for it
            self.ended = True
        if self.ended:
            self.kept.clear()
        else:
            self.kept.append(arrays)


def _array(leaf: Any) -> Any:
    return None if leaf is None else keras.ops.convert_to_numpy(leaf)


def _parts(batch: Any) -> int:
    """How many parts a batch has: inputs, targets, weights; a bare one is inputs alone."""
    return len(batch) if isinstance(batch, tuple | list) else 1


def _parts_of(data: Any) -> int:
    """How many parts a person's data give, by their first batch; 0 where there is none to look at."""
    try:
        return _parts(next(iter(Data(data, "data", None, 1)()), ()))
    except Exception:  # whatever is wrong with them, the diagnosis says it
        return 0
