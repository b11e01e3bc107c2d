"""Cells whose gap is planted, and what is made of them."""

import json

from compare.gap.reading import read_result
from compare.report.answer import answer, headlines
from compare.report.rows import sentences, tabulate
from compare.spec import DECAY, Behaviour
from compare.verdict.figures import Figures
from compare.words import plain
from tests.support.synthetic_run import make_cell, make_cells, make_explanation

ABOVE, BELOW, LEVEL = (0.3, -0.08), (-0.07, 0.03), (0.005, 0.0)
NONE = (0.0, 0.0)
# fine-tuning in Keras
LAGGING = Behaviour("batch", True, "moving", affine_trains=True, body_trains=True, decay=0.99)


def table_of(*cells, weights="pretext"):
    """The one table that the cells make."""
    results = [read_result(json.dumps(cell))[0] for cell in cells]
    (table,) = tabulate({"weights": {"source": weights}}, results)
    return table


def planted(policy, framework="keras", numerics="native", **terms):
    """A cell of one epoch whose gap is made of the given terms: name with underscores -> (loss, accuracy)."""
    own = {"weights-moved": NONE, "dropout": NONE, "batch-noise": NONE, "moving-statistics": NONE}
    own |= {name.replace("_", "-"): pair for name, pair in terms.items()}
    total = tuple(sum(pair[i] for pair in own.values()) for i in range(2))
    cell = make_cell(policy, framework, epochs=1, gap=(0.0, 0.0), numerics=numerics)
    (row,) = cell["history"]
    for i, metric in enumerate(("loss", "accuracy")):
        row["evaluate"][metric] = row["fit"][metric] + total[i]
    decay = DECAY[numerics][framework]
    return cell | {
        "explanations": [make_explanation(row, "best and last", policy=policy, decay=decay, terms=own)]
    }


def shown_by(cell, samples):
    """The same cell with epochs of that many samples."""
    for epoch in cell["history"]:
        for part in ("fit", "evaluate", "val"):
            epoch[part] |= dict.fromkeys(("tp", "fp", "tn", "fn"), samples / 4)
    return cell


def judged(*cells, **group):
    """The judgement on the first of the cells."""
    table = table_of(*cells, **group)
    return table.rows[cells[0]["policy"]][cells[0]["framework"]].judgement


def unexplained(policy, framework="keras", gap=ABOVE, **settings):
    """A cell without explanations."""
    return make_cell(policy, framework, gap=gap, explained=False, **settings)


def sentence(*cells, **group):
    """The sentence on the first of the cells."""
    return plain(judged(*cells, **group).sentence)


def lines(policy, *cells, **group):
    """What is said of a policy in all its frameworks."""
    return [plain(spans) for spans in sentences(table_of(*cells, **group).rows[policy])]


def answered(*cells, **group):
    """The sentences that the cells come to."""
    return answer(table_of(*cells, **group))


def headlined(*cells, **group):
    """The sentences that stand first."""
    return [
        " ".join(filter(None, (plain(line.says), line.why))) for line in headlines(table_of(*cells, **group))
    ]


def figures(loss=0.0, accuracy=None, samples=None, last=None):
    """The figures of one training whose gaps are these over the epochs, and in the last one where none is given."""
    own = {"loss": loss} | ({} if accuracy is None else {"accuracy": accuracy})
    gaps = {metric: {0: gap} for metric, gap in own.items()}
    return Figures(gaps, gaps | {m: {0: gap} for m, gap in (last or {}).items()}, samples)


def default_run():
    cells = [
        make_cell("frozen-batch-stats", "keras", gap=ABOVE),
        make_cell("frozen-batch-stats", "torch", gap=ABOVE),
        make_cell("frozen", "keras", gap=BELOW),
        make_cell("frozen", "torch", gap=BELOW),
        make_cell("fine-tune", "keras", gap=ABOVE),
        make_cell("fine-tune", "torch", gap=BELOW),
    ]
    for cell, accuracy in zip(cells, (0.7, 0.71, 0.72, 0.74, 0.6, 0.5), strict=True):
        cell["history"][-1]["val"]["accuracy"] = accuracy
    return cells


def four_seeds(last=0.0):
    """Four seeds in which the frameworks differ, and whether they do surely."""
    cells = make_cells(("fine-tune",), seeds=4)
    gaps = {"keras": (0.5, 0.52, 0.54, 0.49), "torch": (-0.01, 0.02, 0.0, -0.02)}
    for cell in cells:
        for epoch in cell["history"]:
            epoch["evaluate"]["loss"] = epoch["fit"]["loss"] + gaps[cell["framework"]][cell["seed"]]
    cells[0]["history"][-1]["evaluate"]["loss"] += last
    return cells


def hidden(framework="keras"):
    return planted("frozen-drifting", framework, moving_statistics=(0.1, 0.0), dropout=(-0.15, 0.0))
