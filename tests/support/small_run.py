"""A small run for tests: ELPV images, random weights, everything seeded."""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

from compare.cells.cell import run_cell
from compare.cells.settings import Settings
from compare.cells.work import Start, Task
from compare.data import load
from compare.frameworks import FRAMEWORKS
from compare.spec import Cell
from compare.weights.sources import resolve
from tests.support.shallow import cut, shallow

SMALL = Settings(images=64, image_size=48, batch_size=16, epochs=5, explain="nothing")


@cache
def _elpv():
    return load("elpv")


def train(framework, policy, run_dir, numerics="matched", settings=SMALL, weights="pretext"):
    """Run one cell in this process; return its result. Its best weights are then in ``run_dir``."""
    file = Path(run_dir) / "weights.safetensors"
    if not file.exists():
        resolve(weights, "resnet50", file)
        cut(file, FRAMEWORKS[framework].module("resnet50").BLOCKS)
    cell = Cell(framework, "resnet50", policy, numerics, 0)
    trained = run_cell(cell, Task(settings, Start.read(file), _elpv()), lambda event: None)
    if trained.checkpoint is not None:
        (Path(run_dir) / "best.safetensors").write_bytes(trained.checkpoint)
    return trained.result


def results(framework, run_dir, policies):
    """Run a cell of each policy; return their results as JSON has them."""
    with shallow(framework):
        trained = {policy: asdict(train(framework, policy, run_dir)) for policy in policies}
    return json.loads(json.dumps(trained))
