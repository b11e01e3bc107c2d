"""Any file of weights as arrays by neutral name, and what it says of its network. Imports neither framework.

The one reader of `compare port`, `run --weights` and `parity`. Nothing in a file is executed. Since a damaged file
can make a library hang, crash or ask for all memory, the reading is done by a process that may be ended (`guard`).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from compare.spec import InputError
from compare.weights import guard, hdf5, pickles, tensors
from compare.weights.configuration import OLD_EPSILON, Configured, configured
from compare.weights.formats import Container, sniff
from compare.weights.network import (
    Arrays,
    Chain,
    Told,
    backbone_table,
    chain,
    channels_of,
    check,
    kernels_of,
    listed,
    square,
)
from compare.weights.recognise import recognise
from compare.weights.spellings import OLD_LAYERS, Names, Spelled, rows_to_keras, spelled, to_neutral

# where what names and arrays don't say is kept in a file that this project writes
FACTS = "facts"
MOVED = ("a ResNet50", "a VGG16")
# what a checkpoint calls the state dict that is to be taken, the likeliest first
_WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "backbone"),
    *("encoder", "ema", "model_ema", "ema_state_dict", "state_dict_ema", "teacher", "student"),
)


class Format(Enum):
    """The format of a file."""

    KERAS = "Keras .keras"
    WEIGHTS_H5 = "Keras .weights.h5"
    LEGACY_H5 = "Keras legacy .h5"
    STATE_DICT = "PyTorch state dict"
    SAFETENSORS = ".safetensors"
    NPZ = ".npz"


class Beside(Enum):
    """What lies in a file that is no weight."""

    OPTIMIZER = "state of an optimizer; training goes on from a fresh one"
    IDLE = "does nothing when the model is evaluated"
    OTHER = "which is no weight"


@dataclass(frozen=True)
class Source:
    """A file that was read.

    Attributes:
        arrays: by neutral name, in the order of the model where the file keeps one; of a network that isn't
            known, by the names that the file has.
        told: what the file says of its network.
        backbone: ``resnet50`` or ``vgg16``; empty for another network, which ``other`` then names.
        chain: the dense layers in their order.
        beside: what of the file is no weight, by name.
        obstacles: what of the function can't be moved, a line each.
        front: layers before the backbone that change what it sees.
        whole: whether the file holds the whole model, and Keras can load it as one.
        version: of the Keras that wrote it, if it says so.
        where: keys that lead to the state dict in a checkpoint.
        keys: neutral name -> key in the state dict, of a PyTorch file.
        prefix: what its keys have before the names of the model.
    """

    path: Path
    format: Format
    names: Names
    arrays: Arrays
    told: Told
    backbone: str = ""
    other: str = ""
    chain: Chain = field(default_factory=Chain)
    beside: tuple[tuple[str, Beside], ...] = ()
    obstacles: tuple[str, ...] = ()
    front: tuple[str, ...] = ()
    whole: bool = False
    version: str = ""
    where: tuple[str, ...] = ()
    keys: dict[str, str] = field(default_factory=dict)
    prefix: str = ""

    @property
    def framework(self) -> str:
        """Whose model it is."""
        return "torch" if self.names.torch else "keras"

    @property
    def width(self) -> float:
        """Factor on the backbone's channels."""
        first = "conv1_conv/kernel" if self.backbone == "resnet50" else "block1_conv1/kernel"
        return self.arrays[first].shape[-1] / 64

    def describe(self) -> str:
        """Format and names in words."""
        return f"{self.format.value}, {self.names.value}"

    def backbone_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the backbone's arrays."""
        return backbone_table(self.backbone, self.arrays)

    def backbone_arrays(self) -> Arrays:
        """The arrays of the backbone alone."""
        table = self.backbone_shapes()
        return {name: array for name, array in self.arrays.items() if name in table}

    def head(self) -> list[str]:
        """The layers that have arrays and aren't the backbone's."""
        table = self.backbone_shapes()
        return list(dict.fromkeys(name.rpartition("/")[0] for name in self.arrays if name not in table))


def read(path: Path) -> Source:
    """Read a file.

    Args:
        path: a ``.keras``, ``.weights.h5`` or legacy ``.h5`` of Keras or tf-keras, a state dict or checkpoint of
            PyTorch, a ``.safetensors`` of either (or the index of several), or an ``.npz``. The content tells which.

    Raises:
        InputError: it is missing, damaged, of a format that isn't read, or holds what would run code; one line,
            which begins with the path.
    """
    path = Path(path)
    try:
        # what only needs a look is refused at once
        sniff(path)
        return guard.call(read_here, path, size=_size(path))
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path} {error}") from error


def known(source: Source) -> Source:
    """Return a source whose network is a ResNet50 or VGG16, whole.

    Raises:
        InputError: it is another network, or arrays are missing; one line.
    """
    if not source.backbone:
        what = f"is {source.other}" if source.other else f"holds {_summary(source.arrays)}"
        raise InputError(
            f"{source.path} {what}, neither a ResNet50 nor a VGG16; for any other model: compare port --into"
        )
    table = source.backbone_shapes()
    try:
        check({name: array for name, array in source.arrays.items() if name in table}, table)
    except ValueError as error:
        raise InputError(f"{source.path} isn't a whole {source.backbone}: {error}") from error
    return source


def _summary(arrays: Arrays) -> str:
    names = list(arrays)
    return f"{len(names)} arrays ({listed(names)})" if names else "no arrays"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def read_here(path: Path) -> Source:
    """Read a file in this process; arguments and result as of `read`.

    Raises:
        ValueError: it can't be read; the reason continues a line that begins with the path.
    """
    container = sniff(path)
    try:
        return _READERS[container](path)
    except ValueError as error:
        if isinstance(error, UnicodeError | json.JSONDecodeError):
            raise _damaged(error) from error
        raise
    except Exception as error:
        # a damaged file may make a parser raise anything; what it is about is all that is of use
        raise _damaged(error) from error


def _damaged(error: BaseException) -> ValueError:
    reason = " ".join(str(error).split())
    reason = reason if len(reason) < 150 else f"{reason[:147]}..."
    return ValueError(f"can't be read, it may be truncated or damaged: {reason or type(error).__name__}")


def _read_keras_zip(path: Path) -> Source:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        absent = [name for name in ("config.json", "model.weights.h5") if name not in names]
        if absent:
            raise ValueError(f"can't be read, it may be damaged: a .keras without {' and '.join(absent)}")
        info = archive.getinfo("model.weights.h5")
        if info.file_size > 1000 * info.compress_size + 2**20:
            raise ValueError(
                "can't be read, it may be damaged: its weights are said to be far larger than the file"
            )
        config = configured(json.loads(archive.read("config.json")))
        version = _version(json.loads(archive.read("metadata.json"))) if "metadata.json" in names else ""
        content = archive.read("model.weights.h5")
    held = hdf5.read(io.BytesIO(content), len(content), config.names)
    return _keras(path, Format.KERAS, held, config, version)


def _version(metadata: Any) -> str:
    return str(metadata.get("keras_version", "")) if isinstance(metadata, dict) else ""


def _read_hdf5(path: Path) -> Source:
    held = hdf5.read(path, path.stat().st_size)
    if not held.legacy:
        return _keras(path, Format.WEIGHTS_H5, replace_arrays(held), None, held.version)
    config = configured(held.config) if held.config is not None else None
    return _keras(path, Format.LEGACY_H5, held, config, held.version)


def replace_arrays(held: hdf5.Hdf5) -> hdf5.Hdf5:
    """Name the layers of a file that has none."""
    held.arrays = hdf5.unnamed(held.arrays)
    return held


def _keras(path: Path, form: Format, held: hdf5.Hdf5, config: Configured | None, version: str) -> Source:
    """Put together what a file of Keras holds."""
    old = "bn_conv1/gamma" in held.arrays or "bn_conv1" in held.layers
    arrays = {}
    for name, array in held.arrays.items():
        layer, _, kind = name.rpartition("/")
        arrays[f"{OLD_LAYERS.get(layer, layer) if old else layer}/{kind}"] = array
    told = config.told if config else _old(held) if old else Told()
    beside = [(f"layer {name}", Beside.IDLE) for name in config.idle] if config else []
    beside += [("optimizer", Beside.OPTIMIZER)] if held.optimizer else []
    return _source(
        Source(
            path,
            form,
            Names.OLD if old else Names.NEUTRAL,
            arrays,
            told,
            beside=tuple(beside),
            obstacles=config.obstacles if config else (),
            front=config.front if config else (),
            whole=config is not None,
            version=version,
        ),
        ordered=True,
    )


def _old(held: hdf5.Hdf5) -> Told:
    """Tell the structure of a ResNet50 with old names by the Keras that wrote the file, if it says which."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", held.version)
    told = Told(epsilon=OLD_EPSILON)
    if numbers is None:
        # Keras 1 named neither itself nor its weights by layer
        return replace(told, variant="v1-old-unpadded") if held.oldest else told
    release = tuple(map(int, numbers.groups()))
    if release >= (2, 2, 3):
        return replace(told, variant="v1-old")
    return replace(told, variant="v1-old-same" if (2, 0, 7) <= release <= (2, 1, 4) else "v1-old-unpadded")


def _read_torch_zip(path: Path) -> Source:
    return _checkpoint(path, *pickles.read_zip(path))


def _read_pickle(path: Path) -> Source:
    return _checkpoint(path, *pickles.read_pickle(path))


def _checkpoint(path: Path, content: Any, numbers: Any) -> Source:
    """Find the state dict in what was pickled."""
    if isinstance(content, pickles.Inert):
        raise ValueError(
            f"holds a whole pickled {content.path}, which is code; save model.state_dict() of it"
        )
    found = _state_dict(content)
    if found is None:
        raise ValueError("is not a state dict of name -> tensor; save model.state_dict()")
    where, state, beside = found
    said = getattr(state, "_metadata", None)
    facts = said.get(FACTS) if isinstance(said, dict) else None
    arrays = {
        str(key): numbers(tensor) for key, tensor in state.items() if isinstance(tensor, pickles.Tensor)
    }
    others = [str(key) for key, value in state.items() if not isinstance(value, pickles.Tensor)]
    told = Told.from_json(facts) if facts else Told()
    kinds = tuple(
        (name, Beside.OPTIMIZER if "optim" in name else Beside.OTHER) for name in sorted([*beside, *others])
    )
    return _from_state(path, Format.STATE_DICT, arrays, told, kinds, where, ordered=True)


def _state_dict(content: Any, depth: int = 3) -> tuple[tuple[str, ...], dict, list[str]] | None:
    """Find a state dict: the keys that lead there, itself, and what lies beside it."""
    if not isinstance(content, dict) or not depth:
        return None
    tensors_in = sum(isinstance(value, pickles.Tensor) for value in content.values())
    if tensors_in and tensors_in * 2 >= len(content):
        return (), content, []
    names = [name for name in _WRAPPERS if isinstance(content.get(name), dict)]
    names += [name for name, value in content.items() if isinstance(value, dict) and name not in names]
    for name in names:
        if "optim" in str(name):
            continue
        found = _state_dict(content[name], depth - 1)
        if found:
            where, state, beside = found
            return (str(name), *where), state, [*beside, *(str(key) for key in content if key != name)]
    return None


def _read_safetensors(path: Path) -> Source:
    return _tensors(path, *tensors.read_safetensors(path))


def _read_index(path: Path) -> Source:
    """Read the parts that an index names, as one file."""
    arrays: Arrays = {}
    metadata: dict[str, str] = {}
    for part in tensors.parts(path):
        if sniff(part) is Container.SAFETENSORS:
            more, said = tensors.read_safetensors(part)
        else:
            content, numbers = pickles.read_zip(part)
            more, said = {str(k): numbers(v) for k, v in content.items() if isinstance(v, pickles.Tensor)}, {}
        arrays, metadata = arrays | more, metadata | said
    return _tensors(path, arrays, metadata)


def _tensors(path: Path, arrays: Arrays, metadata: dict[str, str]) -> Source:
    told = Told.from_json(json.loads(metadata[FACTS])) if FACTS in metadata else Told()
    told = replace(
        told,
        variant=metadata.get("variant", told.variant),
        preprocessing=metadata.get("preprocessing", told.preprocessing),
    )
    told.check()
    return _from_state(path, Format.SAFETENSORS, arrays, told, (), (), ordered=False)


def _read_npz(path: Path) -> Source:
    return _from_state(path, Format.NPZ, tensors.read_npz(path), Told(), (), (), ordered=True)


def _from_state(
    path: Path,
    form: Format,
    state: Arrays,
    told: Told,
    beside: tuple[tuple[str, Beside], ...],
    where: tuple[str, ...],
    ordered: bool,
) -> Source:
    """Name the arrays of a state dict, or of a file of named arrays, and bring them to Keras's layout."""
    if not ordered:
        state = dict(sorted(state.items(), key=lambda item: hdf5.natural(item[0])))
    neutral = any(name.endswith("/kernel") for name in state)
    found = [] if neutral else spelled(state, tuple(layer.name for layer in told.top or ()))
    if len(found) > 1:
        prefixes = " and ".join(repr(one.prefix) for one in found)
        raise ValueError(f"holds several networks, under {prefixes}; save the one that is wanted")
    if not found:
        names = Names.NEUTRAL if neutral else Names.TORCHVISION
        return _source(Source(path, form, names, state, told, beside=beside, where=where), ordered)
    one = found[0]
    if recognise(_inside(state, one)) not in (*MOVED, ""):
        other = recognise(_inside(state, one))
        return Source(path, form, one.spelling.names, state, told, other=other, beside=beside, where=where)
    arrays = {name: to_neutral(state[key], _is_dense(one, name)) for name, key in one.keys.items()}
    source = Source(
        path,
        form,
        one.spelling.names,
        arrays,
        told,
        beside=beside,
        where=where,
        keys=one.keys,
        prefix=one.prefix,
    )
    return _source(source, ordered)


def _inside(state: Arrays, one: Spelled) -> Arrays:
    return {key.removeprefix(one.prefix): array for key, array in state.items() if key.startswith(one.prefix)}


def _is_dense(one: Spelled, name: str) -> bool:
    return name.partition("/")[0] in ("fc1", "fc2") and one.spelling.names is Names.TIMM


def _source(source: Source, ordered: bool) -> Source:
    """Say which network it is, and bring the dense layers in order; a PyTorch flatten's rows into Keras's."""
    arrays = source.arrays
    first = {"resnet50": "conv1_conv/kernel", "vgg16": "block1_conv1/kernel"}
    backbone = next(
        (name for name, kernel in first.items() if kernel in arrays and arrays[kernel].ndim == 4), ""
    )
    other = recognise(arrays)
    if not backbone or other not in (*MOVED, ""):
        return replace(source, other=other)
    source = replace(source, backbone=backbone)
    width = source.width
    table = source.backbone_shapes()
    rest = {name: array for name, array in arrays.items() if name not in table}
    loose = [name for name in rest if not _of_dense(name, rest)]
    obstacles = list(source.obstacles)
    if loose:
        layers = list(dict.fromkeys(name.rpartition("/")[0] for name in loose))
        unsaid = [layer for layer in layers if not any(f" {layer} " in line for line in obstacles)]
        if unsaid:
            obstacles.append(f"layer {listed(unsaid)} is no dense layer and can't be moved")
    try:
        order = chain(kernels_of(rest), channels_of(backbone, width), source.told.top, ordered)
    except ValueError as error:
        return replace(source, obstacles=(*obstacles, str(error)))
    if order.names and order.rows > 1:
        found = source.told.map or square(order.rows)
        if not found or found[0] * found[1] != order.rows:
            obstacles.append(
                f"layer {order.names[0]} sees a flattened map of {order.rows} places, whose height and width"
                " the file doesn't say"
            )
        else:
            source = replace(source, told=replace(source.told, map=found))
            flattened = source.names.torch and not (source.names is Names.TIMM and order.names[0] == "fc1")
            if flattened:
                kernel = f"{order.names[0]}/kernel"
                arrays = {
                    **arrays,
                    kernel: rows_to_keras(arrays[kernel], channels_of(backbone, width), *found),
                }
    return replace(source, arrays=arrays, chain=order, obstacles=tuple(obstacles))


def _of_dense(name: str, rest: Arrays) -> bool:
    layer, _, kind = name.rpartition("/")
    kernel = rest.get(f"{layer}/kernel")
    return kernel is not None and kernel.ndim == 2 and kind in ("kernel", "bias")


_READERS = {
    Container.KERAS_ZIP: _read_keras_zip,
    Container.HDF5: _read_hdf5,
    Container.TORCH_ZIP: _read_torch_zip,
    Container.PICKLE: _read_pickle,
    Container.SAFETENSORS: _read_safetensors,
    Container.INDEX: _read_index,
    Container.NPZ: _read_npz,
}
