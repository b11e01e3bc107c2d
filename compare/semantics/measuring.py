"""Measure frameworks, each in worker processes of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from compare.frameworks import FRAMEWORKS
from compare.processes.local import Local
from compare.semantics.bench import measured
from compare.semantics.record import Record
from compare.semantics.row import Row

# tracing makes Keras on TensorFlow slow enough for two processes
PARTS = {"keras": 2}


def measure(
    names: Sequence[str], jobs: int, only: str | None = None, function: Callable = measured
) -> list[Record]:
    """Measure every spelling of the frameworks.

    Args:
        names: of `compare.frameworks.FRAMEWORKS`.
        jobs: how many processes at a time.
        only: a spelling; None takes all.
        function: does it there, `compare.semantics.bench.measured`.

    Raises:
        Exception: what a worker's function raised, as `compare.processes.worker.Worker.call` has it.
    """
    tasks = [(name, part, parts) for name in names for parts in [_parts(name, only)] for part in range(parts)]
    rows: dict[str, list[tuple[int, Row]]] = {name: [] for name in names}
    packages: dict[str, dict[str, str]] = {}
    running: dict[Any, str] = {}
    pool = Local(threads=1, prepared=False)  # what a spelling does is asked of the framework as it comes
    try:
        while tasks or running:
            while tasks and len(running) < jobs:
                name, part, parts = tasks.pop(0)
                worker = pool.start(FRAMEWORKS[name])
                running[worker] = name
                pool.send(worker, function, FRAMEWORKS[name], only, part, parts)
            for worker, answer in pool.events():
                if answer.kind != "returned":
                    raise answer.value
                name = running.pop(worker)
                found, packages[name] = answer.value
                rows[name] += found
                pool.stop(worker)
    finally:
        pool.close()
    return [_record(name, rows[name], packages[name]) for name in names]


def _parts(name: str, only: str | None) -> int:
    return PARTS.get(name, 1) if only is None else 1


def _record(name: str, rows: list[tuple[int, Row]], packages: dict[str, str]) -> Record:
    package, _, backend = name.partition("-")
    release = f"{package}-{packages[package]}" + (f"-{backend}" if backend else "")
    ordered = [row for _, row in sorted(rows, key=lambda place: place[0])]
    return Record(release, packages, date.today().isoformat(), ordered, measured=True)
