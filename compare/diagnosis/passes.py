"""A person's data as the passes need them: the same batches each time, memory bounded by a limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from compare.diagnosis.arrays import rows
from compare.diagnosis.data import Data, is_function
from compare.diagnosis.dealing import Deal, by_number, hashes, order_of
from compare.diagnosis.looking import batches, look
from compare.diagnosis.side import Batch, Subject


class Passes:
    """A person's data as the passes need them: the same batches each time, memory bounded by a limit.

    Attributes:
        look: what a pass shows.
        twice: whether two passes have the same samples, in any order.
        ordered: whether they have them in the same order.
        replayed: whether a pass can be repeated to the last bit.
        single: whether batches of one sample are passed, too.
        dealt: whether the batches are those of `fit`: their order is always the same, or it was seen.
        shuffled: whether arrays were dealt anew, since they stand in another order than `fit` saw them in.
        prepared: whether the inputs are known to be as the network's weights want them.
    """

    single = True
    prepared = False
    shuffled = False

    def __init__(self, subject: Subject, data: Data, limit: int, seen: Sequence[Sequence[str]] = ()):
        self.subject, self.data, self.limit = subject, data, limit
        self._source: Iterable[Batch] | None = None
        self.look = look(subject, data, 0, limit)
        fixed = data.arrays and not is_function(data.given)
        other = self.look if fixed else look(subject, data, 1, 0)
        again = self.look if fixed or self.look.held is not None else look(subject, data, 0, 0)
        self.replayed = np.array_equal(again.samples, self.look.samples)
        self.twice = np.array_equal(np.sort(other.samples), np.sort(self.look.samples))
        self.ordered = np.array_equal(other.samples, self.look.samples)
        # what can't be repeated is held instead, as much of it as the limit allows
        self.held = (
            self.look.held if self.look.held is not None else None if self.replayed else self.some(limit)
        )
        self.dealt = self._deal(seen) or (self.ordered and not data.arrays)

    def _deal(self, seen: Sequence[Sequence[str]]) -> bool:
        """Deal the samples as they were seen; not where some weren't, or can't be taken by number."""
        if not seen:
            return False
        source = None if is_function(self.data.given) else by_number(self.data.given)
        dealt: Iterable[Batch] | None
        if source is not None:
            order = order_of(seen, hashes(self.subject, *source), self.look.size)
            dealt = None if order is None else Deal(self.subject, order, source[0])
        else:
            dealt = self._deal_held(seen)
        if dealt is None:
            return False
        self.look.batches = [len(batch) for batch in seen]
        self._pass(dealt)
        return True

    def _deal_held(self, seen: Sequence[Sequence[str]]) -> list[Batch] | None:
        held, order = self.look.held, order_of(seen, self.look.inputs.tolist(), self.look.size)
        if held is None or order is None:
            return None
        try:
            return [self.subject.join(held, np.array(batch)) for batch in order]
        except ValueError:
            return None

    @property
    def shuffles(self) -> bool:
        """Whether these are arrays whose order in `fit` nobody saw."""
        return self.data.arrays and not self.dealt and not is_function(self.data.given)

    def anew(self) -> Deal:
        """The samples of arrays dealt to other batches, as `fit` does unless it is told otherwise."""
        order = np.random.default_rng(0).permutation(self.look.size)
        parts = np.split(order, np.cumsum(self.look.batches)[:-1])
        return Deal(self.subject, [part.tolist() for part in parts], partial(rows, self.data.given))

    def shuffle(self, dealt: Deal) -> None:
        """Pass these batches from now on: `fit` shuffled the arrays, which stand in another order."""
        self._pass(dealt)
        self.shuffled = True

    def _pass(self, dealt: Iterable[Batch]) -> None:
        self.held = self.look.held = list(dealt) if self.few else None
        self._source = dealt

    def _once(self) -> Iterator[Batch]:
        return iter(self._source or batches(self.subject, self.data, 0))

    def __iter__(self) -> Iterator[Batch]:
        every = self._once() if self.held is None else iter(self.held)
        return (batch for batch in every if self.single or batch.size > 1)

    def __length_hint__(self) -> int:
        """How many batches a pass has."""
        return len(self.look.batches)

    @property
    def few(self) -> bool:
        """Whether there are so few samples that what the model makes of all of them may be held."""
        return self.look.size <= self.limit

    @property
    def whole(self) -> bool:
        """Whether a pass's batches are all held, so that `some` can be all of them."""
        return self.look.held is not None and self.held is self.look.held and self.few

    def some(self, most: int) -> list[Batch]:
        """Batches spread evenly over a pass, so many samples at most; at least one batch."""
        if self.look.held is not None and self.look.size <= most:
            return self.look.held
        sizes = self.look.batches
        wanted = max(1, int(most // max(sizes)))
        at = set(np.linspace(0, len(sizes) - 1, min(wanted, len(sizes))).round().astype(int).tolist())
        source = self._once() if self.look.held is None else self.look.held
        return [batch for i, batch in enumerate(source) if i in at]
