"""A run, start to end: data, run directory, weights, cells, table and report."""

from __future__ import annotations

import json
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import platform, python_version
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from compare.cells import estimate, schedule, store
from compare.cells.grid import Grid
from compare.cells.progress import showing
from compare.cells.releases import meanings
from compare.cells.settings import Settings
from compare.cells.work import Start, Task
from compare.frameworks import FRAMEWORKS
from compare.pages.console import Output
from compare.processes import engine as engines
from compare.processes.environment import cores

if TYPE_CHECKING:
    from compare.data import ImageData

NAMED = 10  # images left out that a line names
PACKAGES = ("compare-bn", "keras", "numpy", "tensorflow", "torch", "torchvision")


def run(
    grid: Grid,
    settings: Settings,
    out: Path | None,
    resume: bool,
    engine: engines.Engine,
    as_json: bool = False,
) -> int:
    """Train the cells of a grid, or those that a run has left, and show what came of it.

    Args:
        grid: what to train.
        settings: what the cells share.
        out: the run directory; None takes the next free one in ``runs/``.
        resume: go on with the run in ``out``.
        engine: where the cells run, and how many at a time.
        as_json: print the results as JSON instead of as a table.

    Returns:
        The exit code: 0, 1 if a cell failed, 130 after Ctrl-C.

    Raises:
        InputError: something given can't be used; nothing was written.
        OSError: a file can't be written.
    """
    console = Output(stderr=True)
    opened = None
    try:
        engines.check(engine)
        data = _load(grid, settings, out, resume, console)
        with engines.running(engine, grid.frameworks) as place:
            if place.said:
                _say(console, place.said)
            opened = _open(grid, settings, data, place, out, resume, console)
            with opened:
                return _train(opened, grid, settings, data, place, as_json, console)
    except KeyboardInterrupt:
        _say(console, _stopped(opened, grid))
        return 130


def _load(grid: Grid, settings: Settings, out: Path | None, resume: bool, console: Console) -> ImageData:
    """Load the data set, and check it before the run directory is made."""
    from compare.data import check, load, split

    if out is not None:
        store.check_out(out, resume)
    data = load(settings.data, settings.positive, settings.skip_unreadable)
    if data.skipped:
        _say(console, _left_out(data))
    for note in data.notes:
        _say(console, f"--data {data.name}: {note}")
    for seed in range(grid.seeds):
        check(data, split(data, seed, settings.images)[0], settings.batch_size)
    return data


def _open(
    grid: Grid,
    settings: Settings,
    data: ImageData,
    place: engines.Running,
    out: Path | None,
    resume: bool,
    console: Console,
) -> store.Store:
    """Begin the run, or go on with it."""
    from compare.weights.sources import resolve

    config = configuration(grid, settings, data, place)
    if grid.merged:
        _say(console, grid.merged)
    if settings.release:
        for line in meanings(settings.release, list(grid.policies)):
            _say(console, line)
    if resume and out is not None:
        return store.reopen(out, config, grid.cells)

    def prepare(destination: Path) -> dict:
        facts = resolve(settings.weights, grid.backbone, destination, seed=0)
        _say(console, facts["why"])
        return facts

    return store.create(out or store.next_free(grid.backbone), config, grid.cells, prepare)


def _train(
    opened: store.Store,
    grid: Grid,
    settings: Settings,
    data: ImageData,
    place: engines.Running,
    as_json: bool,
    console: Console,
) -> int:
    left, start = opened.unfinished, Start.read(opened.path / store.WEIGHTS)
    done = len(grid.cells) - len(left)
    expected = estimate.sentence(
        left, settings, _steps(data, settings), start.width, min(place.jobs, place.cores)
    )
    _say(console, f"{opened.path}: {len(grid.cells)} cells, {done} of them finished already; {expected}")
    with showing(console, grid.cells, estimate.costs(left, settings)) as on_event:
        schedule.run_cells(opened, Task(settings, start, data), place.jobs, on_event, place.transport)
    opened.write_tables()

    from compare.report.as_json import record
    from compare.report.load import load_run
    from compare.report.page import write_report
    from compare.report.terminal import print_results

    found, results = load_run(opened.path), Output()
    report = write_report(found)
    if as_json:
        _say(results, json.dumps({"run": str(opened.path), "tables": record(found.tables)}, indent=1))
    else:
        print_results(found.tables, results)
    _say(console if as_json else results, f"report: {report}")
    return int(not all(result.finished for result in opened.ended))


def _steps(data: ImageData, settings: Settings) -> int:
    """Training steps an epoch."""
    from compare.data import check, split, steps_of

    train, _ = split(data, 0, settings.images)
    return steps_of(check(data, train, settings.batch_size), settings.batch_size)


def configuration(grid: Grid, settings: Settings, data: ImageData, place: engines.Running) -> dict:
    """Make what ``config.json`` says of a run, but for the weights, which `store.create` adds."""
    return {
        "command": shlex.join(["compare", *sys.argv[1:]]),
        "backbone": grid.backbone,
        "frameworks": list(grid.frameworks),
        "policies": list(grid.policies),
        "merged": grid.merged,
        "numerics": list(grid.numerics),
        "seeds": grid.seeds,
        "settings": settings.as_dict(),
        "data": {
            "name": data.name,
            "classes": list(data.classes),
            "images": len(data),
            **_counted(data),
            "sha256": data.sha256,
            **({"skipped": list(data.skipped)} if data.skipped else {}),
            **({"notes": list(data.notes)} if data.notes else {}),
        },
        "cells": [cell.name for cell in grid.cells],
        "versions": {"python": python_version(), **{name: _version(name) for name in _packages(grid)}},
        "machine": {"platform": platform(), "cores": cores(), "threads": place.threads},
        "devices": dict(place.devices.called),
    }


def _packages(grid: Grid) -> list[str]:
    """The packages whose versions matter: those that are always here, and what else the run's frameworks need."""
    return list(
        dict.fromkeys([*PACKAGES, *(need for name in grid.frameworks for need in FRAMEWORKS[name].needs)])
    )


def _counted(data: ImageData) -> dict:
    """How many images are positive; of more than two classes, how many there are of each."""
    counts = np.bincount(data.labels, minlength=len(data.classes)).tolist()
    if len(data.classes) == 2:
        return {"positives": counts[1]}
    return {"images_a_class": dict(zip(data.classes, counts, strict=True))}


def _left_out(data: ImageData) -> str:
    """Say how many images can't be read, and which; of many, the first."""
    skipped = data.skipped
    more = f" and {len(skipped) - NAMED} more, which config.json names" if len(skipped) > NAMED else ""
    total = len(data) + len(skipped)
    return f"--skip-unreadable left out {len(skipped)} of {total} images: {', '.join(skipped[:NAMED])}{more}"


def _version(package: str) -> str | None:
    """The installed version; None for this project where it runs from a checkout."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _stopped(opened: store.Store | None, grid: Grid) -> str:
    """Say what Ctrl-C left, and how to go on."""
    if opened is None:
        return "stopped before the first cell"
    done = len(grid.cells) - len(opened.unfinished)
    program = ["python", "-m", "compare"] if Path(sys.argv[0]).name == "__main__.py" else ["compare"]
    options = [argument for argument in sys.argv[1:] if argument != "--resume"]
    if not any(option.partition("=")[0] == "--out" for option in options):
        options += ["--out", str(opened.path)]
    command = shlex.join([*program, *options, "--resume"])
    return f"stopped: {done} of {len(grid.cells)} cells are finished; to go on: {command}"


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
