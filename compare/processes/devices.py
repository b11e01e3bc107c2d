"""Which device each framework computes on: what a person asked for, what is there, and which card a worker gets."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compare.frameworks import FRAMEWORKS, Framework
from compare.processes.worker import Worker
from compare.spec import InputError

KINDS = ("cuda", "mps")  # of accelerators, in the order in which ``auto`` tries them
PATIENCE = 180.0  # seconds that a framework may take to say what it sees: the first time it loads its kernels
ON_CPU = "cpu"
# how to get what computes on an NVIDIA card
GET = {
    "tensorflow": "get its CUDA packages with: pip install 'compare-bn[gpu]'",
    "jax": "get its CUDA packages with: pip install 'jax[cuda12]'",
    "torch": "get a build of PyTorch for CUDA from pytorch.org",
}

See = Callable[[Framework, str], Sequence[str]]


@dataclass(frozen=True)
class Devices:
    """Where frameworks compute.

    Attributes:
        of: framework -> ``cpu``, ``cuda`` or ``mps``.
        called: framework -> the same with the card's own name: what ``config.json`` holds.
        cards: numbers of the CUDA cards, as ``CUDA_VISIBLE_DEVICES`` takes them; a worker gets one.
        said: a line on it; empty where nobody asked and there is nothing but the CPU.
    """

    of: Mapping[str, str] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)
    cards: tuple[str, ...] = ()
    said: str = ""

    @property
    def workers(self) -> int | None:
        """How many workers at a time there is a device for; None where all compute on the CPU."""
        accelerated = any(kind != ON_CPU for kind in self.of.values())
        return max(1, len(self.cards)) if accelerated else None

    def pinned(self, framework: str, taken: Iterable[str]) -> str:
        """The device of a new worker: of the cards the one that fewest of the others have.

        Args:
            taken: the devices of the workers that there are.
        """
        kind, others = self.of.get(framework, ON_CPU), list(taken)
        if kind != "cuda" or not self.cards:
            return kind
        return min((f"cuda:{card}" for card in self.cards), key=others.count)


def check(asked: str) -> None:
    """Raise InputError unless it is a device's name."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", asked):
        raise InputError(f"--device {asked}: it can be auto, cpu, cuda, cuda:N or mps")


def find(asked: str, frameworks: Sequence[str], see: See | None = None) -> Devices:
    """Find the device of each framework.

    Args:
        asked: ``auto`` takes each framework's first accelerator that works, and the CPU where there is none.
        frameworks: their names.
        see: asks a framework for the cards of a kind that it computes on; None asks it in a process of its own.

    Raises:
        InputError: what was asked for isn't there, or a framework can't compute on it.
    """
    check(asked)
    kind, _, number = asked.partition(":")
    here = [own for own in KINDS if plausible(own)] if see is None else list(KINDS)
    if kind == ON_CPU or (kind == "auto" and not here):
        return Devices(dict.fromkeys(frameworks, ON_CPU), dict.fromkeys(frameworks, ON_CPU))
    if kind != "auto" and kind not in here:
        raise InputError(f"--device {asked}: this machine has no {kind} device; it can be auto or cpu")
    wanted = here if kind == "auto" else [kind]
    found = {name: _first(FRAMEWORKS[name], wanted, see or _ask) for name in frameworks}
    if kind != "auto":
        _all_there(asked, found)
    of = {name: own for name, (own, _) in found.items()}
    cards = _cards(max((len(names) for own, names in found.values() if own == "cuda"), default=0))
    if number:
        if int(number) >= len(cards):
            there = ", ".join(f"cuda:{place}" for place in range(len(cards)))
            raise InputError(f"--device {asked}: there is no such card; there are {there}")
        cards = cards[int(number) : int(number) + 1]
    first = int(number or 0)
    called = {name: _called(own, names[first:]) for name, (own, names) in found.items()}
    return Devices(of, called, cards, _said(called, len(cards)))


def unseen(asked: str, frameworks: Sequence[str], cards: Sequence[str] = ()) -> Devices:
    """Take what was asked for as being there: on a cluster, where this machine's devices say nothing.

    Args:
        cards: what the cluster calls its cards.
    """
    check(asked)
    kind = ON_CPU if asked == "auto" else asked.partition(":")[0]
    called = _called(kind, [" and ".join(cards)] if cards and kind != ON_CPU else [])
    return Devices(dict.fromkeys(frameworks, kind), dict.fromkeys(frameworks, called))


def plausible(kind: str) -> bool:
    """Whether this machine could have a device of a kind; else nobody waits for a framework to say that it hasn't."""
    if kind == "mps":
        return platform.system() == "Darwin" and platform.machine() == "arm64"
    drivers = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")
    return os.environ.get("CUDA_VISIBLE_DEVICES") != "-1" and any(Path(path).exists() for path in drivers)


def seen(framework: Framework, kind: str) -> list[str]:
    """Name the cards of a kind on which a framework computes, each tried; called in its own process."""
    try:
        return {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}[framework.backend](kind)
    except Exception:  # a driver of another version, a card that another process has taken whole
        return []


def _ask(framework: Framework, kind: str) -> Sequence[str]:
    with Worker(framework, 1, prepared=False, patience=PATIENCE, device=kind) as worker:
        try:
            return worker.call(seen, framework, kind)
        except (RuntimeError, TimeoutError):  # it died of it, or hangs
            return []


def _first(framework: Framework, kinds: Sequence[str], see: See) -> tuple[str, list[str]]:
    for kind in kinds:
        if names := list(see(framework, kind)):
            return kind, names
    return ON_CPU, []


def _all_there(asked: str, found: Mapping[str, tuple[str, list[str]]]) -> None:
    for name, (kind, _) in found.items():
        if kind == ON_CPU:
            framework, wanted = FRAMEWORKS[name], asked.partition(":")[0]
            what = (
                GET[framework.backend] if wanted == "cuda" else "take --device auto, or another --framework"
            )
            raise InputError(f"--device {asked}: {framework.label} computes on no {wanted} device; {what}")


def _cards(count: int) -> tuple[str, ...]:
    """Number the cards as the environment that this process was given does."""
    given = [card for card in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if card]
    return tuple(given[:count] if given else map(str, range(count)))


def _called(kind: str, names: Sequence[str]) -> str:
    return f"{kind} ({names[0]})" if names else kind


def _said(called: Mapping[str, str], cards: int) -> str:
    where: dict[str, list[str]] = {}
    for name, device in called.items():
        where.setdefault(device, []).append(FRAMEWORKS[name].label)
    each = f"; {cards} cards, a worker each" if cards > 1 else ""
    return "devices: " + "; ".join(f"{' and '.join(own)} on {device}" for device, own in where.items()) + each


def _tensorflow(kind: str) -> list[str]:
    import tensorflow as tf

    names = []
    for place, gpu in enumerate(tf.config.list_physical_devices("GPU") if kind == "cuda" else []):
        with tf.device(f"GPU:{place}"):
            float(tf.reduce_sum(tf.ones(2)))
        names.append(str(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")))
    return names


def _torch(kind: str) -> list[str]:
    import torch

    if kind == "mps":
        there = torch.backends.mps.is_available() and torch.ones(2, device="mps").sum().item() == 2
        return [platform.machine()] if there else []
    names = []
    for place in range(torch.cuda.device_count()):
        torch.ones(2, device=f"cuda:{place}").sum().item()
        names.append(torch.cuda.get_device_name(place))
    return names


def _jax(kind: str) -> list[str]:
    import jax

    if kind == "mps":
        return []
    names = []
    for device in jax.devices("cuda"):
        float(jax.device_put(jax.numpy.ones(2), device).sum())
        names.append(device.device_kind)
    return names
