"""What old Keras releases did, as recorded by tools/legacy_keras, and how a framework's training is held against it."""

import json
from pathlib import Path

import h5py
import numpy as np

from compare.weights.shapes import shapes
from compare.weights.spellings import OLD_LAYERS
from tools.legacy_keras import given

RECORDS = Path(__file__).parent / "legacy_records"
SEMANTICS = Path(__file__).parents[2] / "compare" / "semantics" / "records"
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
    return {name: departure(np.array(found[name]), record[name]) for name in record}


def departure(found, recorded):
    """The largest difference, relative to the largest value recorded."""
    return float(np.abs(found.reshape(recorded.shape) - recorded).max() / np.abs(recorded).max())


def semantics(release):
    """A release's recorded facts: spelling -> row."""
    record = json.loads((SEMANTICS / f"{release}.json").read_text())
    return {row["spelling"]: row for row in record["rows"]}, record


def same(a, b):
    """Whether two dicts of arrays are equal."""
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


STRUCTURES = {  # release -> the variant that its ResNet50 is
    **dict.fromkeys(("keras-1.2.2", "keras-2.0.0", "keras-2.1.6"), "v1-old-unpadded"),
    **dict.fromkeys(("keras-2.0.9", "keras-2.1.2", "keras-2.1.3"), "v1-old-same"),
    **dict.fromkeys(("keras-2.2.4", "keras-2.3.1"), "v1-old"),
    **dict.fromkeys(("tf.keras-1.15", "tf.keras-2.0", "tf-keras-2.21"), "v1"),
}
WIDTH = 1 / 16


def resnet50(release):
    """Features that a release's own narrow ResNet50 made of `given.image`, and what it wrote into a file of weights."""
    with np.load(RECORDS / f"resnet50-{release}.npz") as record:
        return record["features"], json.loads(str(record["written"]))


def resnet50_arrays(release):
    """The given weights of a release's ResNet50, by today's names: each layer's are drawn by its name then."""
    table = shapes("resnet50", "v1", WIDTH)
    then = {layer: name for name, layer in OLD_LAYERS.items()} if STRUCTURES[release] != "v1" else {}
    arrays = {}
    for layer in {name.rpartition("/")[0]: None for name in table}:
        names = [name for name in table if name.startswith(f"{layer}/")]
        values = given.layer_weights(then.get(layer, layer), [table[name] for name in names])
        arrays |= dict(zip(names, values, strict=True))
    return arrays


def write_h5(path, release, whole=False):
    """Write the given weights as a release's ``save_weights`` did, or its ``save``, configuration and all."""
    arrays, (_, written) = resnet50_arrays(release), resnet50(release)
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole else file
        if whole:
            with np.load(RECORDS / f"resnet50-{release}.npz") as record:
                file.attrs["model_config"] = str(record["config"]).encode()
        for place in (file, group):
            for name in ("keras_version", "backend"):
                if name in written:
                    place.attrs[name] = written[name].encode()
        group.attrs["layer_names"] = [layer.encode() for layer, _ in written["layers"]]
        for layer, names in written["layers"]:
            group.create_group(layer).attrs["weight_names"] = [name.encode() for name in names]
            today = [name for name in arrays if name.startswith(f"{OLD_LAYERS.get(layer, layer)}/")]
            for name, of in zip(names, today, strict=True):
                group[layer][name] = arrays[of]
    return path
