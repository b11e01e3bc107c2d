"""Cells that need no framework and no time, for the tests of what runs, keeps and shows them.

``python -m tests.support.fake_cells run ...`` is the command with such cells. The environment says which misbehave:
``FAKE_CELLS={"torch-frozen-native-seed0": "kill"}``, or ``kill once``; it may name a file that says so. And
``FAKE_CELLS_LOG`` names a file that gets a line for every worker that loads a framework and every cell that starts.
"""

import errno
import json
import os
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from compare.cells import schedule
from compare.cells.work import Trained
from compare.gap.events import EpochDone, StepDone
from compare.gap.records import Status
from compare.processes import engine, nodes
from compare.processes.local import Local
from tests.support.synthetic_run import make_result
from tests.support.waiting import LONG

LOADED = set()


def install(put=setattr):
    """Have the schedule run these cells, in processes that import no framework."""
    put(schedule, "run_cell", run_cell)
    for module in (schedule, engine):
        put(module, "Local", partial(Local, prepared=False))
    put(engine, "on_cluster", partial(_patiently, engine.on_cluster))
    put(nodes, "PATIENCE", LONG)


def _patiently(on_cluster, *arguments):
    """Make the way to workers that have all the time to leave that a busy machine may want."""
    from compare.processes import cluster

    cluster.FAREWELL = 60
    return on_cluster(*arguments, prepared=False)


def run_cell(cell, task, report):
    """Stand in for `compare.cells.cell.run_cell`: the same numbers every time."""
    if cell.framework not in LOADED:
        _note("load", cell.framework)
    LOADED.add(cell.framework)
    _note("cell", cell.name)
    print("printed by", cell.name, "on card", os.environ["CUDA_VISIBLE_DEVICES"])
    result = make_result(
        cell.policy,
        cell.framework,
        backbone=cell.backbone,
        numerics=cell.numerics,
        seed=cell.seed,
        epochs=task.settings.epochs,
    )
    for row in result.history:
        place = (row.epoch, task.settings.epochs)
        report(StepDone(*place, step=1, steps=1, fit_loss=row.fit["loss"]))
        report(EpochDone(*place, *(row.part(part)["loss"] for part in ("fit", "evaluate", "val"))))
    how, _, once = _asked().get(cell.name, "").partition(" ")
    if not (once and Path(os.environ["FAKE_CELLS_LOG"]).read_text().count(f"cell {cell.name}\n") > 1):
        result = _misbehave(how, result)
    return Trained(result, b"best of " + cell.name.encode())


def _asked():
    asked = os.environ.get("FAKE_CELLS", "{}")
    return json.loads(asked if asked.startswith("{") else Path(asked).read_text())


def _misbehave(how, result):
    if how == "raise":
        raise ValueError("two\nlines")
    if how == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "best.safetensors")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hang":
        _note("hang", os.getpid())
        time.sleep(600)
    if how == "nan":
        reason = "loss is not finite at epoch 1, step 2"
        return replace(result, status=Status.NOT_FINITE, reason=reason, history=(), fresh={})
    return result


def _note(*words):
    if path := os.environ.get("FAKE_CELLS_LOG"):
        with open(path, "a") as log:
            print(os.getpid(), *words, file=log)


if __name__ == "__main__":
    import compare.cli.app
    from tests.support import fake_cells  # as a module that a worker can import, which `__main__` isn't

    fake_cells.install()
    sys.exit(compare.cli.app.main())
