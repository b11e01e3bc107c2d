"""How a file's owner runs it: what a framework's own loader has to be told of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compare.weights import tensors
from compare.weights.formats import Container, sniff
from compare.weights.network import Network
from compare.weights.source import Format, Source
from compare.weights.spellings import Names, written

FORMS = {
    Format.KERAS: "keras",
    Format.WEIGHTS_H5: "weights.h5",
    Format.STATE_DICT: "pickle",
    Format.SAFETENSORS: "safetensors",
    Format.NPZ: "npz",
}


@dataclass(frozen=True)
class Original:
    """Arguments of ``files.original`` of either framework.

    Attributes:
        paths: the file, or the parts that it names.
        form: what it is, in that function's words.
        layout: ``torchvision`` or ``project``: whose model its weights fit.
        keys: key in the file -> key in that model's state dict, of a PyTorch file; of a Keras file with old names,
            layer -> name in the file.
        where: keys that lead to the state dict in a checkpoint.
    """

    paths: tuple[Path, ...]
    form: str
    layout: str
    keys: dict[str, str]
    where: tuple[str | int, ...]


def original(source: Source, network: Network) -> Original | None:
    """Say how a file's owner runs it; None for named arrays, which no framework loads by itself."""
    if not source.names.torch:
        if source.format not in (Format.KERAS, Format.WEIGHTS_H5, Format.LEGACY_H5):
            return None
        form = FORMS.get(source.format) or ("h5" if source.whole else "legacy")
        old = source.names is Names.OLD and form == "legacy"
        names = written("applications-old", network.backbone, [], []) if old else {}
        return Original((source.path,), form, "applications", names, ())
    layout = "project" if source.names is Names.PROJECT else "torchvision"
    index = sniff(source.path) is Container.INDEX
    paths = tuple(tensors.parts(source.path)) if index else (source.path,)
    form = FORMS[source.format]
    if index and sniff(paths[0]) is not Container.SAFETENSORS:
        form = "pickle"
    return Original(paths, form, layout, _keys(source, network, layout), source.where)


def _keys(source: Source, network: Network, layout: str) -> dict[str, str]:
    """Key in the file -> key in the state dict of the model that the weights go into."""
    top = [layer.name for layer in network.top]
    layers = list(dict.fromkeys(name.rpartition("/")[0] for name in source.arrays))
    names = written(layout, network.backbone, layers, top or ["none"])
    if layout == "torchvision":
        head = "fc" if network.backbone == "resnet50" else "classifier"
        names |= {layer: f"{head}.{number}" for number, layer in enumerate(top)}
    keys = {}
    for name, key in source.keys.items():
        layer = name.rpartition("/")[0]
        keys[key] = f"{names.get(layer, layer)}.{key.rpartition('.')[2]}"
    return keys
