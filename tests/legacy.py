"""What old Keras releases did, as recorded by tools/legacy_keras, and how a framework's training is held against it."""

import json
from pathlib import Path

import numpy as np

from tools.legacy_keras import given

RECORDS = Path(__file__).parent / "legacy_records"
SEMANTICS = Path(__file__).parent.parent / "compare" / "semantics" / "records"
TOLERANCE = 1e-5  # relative to the largest value of a series; float32 over twenty steps comes to 1e-6


def trainings():
    """Every recorded training: release, policy, optimizer."""
    found = []
    for path in sorted(RECORDS.glob("training-*.npz")):
        with np.load(path) as record:
            names = sorted({tuple(name.split("/")[:2]) for name in record})
        found += [(path.stem.removeprefix("training-"), policy, optimizer) for policy, optimizer in names]
    return found


def training(release, policy, optimizer):
    """One recorded training: name -> values, a row a step."""
    prefix = f"{policy}/{optimizer}/"
    with np.load(RECORDS / f"training-{release}.npz") as record:
        return {name.removeprefix(prefix): record[name] for name in record if name.startswith(prefix)}


def departures(release, policy, optimizer, arrays, train, evaluate):
    """Take the recorded steps with a model; return for each series how far it departs from the record.

    Args:
        arrays: returns the model's named arrays.
        train: takes a step on (images, masks, labels) and returns its loss.
        evaluate: returns the loss without dropout.
    """
    found = {}
    for images, masks, labels in given.batches():
        row = {"loss": train(images, masks, labels), "evaluate": evaluate(images, labels)}
        row |= {name: array for name, array in arrays().items() if name.startswith("bn")}
        for name, value in row.items():
            found.setdefault(name, []).append(np.array(value))
    record = training(release, policy, optimizer)
    assert found.keys() == record.keys()
    return {name: _relative(np.array(found[name]), record[name]) for name in record}


def _relative(found, recorded):
    return float(np.abs(found.reshape(recorded.shape) - recorded).max() / np.abs(recorded).max())


def semantics(release):
    """A release's recorded facts: spelling -> row."""
    record = json.loads((SEMANTICS / f"{release}.json").read_text())
    return {row["spelling"]: row for row in record["rows"]}, record


def same(a, b):
    """Whether two dicts of arrays are equal."""
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
