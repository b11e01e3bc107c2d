"""The record of all that a diagnosis has measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from compare.diagnosis.probes import Probed
from compare.diagnosis.refusing import said
from compare.diagnosis.side import Facts, Layer, Pass, Seen, Statistics
from compare.spec import InputError


@dataclass
class Measured:
    """All that was measured.

    Attributes:
        layers, facts: what the layers do, what the framework knows.
        probed: what the probes showed.
        switches: those that are there, without ``normalisation``'s positions.
        evaluate: an evaluation of fit's data; elsewhere: of ``evaluate_data``, None without.
        sample: an evaluation of some of fit's data with its outputs, where there are too many to keep them all.
        fit: a pass as in training, nothing updated.
        standing: set of switches as in training, normalisation else with the population's -> pass.
        orders: losses of passes as in training, of other orders of the samples.
        population, averaged: what normalisation calls get, by call: the population's, the mean of the batches'.
        under_averages: a pass with the latter by layer; by_call: by call, where a layer is called more than once.
        unshifted: the same of batches' statistics that were taken with all other switches off, where those switches
            change what reaches normalisation and that matters.
        mixed: losses of fit's batches and of batches of the same size dealt anew, both as in training.
        remixed: what reached the normalisation calls in the latter.
        restacked: an evaluation of batches dealt anew.
        uncompiled: an evaluation of the same without the compiler, where what that makes of it differs by much.
        nonfinite: first layer whose output isn't finite.
        dropped: batches of one sample that no training takes.
        unskilled: the loss of some samples with parts of others, where no pass's steps tell what that gives.
        skipped: why something couldn't be measured, a sentence each.
    """

    layers: list[Layer]
    facts: Facts
    probed: Probed
    switches: frozenset[str]
    evaluate: Pass
    elsewhere: Pass | None = None
    sample: Pass | None = None
    fit: Pass | None = None
    standing: dict[frozenset[str], Pass] = field(default_factory=dict)
    orders: list[float] = field(default_factory=list)
    population: Statistics | None = None
    averaged: Statistics | None = None
    under_averages: Pass | None = None
    by_call: Pass | None = None
    unshifted: Pass | None = None
    mixed: tuple[float, float] | None = None
    remixed: dict[str, Seen] = field(default_factory=dict)
    restacked: float | None = None
    uncompiled: Pass | None = None
    nonfinite: str | None = None
    dropped: int = 0
    unskilled: float | None = None
    skipped: list[str] = field(default_factory=list)

    @property
    def seen(self) -> dict[str, Seen]:
        """What reached the normalisation calls in the pass as in training."""
        return {} if self.fit is None else self.fit.seen

    def attempt(self, function: Callable[[], Any]) -> Any:
        """A measurement that not every model allows: None, and a note why."""
        try:
            return function()
        except InputError:
            raise
        except ValueError as error:
            self.skipped.append(said(error))
            return None

    def dealing(self, function: Callable[[], Any]) -> Any:
        """A measurement on batches dealt anew: None where they can't be, and a note why.

        The model took the batches as they came, so that what it says to others is that they don't fit together.
        """
        try:
            return function()
        except Exception as error:
            why = said(error).rstrip(".")
            self.skipped.append(f"The samples couldn't be dealt to other batches: {why}.")
            return None
