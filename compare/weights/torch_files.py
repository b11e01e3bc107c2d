"""PyTorch's files, and files of named arrays, as a `Source`: by neutral name and in Keras's layout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compare.spec import some
from compare.weights import pickles, tensors
from compare.weights.errors import PickledError, UnreadableError
from compare.weights.formats import Container, sniff
from compare.weights.hdf5 import natural
from compare.weights.network import Arrays, Told
from compare.weights.recognise import recognise
from compare.weights.source import MOVED, Beside, Format, Source, completed
from compare.weights.spellings import Names, Spelled, is_known, plain_keys, spelled, to_neutral

# where what names and arrays don't say is kept in a file that this project writes
FACTS = "facts"
# what a layer that normalises images calls its arrays
_FRONT = re.compile(r"_?((pixel|image|img|data|input|norm)_)?(mean|std)")
# what a checkpoint calls the state dict that is to be taken, the likeliest first
_WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "backbone"),
    *("encoder", "ema", "model_ema", "ema_state_dict", "state_dict_ema", "teacher", "student"),
)


def read_torch_zip(path: Path) -> Source:
    """Read what ``torch.save`` writes."""
    return _checkpoint(path, *pickles.read_zip(path))


def read_pickle(path: Path) -> Source:
    """Read what ``torch.save`` wrote before it wrote zips."""
    return _checkpoint(path, *pickles.read_pickle(path))


def _checkpoint(path: Path, content: Any, numbers: Any) -> Source:
    """Name the arrays of the state dict in what was pickled."""
    found = _chosen(content)
    said = getattr(found.state, "_metadata", None)
    facts = said.get(FACTS) if isinstance(said, dict) else None
    others = [str(key) for key, value in found.state.items() if not isinstance(value, pickles.Tensor)]
    told = Told.from_json(facts) if facts else Told()
    beside = tuple((name, _beside(name, found.networks)) for name in sorted([*found.beside, *others]))
    arrays = _numbers(found.state, numbers)
    return _from_state(path, Format.STATE_DICT, arrays, told, beside, found.where, ordered=True)


def _numbers(state: dict, numbers: Any) -> Arrays:
    return {str(key): numbers(tensor) for key, tensor in state.items() if isinstance(tensor, pickles.Tensor)}


def _chosen(content: Any) -> _Found:
    """Find the state dict in what was pickled.

    Raises:
        UnreadableError: there is none.
    """
    if isinstance(content, pickles.Inert) and not content:
        raise PickledError(
            f"holds a whole pickled {content.path}, which is code; save model.state_dict() of it"
        )
    found = _state_dict(content)
    if found is None:
        raise UnreadableError("is not a state dict of name -> tensor; save model.state_dict()")
    return found


def _beside(name: str, networks: frozenset[str]) -> Beside:
    if name in networks:
        return Beside.NETWORK
    return Beside.OPTIMIZER if "optim" in name else Beside.OTHER


@dataclass(frozen=True)
class _Found:
    """A dict with tensors in it.

    Attributes:
        where: the keys that lead there.
        beside: names of what lies beside it on the way.
        count: how many tensors it has.
        networks: those of ``beside`` that are as large as a network.
    """

    where: tuple[str | int, ...]
    state: dict
    beside: tuple[str, ...]
    count: int
    networks: frozenset[str] = frozenset()


def _state_dict(content: Any) -> _Found | None:
    """Find the state dict that is meant: the first that is large, or of those in a list the one whose names are known.

    Raises:
        UnreadableError: any in a list may be meant.
    """
    found = list(_dicts_of_tensors(content))
    most = max((one.count for one in found), default=0)
    large = [one for one in found if one.count * 2 >= most]
    if not large:
        return None
    chosen = large[0]
    if any(isinstance(key, int) for key in chosen.where):
        known = [one for one in large if is_known(one.state)] or large
        if len(known) > 1:
            keys = " or ".join("".join(f"[{key!r}]" for key in one.where) for one in known[:3])
            raise UnreadableError(
                f"is a list of {len(known)} networks; save the one that is wanted alone: torch.load(...){keys}"
            )
        chosen = known[0]
    networks = frozenset(_name(key) for one in large if one is not chosen for key in one.where)
    return replace(chosen, networks=networks)


def _dicts_of_tensors(content: Any, depth: int = 4) -> Iterator[_Found]:
    """Yield each dict with tensors in it, in lists, too; those first that a checkpoint's usual names lead to."""
    if isinstance(content, list | tuple):
        items: dict[str | int, Any] = dict(enumerate(content))
    elif isinstance(content, dict):
        items = content
    else:
        return
    count = sum(isinstance(value, pickles.Tensor) for value in content.values()) if items is content else 0
    if count:
        yield _Found((), content, (), count)
    names = [name for name in _WRAPPERS if name in items]
    for name in [*names, *(name for name in items if name not in names)] if depth else []:
        if "optim" not in _name(name, items[name]):
            others = tuple(_name(key, item) for key, item in items.items() if key != name)
            for one in _dicts_of_tensors(items[name], depth - 1):
                key = name if isinstance(name, int) else str(name)
                yield replace(one, where=(key, *one.where), beside=(*one.beside, *others))


def _name(key: str | int, item: Any = None) -> str:
    """What a checkpoint's item is called; an optimizer's state is known by what is in it, too."""
    name = f"item {key}" if isinstance(key, int) else str(key)
    optimizer = isinstance(item, dict) and "param_groups" in item and "optim" not in name
    return f"{name} (an optimizer)" if optimizer else name


def read_safetensors(path: Path) -> Source:
    """Read a ``.safetensors``, of named arrays or of a state dict."""
    return _tensors(path, *tensors.read_safetensors(path))


def read_index(path: Path) -> Source:
    """Read the parts that an index names, as one file."""
    return _tensors(path, *_parts(path))


def _parts(path: Path) -> tuple[Arrays, dict[str, str]]:
    arrays: Arrays = {}
    metadata: dict[str, str] = {}
    for part in tensors.parts(path):
        if sniff(part) is Container.SAFETENSORS:
            more, said = tensors.read_safetensors(part)
        else:
            more, said = _numbers(*pickles.read_zip(part)), {}
        arrays, metadata = arrays | more, metadata | said
    return arrays, metadata


def _tensors(path: Path, arrays: Arrays, metadata: dict[str, str]) -> Source:
    told = Told.from_json(json.loads(metadata[FACTS])) if FACTS in metadata else Told()
    told = replace(
        told,
        variant=metadata.get("variant", told.variant),
        preprocessing=metadata.get("preprocessing", told.preprocessing),
    )
    told.check()
    return _from_state(path, Format.SAFETENSORS, arrays, told, (), (), ordered=False)


def read_npz(path: Path) -> Source:
    """Read an ``.npz`` of named arrays or of a state dict."""
    return _from_state(path, Format.NPZ, tensors.read_npz(path), Told(), (), (), ordered=True)


def state(path: Path) -> Arrays:
    """The arrays of a file under the names that its own model has for them, and in its layout.

    Raises:
        UnreadableError: it is a Keras model's file.
    """
    container = sniff(path)
    if container in (Container.TORCH_ZIP, Container.PICKLE):
        read = pickles.read_zip if container is Container.TORCH_ZIP else pickles.read_pickle
        content, numbers = read(path)
        held = _numbers(_chosen(content).state, numbers)
    elif container is Container.NPZ:
        held = tensors.read_npz(path)
    elif container in (Container.SAFETENSORS, Container.INDEX):
        held = (_parts if container is Container.INDEX else tensors.read_safetensors)(path)[0]
    else:
        raise UnreadableError("is a file of Keras; compare port makes one of PyTorch's of it")
    return {key: held[of_file] for key, of_file in plain_keys(held)[0].items()}


def _from_state(
    path: Path,
    form: Format,
    state: Arrays,
    told: Told,
    beside: tuple[tuple[str, Beside], ...],
    where: tuple[str | int, ...],
    ordered: bool,
) -> Source:
    """Name the arrays of a state dict, or of a file of named arrays, and bring them to Keras's layout."""
    if not ordered:
        state = dict(sorted(state.items(), key=lambda item: natural(item[0])))
    keys, losses = plain_keys(state)
    state = {key: state[of_file] for key, of_file in keys.items()}
    beside = (*beside, *((key, Beside.LOSS) for key in losses))
    neutral = any(name.endswith("/kernel") for name in state)
    found = [] if neutral else spelled(state, tuple(layer.name for layer in told.top or ()))
    if len(found) > 1:
        prefixes = " and ".join(repr(one.prefix) for one in found)
        raise UnreadableError(f"holds several networks, under {prefixes}; save the one that is wanted")
    if not found:
        names = Names.NEUTRAL if neutral else Names.TORCHVISION
        return completed(Source(path, form, names, state, told, beside=beside, where=where), ordered)
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
        keys={name: keys[key] for name, key in one.keys.items()},
        prefix=one.prefix,
    )
    return _with_others(completed(source, ordered), one)


def _with_others(source: Source, one: Spelled) -> Source:
    """Note the arrays within the backbone that a plain one hasn't, and what normalises in front of it."""
    if not source.backbone:
        return source
    table = source.backbone_shapes()
    others = {name: key for name, key in source.keys.items() if name not in table}
    odd = [key for name, key in others.items() if one.within(one.keys[name])]
    front = [key for key in others.values() if _FRONT.fullmatch(key.rpartition(".")[2]) and key not in odd]
    inside = (f"{some(odd)} within the backbone: a plain one has no such arrays",) if odd else ()
    obstacles = (*inside, *source.obstacles)
    return replace(source, inside=inside, obstacles=obstacles, front=tuple(front))


def _inside(state: Arrays, one: Spelled) -> Arrays:
    return {key.removeprefix(one.prefix): array for key, array in state.items() if key.startswith(one.prefix)}


def _is_dense(one: Spelled, name: str) -> bool:
    return name.partition("/")[0] in ("fc1", "fc2") and one.spelling.names is Names.TIMM
