"""A run directory with made-up histories and explanations, for the tests of what is shown of a run."""

import json
import math
import random

from compare.frameworks import FRAMEWORKS
from compare.gap.reading import read_result
from compare.spec import DECAY, POLICIES

GAPS = {
    ("frozen-batch-stats", "keras"): (0.045, -0.06),
    ("frozen-batch-stats", "torch"): (0.04, -0.055),
    ("fine-tune", "keras"): (0.4, -0.12),
    ("frozen-drifting", "keras"): (0.06, -0.03),
}
HEALTHY = (-0.07, 0.03)
DROPOUT, MOVED, NOISE = (-0.062, 0.03), (-0.01, 0.002), (0.004, -0.001)
BLOCKS = {"conv2": 3, "conv3": 4, "conv4": 6, "conv5": 3}
DEFAULT = ("frozen-batch-stats", "frozen-drifting", "frozen", "bn-trainable", "features", "fine-tune")


def figures(loss, accuracy):
    """All twelve figures of one pass over 900 samples; what isn't loss or accuracy is only there."""
    rest = dict.fromkeys(("cross_entropy", "brier_score", "precision", "recall", "auc", "prc"), 0.5)
    return {"loss": loss, "accuracy": accuracy, **rest, **dict.fromkeys(("tp", "fp", "tn", "fn"), 225.0)}


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
    explained=True,
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
    best = max(1, epochs - 3)
    explain = {"policy": policy, "backbone": backbone, "decay": DECAY[numerics][FRAMEWORKS[framework].side]}
    entries = [
        make_explanation(history[epoch - 1], reason, **explain)
        for epoch, reason in ([(best, "best"), (epochs, "last")] if best < epochs else [(1, "best and last")])
    ]
    return {
        "framework": framework,
        "backbone": backbone,
        "policy": policy,
        "numerics": numerics,
        "seed": seed,
        "status": status,
        "epochs": epochs,
        "best_epoch": best,
        "history": history,
        "fresh": figures(0.5, 0.7),
    } | ({"explanations": entries} if explained else {})


def make_explanation(row, reason, *, policy, backbone="resnet50", decay=0.99, terms=None):
    """Explain an epoch's row of the history: ``terms`` (name -> loss, accuracy), or the gap made by the likeliest."""
    alike = backbone == "vgg16" or policy in (
        "frozen",
        "features",
        "adapted",
        "fine-tune-bn-frozen",
        "batch-stats",
    )
    pairs = [[row[part][metric] for metric in ("loss", "accuracy")] for part in ("fit", "evaluate")]
    total = [evaluate - fit for fit, evaluate in zip(*pairs, strict=True)]
    own = {"weights-moved": MOVED, "dropout": DROPOUT, "batch-noise": NOISE}
    if alike:
        own |= {"batch-noise": (0.0, 0.0), "dropout": tuple(t - m for t, m in zip(total, MOVED, strict=True))}
    rest = [t - sum(pair[i] for pair in own.values()) for i, t in enumerate(total)]
    own["moving-statistics"] = (0.0, 0.0) if alike else tuple(rest)
    own = terms or own
    levels = {"A": pairs[0]}
    for letter, pair in zip("BCDE", own.values(), strict=False):
        levels[letter] = [a + b for a, b in zip(list(levels.values())[-1], pair, strict=True)]
    levels["P"] = [b + d for b, d in zip(levels["B"], own["batch-noise"], strict=True)]
    moving = own["moving-statistics"]
    return {
        "epoch": row["epoch"],
        "reason": reason,
        "evaluations": {name: {"loss": level[0], "accuracy": level[1]} for name, level in levels.items()},
        "terms": {
            metric: {name: {"value": pair[i], "uncertainty": 0.001} for name, pair in own.items()}
            for i, metric in enumerate(("loss", "accuracy"))
        },
        "stages": {}
        if alike
        else {
            stage: {"loss": share * moving[0], "accuracy": share * moving[1]}
            for stage, share in zip(("stem", *BLOCKS), (0.01, 0.05, 0.1, 0.25, 0.55), strict=True)
        },
        "layers": []
        if alike
        else make_layers(moving[0], decay, 28 * row["epoch"] if POLICIES[policy].updates else None),
    }


def make_layers(size, decay, steps):
    """ResNet50's 53 BN layers, whose drift grows with the depth and the ``size`` of the term."""
    names = ["conv1_bn"]
    for stage, blocks in BLOCKS.items():
        for block in range(1, blocks + 1):
            parts = (1, 2, 0, 3) if block == 1 else (1, 2, 3)
            names += [f"{stage}_block{block}_{part}_bn" for part in parts]
    rows = []
    for depth, name in enumerate(names):
        drift = 4 * abs(size) * (0.1 + depth / len(names)) * (1.3 if name.endswith("3_bn") else 1)
        spread = {"mean_drift": drift, "log_variance_ratio": drift / 2, "kl": drift * drift}
        rows.append(
            {
                "layer": name,
                "stage": name.split("_")[0].replace("conv1", "stem"),
                "channels": 16,
                **{key: {"median": x, "p95": 2 * x, "max": 3 * x} for key, x in spread.items()},
                "decay": decay,
                "steps": steps or 0,
                "steps_needed": math.ceil(math.log(0.05) / math.log(decay)) if steps else None,
            }
        )
    return rows


def make_result(policy, framework, **settings):
    """`make_cell` as the record that it is read as."""
    result, problems = read_result(json.dumps(make_cell(policy, framework, **settings)))
    assert not problems
    return result


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


def make_results(*arguments, **settings):
    """`make_cells` as the records that they are read as."""
    return [read_result(json.dumps(cell))[0] for cell in make_cells(*arguments, **settings)]


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
