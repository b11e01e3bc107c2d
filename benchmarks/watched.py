"""A training beside its callback: what each epoch took, and how much of it the callback itself."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Spent:
    """Seconds on the clock, and of all processors."""

    seconds: float
    processor: float

    @staticmethod
    def now() -> Spent:
        """The clocks as they stand."""
        return Spent(time.perf_counter(), time.process_time())

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.seconds + other.seconds, self.processor + other.processor)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.seconds - other.seconds, self.processor - other.processor)

    def of(self, other: Spent) -> Spent:
        """The share of another, of both clocks."""
        return Spent(self.seconds / other.seconds, self.processor / other.processor)


NOTHING = Spent(0.0, 0.0)
# the last of ten epochs, which is the one that is watched
LAST = 9


@dataclass
class Trained:
    """A training: what its epochs took, what its callback took of that, and the figures that it gave.

    Attributes:
        figures: what the training reports.
        epochs: of each epoch, and at the end of what came after the last one.
        owns: the callback's own part of each.
    """

    figures: Any = None
    epochs: list[Spent] = field(default_factory=list)
    owns: list[Spent] = field(default_factory=list)
    _start: Spent = field(default_factory=Spent.now)
    _own: Spent = NOTHING
    _inside: bool = False

    def begin(self) -> None:
        """Training begins: what was before doesn't count."""
        self._start = Spent.now()

    def epoch(self) -> None:
        """An epoch is over."""
        now = Spent.now()
        self.epochs.append(now - self._start)
        self.owns.append(self._own)
        self._start, self._own = now, NOTHING

    def own(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose time counts as the callback's; one that another calls counts once."""

        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            if self._inside:
                return function(*args, **options)
            self._inside, start = True, Spent.now()
            try:
                return function(*args, **options)
            finally:
                self._inside = False
                self._own += Spent.now() - start

        return timed

    def watching(self, callback: Any) -> Any:
        """A callback whose own methods count as its own time."""
        for name, method in vars(type(callback)).items():
            if name.startswith("on_") and callable(method):
                setattr(callback, name, self.own(getattr(callback, name)))
        return callback

    def whole(self) -> Spent:
        """All of it."""
        return sum(self.epochs, NOTHING)

    def added(self) -> Spent:
        """What the callback took of all, beside what the training would have taken without it."""
        own, whole = sum(self.owns, NOTHING), self.whole()
        return own.of(whole - own)

    def added_to_others(self) -> Spent:
        """The same of all epochs before the last one."""
        own, whole = sum(self.owns[:LAST], NOTHING), sum(self.epochs[:LAST], NOTHING)
        return own.of(whole - own)
