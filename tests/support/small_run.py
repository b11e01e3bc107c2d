"""A small run for tests: ELPV images, random weights, everything seeded."""

import json
import sys
from pathlib import Path

from compare.cells.cell import run_cell
from compare.spec import Cell, Settings
from compare.weights.sources import resolve

SMALL = Settings(images=64, image_size=48, batch_size=16, epochs=5, explain="nothing")


def train(framework, policy, run_dir, numerics="matched", settings=SMALL, weights="pretext"):
    """Run one cell in this process; return its result."""
    run_dir = Path(run_dir)
    file = run_dir / "weights.safetensors"
    if not file.exists():
        resolve(weights, "resnet50", file)
    return run_cell(Cell(framework, "resnet50", policy, numerics, 0), settings, run_dir, lambda event: None)


if __name__ == "__main__":
    framework, run_dir, *policies = sys.argv[1:]
    print(json.dumps({policy: train(framework, policy, run_dir) for policy in policies}))
