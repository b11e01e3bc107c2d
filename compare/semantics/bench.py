"""What runs in a worker process: one framework, imported once, and its spellings measured one after another."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from compare.frameworks import Framework
from compare.semantics.experiment import measure, reason, refused
from compare.semantics.row import Row
from compare.semantics.spelling import Spelling


class Bench:
    """The spellings of one framework, and how to measure them.

    Args:
        framework: the one.
        spellings: the module with ``SPELLINGS`` and ``epoch_averages``.
        subjects: the module with ``subject`` and ``ORDEALS``.
    """

    def __init__(self, framework: Framework, spellings: ModuleType, subjects: ModuleType) -> None:
        self.framework, self.spellings, self.subjects = framework, spellings, subjects

    def measure(
        self, only: str | None, part: int, parts: int
    ) -> tuple[list[tuple[int, Row]], dict[str, str]]:
        """Measure every ``parts``-th spelling from ``part`` on, or ``only`` the one of that name.

        Returns:
            The rows with their places, and the versions of what computed.
        """
        wanted = [(at, s) for at, s in enumerate(self.spellings.SPELLINGS) if only in (None, s.title)]
        rows = [(at, self.row(spelling)) for at, spelling in wanted[part::parts]]
        if part == 0 and only is None:
            rows += [(len(wanted), row) for row in self.epochs()]
        return rows, self.packages()

    def epochs(self) -> list[Row]:
        """Measure how an epoch's loss is averaged; no rows where the framework has no training loop."""
        with _unwarned():
            return self.spellings.epoch_averages()

    def row(self, spelling: Spelling) -> Row:
        """Measure one spelling."""
        with _unwarned():
            try:
                with self.subjects.subject(spelling) as subject:
                    does, error = measure(subject, spelling.shape)
            except ValueError as refusal:
                does, error = refused(self.subjects.ORDEALS), reason(refusal)
        return Row(spelling.title, spelling.code, does, f"{spelling.note} {error}".strip())

    def packages(self) -> dict[str, str]:
        """Versions of what computes."""
        versions = {name: version.partition("+")[0] for name, version in self.framework.versions().items()}
        return {**versions, "python": ".".join(map(str, sys.version_info[:3]))}


@contextmanager
def _unwarned() -> Iterator[None]:
    """Let frameworks warn of nothing: a spelling may well be one that they warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def measured(
    framework: Framework, only: str | None, part: int, parts: int
) -> tuple[list[tuple[int, Row]], dict[str, str]]:
    """Import a framework with its spellings, and do what `Bench.measure` says."""
    if framework.backend == "tensorflow":
        import tensorflow as tf

        # a fifth of the time went into making graphs faster that run three times
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    names = (f"compare.semantics.{framework.side}_{module}" for module in ("spellings", "subject"))
    return Bench(framework, *map(import_module, names)).measure(only, part, parts)
