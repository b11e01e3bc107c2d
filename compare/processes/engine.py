"""Where the workers of a run are: on this machine, or where Ray has a place for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from compare.frameworks import FRAMEWORKS
from compare.processes import devices
from compare.processes.devices import Devices
from compare.processes.environment import cores, default_jobs, threads
from compare.processes.local import Local, Transport
from compare.spec import InputError, choose

if TYPE_CHECKING:
    from compare.processes.nodes import Nodes

ENGINES = ("local", "ray")
ON_RAY = ("auto", "cpu", "cuda")  # what a device can be there


@dataclass(frozen=True)
class Engine:
    """What a person asked for.

    Attributes:
        name: one of `ENGINES`.
        address: of a Ray cluster; None starts Ray on this machine.
        jobs: workers at a time; None takes as many as there is room for.
        device: what the frameworks compute on; ``auto`` takes what they find.
    """

    name: str = "local"
    address: str | None = None
    jobs: int | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Running:
    """An engine that is there.

    Attributes:
        transport: takes tasks to its workers.
        jobs: how many workers at a time.
        cores: what those have in all.
        threads: of each.
        devices: of each framework.
        said: a line on it; empty for this machine's own.
    """

    transport: Transport[Any]
    jobs: int
    cores: int
    threads: int
    devices: Devices
    said: str = ""


def check(engine: Engine) -> None:
    """See that an engine is there, in less than 10 seconds.

    Raises:
        InputError: there is none of that name, Ray isn't installed, or its address doesn't answer.
    """
    choose("--engine", engine.name, ENGINES)
    devices.check(engine.device)
    if engine.name != "ray":
        if engine.address is not None:
            raise InputError(f"--ray-address {engine.address}: it needs --engine ray")
        return
    if engine.device not in ON_RAY:
        allowed = f"{', '.join(ON_RAY[:-1])} or {ON_RAY[-1]}"
        raise InputError(
            f"--device {engine.device}: on Ray's nodes it can be {allowed}; Ray chooses the card"
        )
    if find_spec("ray") is None:
        raise InputError("--engine ray: Ray isn't installed. Get it with: pip install 'compare-bn[ray]'")
    if engine.address is not None:
        from compare.processes.nodes import check_address

        check_address(engine.address)


@contextmanager
def running(engine: Engine, frameworks: Sequence[str]) -> Iterator[Running]:
    """Have an engine, until the end of the block.

    Args:
        engine: one that `check` found.
        frameworks: that will compute.

    Raises:
        InputError: Ray can't be joined, or its nodes have other versions than this machine.
    """
    if engine.name == "local":
        found = devices.find(engine.device, frameworks)
        jobs = engine.jobs or found.workers or default_jobs()
        transport: Transport[Any] = Local(threads(), devices=found)
        yield Running(transport, jobs, min(jobs, cores()), threads(), found, found.said)
        return
    from compare.processes.nodes import check_versions, joined

    here = max(cores(), (engine.jobs or 0) * threads())
    with joined(engine.address, here) as nodes:
        needs = [package for name in frameworks for package in FRAMEWORKS[name].needs]
        count = min(threads(), max(nodes.cpus) or threads())
        found = _of_cluster(engine.device, frameworks, nodes)
        places = nodes.places(count, gpu="cuda" in found.of.values())
        jobs = engine.jobs or places
        transport = on_cluster(count, check_versions(needs), found)
        said = _said(engine.device, nodes, jobs, count)
        yield Running(transport, jobs, min(jobs, places) * count, count, found, said)


def _said(device: str, nodes: Nodes, jobs: int, count: int) -> str:
    """Say what a cluster has, and what of it the run takes.

    Args:
        jobs: cells at a time.
        count: threads of each.
    """
    several = "nodes" if len(nodes.cpus) > 1 else "node"
    said = f"Ray: {len(nodes.cpus)} {several} with {sum(nodes.cpus)} CPUs, {jobs} cells at a time"
    if count < threads():
        said += f", of {count} threads: no node has this machine's {threads()}, so last digits may differ"
    if not any(nodes.cpus):
        said += ", once there is a node with CPUs for them"
    if device == "auto" and nodes.gpus:
        said += f"; of their {nodes.gpus} GPUs none: --device cuda takes them"
    return said


def _of_cluster(asked: str, frameworks: Sequence[str], nodes: Nodes) -> Devices:
    """Take the devices that were asked for, where the nodes have them; Ray says which card a worker gets."""
    if asked == "cuda" and not nodes.gpus:
        raise InputError("--device cuda: the Ray cluster has no GPU; it can be auto or cpu")
    return devices.unseen(asked, frameworks, nodes.cards)


def on_cluster(
    threads: int, expected: Mapping[str, str], found: Devices | None = None, prepared: bool = True
) -> Transport[Any]:
    """Make the way to the workers of the Ray cluster that this process has joined."""
    from compare.processes.cluster import Cluster

    return Cluster(threads, prepared=prepared, expected=expected, devices=found or Devices())
