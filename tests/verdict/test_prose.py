"""The prose of judgements and answers: the one place that asserts it, whole, against prose.txt.

After a change of the words, ``python -m tests.verdict.test_prose`` writes the file anew: read its difference.
"""

from pathlib import Path

from tests.support.judged import (
    ABOVE,
    BELOW,
    LEVEL,
    answered,
    default_run,
    four_seeds,
    headlined,
    hidden,
    judged,
    lines,
    planted,
    shown_by,
    unexplained,
)
from tests.support.synthetic_run import make_cell, make_cells, make_explanation

PROSE = Path(__file__).parent / "prose.txt"


def closed(explained=2):
    """A gap that the last epoch hasn't any more, with the explanations of the last so many explained epochs."""
    cell = make_cell("fine-tune", "keras", gap=(0.4, -0.1))
    last = cell["history"][-1]
    last["evaluate"] |= {metric: last["fit"][metric] for metric in ("loss", "accuracy")}
    cell["explanations"][1] = make_explanation(last, "last", policy="fine-tune")
    return cell | {"explanations": cell["explanations"][-explained:]}


def closed_by_the_figures():
    cell = unexplained("fine-tune", gap=(0.3, 0.0))
    cell["history"][-1]["evaluate"]["loss"] = cell["history"][-1]["fit"]["loss"] - 0.05
    return cell


def late():
    cell = make_cell("fine-tune", "keras", gap=(-0.1, 0.02))
    last = cell["history"][-1]
    last["evaluate"]["loss"] = last["fit"]["loss"] + 0.3
    cell["explanations"][1] = make_explanation(last, "last", policy="fine-tune")
    return cell


def scattered():
    """Three seeds whose gaps are so far apart that their mean may be chance."""
    cells = [make_cell("fine-tune", "keras", seed=seed) for seed in range(3)]
    for cell, gap in zip(cells, (3.0, 0.1, -0.5), strict=True):
        for epoch in cell["history"]:
            epoch["evaluate"]["loss"] = epoch["fit"]["loss"] + gap
        cell["explanations"][1] = make_explanation(cell["history"][-1], "last", policy="fine-tune")
    return cells


def enough_steps():
    cell = planted("fine-tune", "torch", moving_statistics=(0.5, -0.1))
    for layer in cell["explanations"][0]["layers"]:
        layer["steps"] = layer["steps_needed"]
    return cell


def penalised():
    cell = planted("frozen-batch-stats", moving_statistics=(0.5, -0.1))
    cell["explanations"][0]["penalty"] = 0.0134
    frozen = make_cell("frozen", "keras", epochs=1)
    frozen["history"][-1]["val"]["accuracy"], cell["history"][-1]["val"]["accuracy"] = 0.75, 0.5
    return cell, frozen


def both(policy, keras, torch, **settings):
    return [unexplained(policy, "keras", keras, **settings), unexplained(policy, "torch", torch, **settings)]


SAID = {
    "the largest term": [planted("fine-tune", moving_statistics=(0.97, -0.1), weights_moved=(0.03, 0.0))],
    "a term larger than the gap": [
        planted("frozen-batch-stats", moving_statistics=(0.15, 0.0), dropout=(-0.1, 0.0))
    ],
    "batch noise": [planted("bn-trainable", batch_noise=(0.5, -0.1), moving_statistics=(0.1, 0.0))],
    "dropout": [planted("frozen", dropout=(0.3, -0.05))],
    "weights moved": [planted("frozen", weights_moved=(0.3, 0.05))],
    "re-estimated": [planted("fine-tune-recalibrated", "torch", moving_statistics=(0.5, -0.1))],
    "steps enough": [enough_steps()],
    "hidden": [hidden()],
    "nothing hidden": [planted("frozen-drifting", moving_statistics=(0.01, 0.0), dropout=(-0.15, 0.0))],
    "foreign, no gap": [planted("frozen-batch-stats", dropout=(-0.15, 0.0))],
    "in accuracy alone": [planted("fine-tune", moving_statistics=(0.0, -0.06), dropout=(0.0, 0.01))],
    "in accuracy, the loss better": [
        planted("fine-tune", moving_statistics=(0.05, -0.12), dropout=(-0.14, 0.03))
    ],
    "few images": [shown_by(planted("fine-tune", moving_statistics=(0.05, -0.05)), 40)],
    "closed by the last epoch": [closed()],
    "closed by the last epoch, not explained before": [closed(1)],
    "in the last epoch alone": [late()],
    "three seeds": [make_cell("fine-tune", "keras", seed=seed) for seed in range(3)],
    "three seeds, perhaps chance": scattered(),
    "frameworks differ": [make_cell("fine-tune", name) for name in ("keras", "torch")],
    "frameworks agree": [make_cell("frozen", name) for name in ("keras", "torch")],
    "one framework explained": [unexplained("fine-tune", gap=None), make_cell("fine-tune", "torch")],
    "one framework failed": make_cells(("frozen",), failed=[("frozen", "torch", 0)]),
    "figures alone: foreign": both("frozen-batch-stats", ABOVE, (0.3, -0.05)),
    "figures alone: foreign, no gap": both("frozen-batch-stats", BELOW, BELOW),
    "figures alone: lagging": both("frozen-drifting", ABOVE, ABOVE),
    "figures alone: lagging, matched": both("fine-tune", ABOVE, ABOVE, numerics="matched"),
    "figures alone: lagging in Keras": both("fine-tune", (0.3, 0.0), BELOW),
    "figures alone: the same": both("frozen", ABOVE, LEVEL),
    "figures alone: below": both("frozen", BELOW, BELOW),
    "figures alone: the batch's in both": both("batch-stats", ABOVE, ABOVE),
    "figures alone: re-estimated": both("fine-tune-recalibrated", ABOVE, BELOW),
    "figures alone: accuracy": both("frozen-batch-stats", (0.0, -0.06), (-0.1, -0.06)),
    "figures alone: no number": [unexplained("fine-tune", gap=(float("nan"), 0.03))],
    "figures alone: closed": [closed_by_the_figures()],
    "figures alone: hidden": [
        unexplained("frozen-batch-stats", gap=(0.0, 0.0)),
        unexplained("frozen", gap=(-0.1, 0.04)),
    ],
    "VGG16": [make_cell("frozen", name, backbone="vgg16", gap=BELOW) for name in ("keras", "torch")],
    "VGG16, a gap": both("frozen", ABOVE, BELOW, backbone="vgg16"),
}
ANSWERED = {
    "a default run": default_run(),
    "four seeds, sure": four_seeds(),
    "four seeds, perhaps chance": four_seeds(-8),
    "two causes": [
        planted("fine-tune", moving_statistics=(0.5, 0.0)),
        planted("bn-trainable", batch_noise=(0.5, 0.0)),
    ],
    "hidden in one framework": [hidden(), planted("frozen-drifting", "torch", dropout=(-0.15, 0.0))],
    "nothing parts": [unexplained(p, f, BELOW) for p in ("frozen", "fine-tune") for f in ("keras", "torch")],
    "the last epoch alone": [late()],
    "VGG16": make_cells(("frozen", "fine-tune"), ("keras",), backbone="vgg16", gap=BELOW),
    "a cell failed": make_cells(("frozen", "features"), failed=[("frozen", "torch", 0)]),
    "every cell failed": make_cells(("frozen",), ("keras",), failed=[("frozen", "keras", 0)]),
}


def prose():
    """All of it, as the file has it."""
    parts = ["What is said of a policy", ""]
    for name, cells in SAID.items():
        parts += [f"[{name}]", *lines(cells[0]["policy"], *cells), ""]
    parts += ["[ImageNet's statistics]", *lines("frozen-batch-stats", penalised()[0], weights="imagenet"), ""]
    parts += ["What else there is to say", "", *judged(*penalised()).more, ""]
    parts += ["What a run comes to", ""]
    for name, cells in ANSWERED.items():
        parts += [f"[{name}]", *headlined(*cells), *answered(*cells), ""]
    return "\n".join(parts)


def test_the_prose_is_what_it_was():
    assert prose().splitlines() == PROSE.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    PROSE.write_text(prose(), encoding="utf-8")
