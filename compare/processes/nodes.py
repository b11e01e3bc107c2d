"""The machines of a Ray cluster: found, or made of this one; and held against this one."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compare.processes.parcels import sweep
from compare.spec import InputError

PATIENCE = 9.0  # seconds that an address has to answer, in all
STORE = (
    2**28
)  # bytes of memory for the object store of a Ray that is started here; what is more goes to its disk
ACCELERATOR = "accelerator_type:"  # how Ray names what kind of card a node has, among its resources
OTHER = 60.0  # seconds that nodes have to say their versions
SHARED = ("numpy", "pillow")  # what every cell computes with, whichever its framework
# what every HTTP/2 client says first, Ray's too, and the kind of frame that a server answers with
PREFACE, SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 4
# Read when Ray is imported: it sends nothing home, and has nothing to say on this process's standard output.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class Nodes:
    """What a Ray cluster has now.

    Attributes:
        cpus: of each node that is alive.
        gpus: of all.
        cards: what Ray calls them, each kind once; empty where it doesn't know them.
    """

    cpus: tuple[int, ...]
    gpus: int
    cards: tuple[str, ...] = ()

    def places(self, threads: int, gpu: bool = False) -> int:
        """How many workers there is a place for, each with so many threads, and a GPU where it needs one."""
        by_threads = sum(cpus // threads for cpus in self.cpus)
        return max(1, min(by_threads, self.gpus) if gpu else by_threads)


def check_address(address: str) -> None:
    """See that a Ray cluster answers at an address, ``HOST:PORT`` or ``auto``: Ray itself tries for two minutes.

    Raises:
        InputError: it isn't an address, or no Ray answers.
    """
    _show_token()
    if address == "auto":
        if not _healthy(address, PATIENCE):
            raise InputError("--ray-address auto: no Ray cluster that answers runs on this machine")
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise InputError(
            f"--ray-address {address}: it must be HOST:PORT, or auto for the cluster of this machine"
        )
    began = time.monotonic()
    answers = _answers(host.strip("[]"), int(port))
    if isinstance(answers, OSError):
        why = answers.strerror or str(answers)
        raise InputError(f"--ray-address {address}: nothing answers there ({why})")
    if not answers or not _healthy(address, PATIENCE - (time.monotonic() - began)):
        what = "no Ray cluster that lets this machine in: another program, version of Ray or token"
        raise InputError(f"--ray-address {address}: what answers there is {what}")


def _show_token() -> None:
    """Have Ray show its token where there is one: a cluster may ask for it, and one that doesn't minds nothing."""
    places = (os.environ.get("RAY_AUTH_TOKEN_PATH"), Path.home() / ".ray" / "auth_token")
    if os.environ.get("RAY_AUTH_TOKEN") or any(place and Path(place).is_file() for place in places):
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _answers(host: str, port: int) -> bool | OSError:
    """Whether what is there speaks as Ray does, or why nothing is; decided within half of `PATIENCE`.

    A thread that may be left behind asks: looking up a name knows no timeout, and an answer may come byte by byte.
    """
    said: list[bool | OSError] = []

    def ask() -> None:
        try:
            with socket.create_connection((host, port), timeout=PATIENCE / 2) as connection:
                said.append(os.environ.get("RAY_USE_TLS", "0") in ("1", "true") or _speaks(connection))
        except OSError as error:
            said.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE / 2)
    return said[0] if said else TimeoutError("timed out")


def _speaks(connection: socket.socket) -> bool:
    """Whether the other end speaks HTTP/2."""
    connection.sendall(PREFACE)
    said = b""
    while len(said) < 4:
        more = connection.recv(64)
        if not more:
            return False
        said += more
    return said[3] == SETTINGS


def _healthy(address: str, patience: float) -> bool:
    """Whether Ray says that its cluster there is well: in a process of its own, since Ray goes on asking."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        return not subprocess.run(command, capture_output=True, timeout=patience).returncode
    except subprocess.TimeoutExpired:
        return False


def _own() -> dict[str, str]:
    """The environment of a Ray that is started here: workers give way to others as this process does, and no more.

    It has a token of its own, since Ray would else make one and leave it in the person's home.
    """
    return {"RAY_worker_niceness": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex}


@contextmanager
def joined(address: str | None, cpus: int) -> Iterator[Nodes]:
    """Join a Ray cluster; without an address start one of this machine alone, which ends with the block.

    Args:
        address: of the cluster, seen to answer by `check_address`.
        cpus: that a cluster of this machine alone has, by its own account.

    Raises:
        InputError: Ray can't be joined, for it is of another version, say.
    """
    for name, value in {**QUIET, **(_own() if address is None else {})}.items():
        os.environ.setdefault(name, value)
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "critical"}
    # sockets lie below it, whose names may have 103 bytes: a person's TMPDIR is often too long
    home = "/tmp" if os.access("/tmp", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="compare-ray-", dir=home, ignore_cleanup_errors=True) as folder:
        own: dict[str, Any] = {
            "num_cpus": cpus,
            "include_dashboard": False,
            "object_store_memory": STORE,
            "_temp_dir": folder,
        }
        ends = signal.getsignal(signal.SIGTERM)
        try:
            try:
                ray.init(address=address or "local", **({} if address else own), **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                where = f"--ray-address {address}" if address else "--engine ray"
                raise InputError(f"{where}: {' '.join(str(error).split())}") from None
            # Ray takes this signal for itself, and would end this process where it stands
            signal.signal(signal.SIGTERM, ends)
            yield _had([node["Resources"] for node in ray.nodes() if node["Alive"]])
        finally:
            ray.shutdown()
            sweep()


def _had(resources: Iterable[Mapping[str, float]]) -> Nodes:
    """Make of what Ray says that its nodes have what a run asks for."""
    found = list(resources)
    kinds = {name.removeprefix(ACCELERATOR) for own in found for name in own if name.startswith(ACCELERATOR)}
    cpus = tuple(int(own.get("CPU", 0)) for own in found)
    return Nodes(cpus, int(sum(own.get("GPU", 0) for own in found)), tuple(sorted(kinds)))


def versions(packages: Iterable[str]) -> dict[str, str]:
    """What is installed here: the versions of packages, of Python, and the text of this project's own code.

    Nothing outside is used, so that a node where this project isn't installed can be asked as well.

    Args:
        packages: their names; ``python`` and ``compare`` are known, too.
    """
    from hashlib import sha256
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec
    from pathlib import Path
    from platform import python_version

    def code() -> str:
        digest = sha256()
        for name in ("compare", "keras_impl", "torch_impl"):
            spec = find_spec(name)
            if spec is None or spec.origin is None:
                return "none"
            root = Path(spec.origin).parent
            for path in sorted(root.rglob("*.py")):
                digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
        return digest.hexdigest()[:8]

    def found(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "none"

    known = {"python": python_version, "compare": code}
    return {name: known[name]() if name in known else found(name) for name in packages}


def check_versions(needs: Iterable[str]) -> dict[str, str]:
    """Ask every node what is installed there, and return what is installed here.

    Args:
        needs: the packages of the frameworks that will compute.

    Raises:
        InputError: a node has something else than this machine, or doesn't answer.
    """
    import ray
    from ray import cloudpickle
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = versions(dict.fromkeys(("python", "compare", *SHARED, *needs)))
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)  # the node may not have it
    try:
        ask = ray.remote(num_cpus=0)(versions)
        alive = [node for node in ray.nodes() if node["Alive"]]
        asked = [
            ask.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(list(here))
            for node in alive
        ]
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    try:
        answers = ray.get(asked, timeout=OTHER)
    except ray.exceptions.GetTimeoutError:
        raise InputError(f"--engine ray: not every node answers within {OTHER:g} s") from None
    except ray.exceptions.RayError as error:
        raise InputError(f"--engine ray: a node fails: {str(error).splitlines()[0]}") from None
    names = [f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})" for node in alive]
    differing(zip(names, answers, strict=True), here)
    return here


def differing(there: Iterable[tuple[str, Mapping[str, str]]], here: Mapping[str, str]) -> None:
    """Hold what nodes have against what is expected of them.

    Args:
        there: a node's name, which two nodes of one machine share, and what is installed there, by `versions`.
        here: what should be.

    Raises:
        InputError: something differs; it says what, and where.
    """
    wrong = [
        f"{node} has {_named(name, found[name])} instead of {_named(name, wanted)}"
        for node, found in there
        for name, wanted in here.items()
        if found[name] != wanted
    ]
    if wrong:
        raise InputError(f"--engine ray: all nodes need what this machine has: {'; '.join(wrong)}")


def _named(name: str, version: str) -> str:
    if version == "none":
        return f"no {name}"
    return f"{name} with code {version}" if name == "compare" else f"{name} {version}"


def disk_full() -> OSError:
    """The error of a full disk below Ray's object store."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "Ray's object store")
