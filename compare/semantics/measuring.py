"""Measure frameworks, each in worker processes of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from multiprocessing.connection import Connection, wait
from pathlib import Path

from compare.processes.worker import Worker
from compare.semantics.bench import load
from compare.semantics.record import Record, Row

# tracing makes Keras on TensorFlow slow enough for two processes
PARTS = {"keras": 2}

Task = tuple[str, int, int]


def measure(names: Sequence[str], jobs: int, only: str | None = None, make: Callable = load) -> list[Record]:
    """Measure every spelling of the frameworks.

    Args:
        names: of `compare.frameworks.FRAMEWORKS`.
        jobs: how many processes at a time.
        only: a spelling; None takes all.
        make: makes what a worker asks, `compare.semantics.bench.load`.

    Raises:
        RuntimeError: a worker failed.
    """
    tasks = [(name, part, parts) for name in names for parts in [_parts(name, only)] for part in range(parts)]
    rows: dict[str, list[tuple[int, Row]]] = {name: [] for name in names}
    packages: dict[str, dict[str, str]] = {}
    running: dict[Connection, tuple[str, Worker]] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            while tasks or running:
                while tasks and len(running) < jobs:
                    worker = _start(tasks[0], only, Path(folder), make)
                    running[worker.connection] = tasks.pop(0)[0], worker
                for connection in wait(list(running)):
                    name, worker = running[connection]  # type: ignore[index]
                    measured, packages[name] = worker.receive()
                    rows[name] += measured
                    del running[connection]  # type: ignore[arg-type]
                    worker.stop()
        finally:
            for _, worker in running.values():
                worker.stop()
    return [_record(name, rows[name], packages[name]) for name in names]


def _parts(name: str, only: str | None) -> int:
    return PARTS.get(name, 1) if only is None else 1


def _start(task: Task, only: str | None, folder: Path, make: Callable) -> Worker:
    name, part, parts = task
    worker = Worker(name, "float32", 1, folder / f"{name}-{part}.txt", make)
    worker.send("measure", only, part, parts)
    return worker


def _record(name: str, rows: list[tuple[int, Row]], packages: dict[str, str]) -> Record:
    package, _, backend = name.partition("-")
    release = f"{package}-{packages[package]}" + (f"-{backend}" if backend else "")
    ordered = [row for _, row in sorted(rows, key=lambda place: place[0])]
    return Record(release, packages, date.today().isoformat(), ordered, measured=True)
