"""A run directory with made-up histories, for the tests of what is shown of a run."""

import json
import math
import random

GAPS = {
    ("frozen-batch-stats", "keras"): (0.045, -0.06),
    ("frozen-batch-stats", "torch"): (0.04, -0.055),
    ("fine-tune", "keras"): (0.4, -0.12),
    ("frozen-drifting", "keras"): (0.06, -0.03),
}
HEALTHY = (-0.07, 0.03)
DEFAULT = ("frozen-batch-stats", "frozen-drifting", "frozen", "bn-trainable", "features", "fine-tune")


def figures(loss, accuracy):
    """All twelve figures of one pass; what isn't loss or accuracy is only there."""
    rest = ("cross_entropy", "brier_score", "tp", "fp", "tn", "fn", "precision", "recall", "auc", "prc")
    return {"loss": loss, "accuracy": accuracy, **dict.fromkeys(rest, 0.5)}


def make_cell(
    policy,
    framework,
    *,
    backbone="resnet50",
    numerics="native",
    seed=0,
    epochs=8,
    gap=None,
    status="finished",
):
    """A cell whose loss falls from epoch to epoch and whose evaluation lies ``gap`` (loss, accuracy) above fit."""
    draw = random.Random(f"{policy} {framework} {numerics} {seed}")
    gap_loss, gap_accuracy = gap or GAPS.get((policy, framework), HEALTHY)
    history = []
    for epoch in range(1, epochs + 1):
        level = 0.46 + 0.25 * math.exp(-epoch / 3)
        swing = 1 + 0.15 * draw.gauss(0, 1)
        noise = [draw.gauss(0, 0.01) for _ in range(2)]
        fit, accuracy = level + noise[0], 1.1 - level + noise[1]
        history.append(
            {
                "epoch": epoch,
                "learning_rate": 0.001,
                "fit": figures(fit, accuracy),
                "evaluate": figures(fit + gap_loss * swing, accuracy + gap_accuracy * swing),
                "val": figures(fit + 0.05 + max(gap_loss, 0) * swing, accuracy - 0.04),
            }
        )
    return {
        "framework": framework,
        "backbone": backbone,
        "policy": policy,
        "numerics": numerics,
        "seed": seed,
        "status": status,
        "epochs": epochs,
        "best_epoch": epochs,
        "history": history,
        "fresh": figures(0.5, 0.7),
    }


def make_cells(policies=DEFAULT, frameworks=("keras", "torch"), seeds=1, failed=(), **settings):
    """A grid of cells; ``failed`` are the (policy, framework, seed) that broke off after two epochs."""
    cells = []
    for framework in frameworks:
        for policy in policies:
            for seed in range(seeds):
                cell = make_cell(policy, framework, seed=seed, **settings)
                if (policy, framework, seed) in failed:
                    cell |= {
                        "status": "failed: loss is not finite at epoch 3, step 3",
                        "history": cell["history"][:2],
                    }
                cells.append(cell)
    return cells


CONFIG = {
    "command": "compare run --backbone resnet50",
    "settings": {
        "data": "elpv",
        "positive": None,
        "images": 640,
        "image_size": 96,
        "batch_size": 32,
        "epochs": 8,
    },
    "data": {"name": "elpv", "classes": ["functional", "defective"], "images": 2624, "sha256": "1f" * 32},
    "weights": {"source": "pretext", "variant": "v1", "width": 0.25, "sha256": "a0" * 32},
    "versions": {"compare": "0.1.0", "python": "3.11.9", "keras": "3.15.1", "torch": "2.14.1"},
    "machine": {"cores": 2, "memory_gb": 8},
}


def write_run(folder, cells, config=None):
    """Lay cells and configuration out as a run leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG if config is None else config))
    for cell in cells:
        name = "{framework}-{policy}-{numerics}-seed{seed}".format(**cell)
        (folder / "cells" / name).mkdir(parents=True)
        (folder / "cells" / name / "cell.json").write_text(json.dumps(cell))
    return folder


def make_run(folder, config=None, **grid):
    """Write a run directory of `make_cells`."""
    return write_run(folder, make_cells(**grid), config)
