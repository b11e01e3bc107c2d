"""Weight files from one framework to the other, proven to compute the same.

from compare.port.move import port
port("model.keras", "model.pth")                                # Keras -> PyTorch
port("resnet50-0676ba61.pth", "resnet50.keras")                 # PyTorch -> Keras
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from compare.files import sha256
from compare.port import certificate
from compare.port import trace as processes
from compare.port.destination import Destination, destination, fitted
from compare.port.trace import Process
from compare.spec import EPSILONS, InputError, choose
from compare.weights.network import Arrays, Network, settle, unify


def port(
    source: str | Path,
    dest: str | Path,
    *,
    layout: str | None = None,
    fold_bias: bool = False,
    variant: str | None = None,
    epsilon: float | None = None,
    force: bool = False,
    say: Callable[[str], None] = print,
) -> dict:
    """Move the weights of a ResNet50 or VGG16 into another file, and prove that the network stayed the same.

    The file is read back, every array is compared bit for bit, and both frameworks compute with what each
    file holds, layer by layer, in inference and training mode, float64 and float32. Then both train what the
    new file holds, stage by stage as in `compare parity` (not where biases were folded away). Only then does it
    get its name, with ``DEST.certificate.json`` beside it; after any error there is neither.

    Args:
        source: a file of weights; its content tells the format. Nothing in it is executed.
        dest: the file to write: ``.keras``, ``.weights.h5``, ``.h5``, ``.pth``, ``.pt`` or ``.safetensors``.
        layout: whose model the weights are to fit: ``project``, ``torchvision``, ``applications``,
            ``applications-old`` (layer names of Keras 1 and 2) or ``neutral``; None takes the original's class
            where it can hold them.
        fold_bias: put the convolutions' biases into the moving means, for torchvision's class.
        variant: one of `EPSILONS`, where the source can't say.
        epsilon: of batch normalisation, where the source can't say.
        force: replace ``dest`` if it exists.
        say: takes the lines that say what happens.

    Returns:
        The certificate; its ``verdict`` is ``same function`` or ``differs``.

    Raises:
        InputError: the source can't be read, the weights can't be moved there, or there's no room.
    """
    source, dest = Path(source), Path(dest)
    beside = dest.with_name(f"{dest.name}.certificate.json")
    if variant is not None:
        choose("--variant", variant, tuple(EPSILONS))
    if epsilon is not None and not 0 < epsilon < 1:
        raise InputError(f"--epsilon {epsilon} must be between 0 and 1")
    _vacant(source, dest, beside, force)
    with ExitStack() as stack:
        frameworks = {name: stack.enter_context(Process(name)) for name in ("keras", "torch")}
        arrays, said = _read(frameworks, source)
        of_source = "torch" if said["format"].startswith("PyTorch") else "keras"
        arrays, widened = unify(arrays)
        network, assumed = settle(arrays, said, of_source, variant, epsilon)
        say(f"read {source}: {said['format']}; {network.describe()}; {len(arrays)} arrays")
        target = destination(dest, layout, network, fold_bias)
        goal, written, done = fitted(target, arrays, network, fold_bias)
        notes = {
            "assumed": assumed,
            "left": _left(said),
            "done": [*filter(None, [widened]), *done, *_afterwards(target, written)],
        }
        for word, lines in (("assumed", assumed), ("left behind", notes["left"]), ("", notes["done"])):
            for line in lines:
                say(f"{word}: {line}" if word else line)

        folder = Path(stack.enter_context(_folder(dest)))
        again = _write(frameworks, target, folder, goal, written)
        say(
            f"wrote {dest}: {target.suffix}, layout {target.layout}; read back, every array the same bit for bit"
        )
        held = {of_source: (arrays, network), _other(of_source): (again, written)}
        folded = network.bias and not written.bias
        stages = certificate.prove(
            frameworks["keras"], frameworks["torch"], held["keras"], held["torch"], folded, say
        )
        stages += certificate.train(again, written, say)
        versions = {k: v for f in frameworks.values() for k, v in f.call(processes.versions).items()}
        files = {"source": _file(source, said["format"]), "dest": _file(folder / dest.name, target.layout)}
        proof = certificate.certify(stages, written, {**files, **notes}, versions)
        certificate.write(folder / beside.name, proof)
        _move(folder, dest, beside)
    say(_verdict(stages, proof["verdict"]))
    return proof


def _vacant(source: Path, dest: Path, beside: Path, force: bool) -> None:
    if not dest.parent.is_dir():
        raise InputError(f"DEST {dest}: no directory {dest.parent}")
    if dest.is_dir():
        raise InputError(f"DEST {dest} is a directory; it must be a file")
    if dest.exists() and source.exists() and dest.samefile(source):
        raise InputError(f"DEST {dest} is SOURCE; give another name")
    taken = next((path for path in (dest, beside) if path.exists()), None)
    if taken and not force:
        raise InputError(f"DEST {taken} exists; --force replaces it")


def _read(frameworks: dict[str, Process], path: Path) -> tuple[Arrays, dict]:
    """Read a file by the framework whose it is."""
    try:
        return frameworks["torch" if _is_torch(path) else "keras"].call(processes.read, path)
    except ValueError as error:
        raise InputError(f"SOURCE {error}") from error


def _is_torch(path: Path) -> bool:
    """Whether a file is a pickle or holds a state dict; what can't be read as such is left to Keras's reader."""
    from compare.weights.sources import _is_pickle

    if _is_pickle(path):
        return True
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = file.read(min(size, 2**24)) if file.read(1) == b"{" else b""
    except OSError:
        return False
    return b".weight" in header and b"/kernel" not in header


def _write(
    frameworks: dict[str, Process], target: Destination, folder: Path, arrays: Arrays, network: Network
) -> Arrays:
    """Write the file and return the arrays that are in it.

    Raises:
        InputError: it can't be written.
        RuntimeError: it holds other arrays, epsilon, decay or variant than it was given.
    """
    path, framework = folder / target.path.name, frameworks[target.framework]
    try:
        framework.call(processes.write, path, arrays, network, target.layout)
        again, said = framework.call(processes.read, path)
    except ValueError as error:
        raise InputError(f"DEST {target.path}: {error}") from error
    different = sorted(arrays.keys() ^ again.keys())
    different += [n for n in sorted(arrays.keys() & again.keys()) if not _equal(arrays[n], again[n])]
    different += [fact for fact in said["told"] if said[fact] != getattr(network, fact)]
    if different:
        raise RuntimeError(f"{target.path} holds something else than it was given: {', '.join(different)}")
    return again


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same bit for bit."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _folder(dest: Path) -> tempfile.TemporaryDirectory:
    try:
        return tempfile.TemporaryDirectory(prefix=".compare-port-", dir=dest.parent)
    except OSError as error:
        raise InputError(f"DEST {dest}: can't write there: {error.strerror}") from error


def _move(folder: Path, dest: Path, beside: Path) -> None:
    """Give the file and its certificate their names."""
    (folder / beside.name).replace(beside)
    (folder / dest.name).replace(dest)


def _left(said: dict) -> list[str]:
    left = [f"{name}, which is no weight" for name in said["left"] if "optim" not in name]
    optimizer = [
        f"{name}: state of an optimizer; training goes on from a fresh one"
        for name in said["left"]
        if "optim" in name
    ]
    return optimizer + left


def _afterwards(target: Destination, network: Network) -> list[str]:
    """What the file's format has no place for."""
    if network.backbone != "resnet50" or target.brings_its_graph:
        return []
    keeps = (
        "PyTorch keeps epsilon and decay"
        if target.framework == "torch"
        else "a file of weights leaves epsilon and decay"
    )
    return [f"{keeps} in code: these weights are for epsilon {network.epsilon:g}, decay {network.decay:g}"]


def _file(path: Path, kind: str) -> dict:
    return {"name": path.name, "sha256": sha256(path), "format": kind}


def _other(framework: str) -> str:
    return "torch" if framework == "keras" else "keras"


def _verdict(stages: list, verdict: str) -> str:
    departed = [stage for stage in stages if stage.verdict != "same"]
    if departed:
        figure = f", {departed[0].worst.relative:.1e} relative" if departed[0].worst else ""
        return f"{verdict} at {departed[0].place} ({departed[0].name}{figure})"
    worst = max((stage for stage in stages if stage.worst), key=lambda stage: stage.worst.excess)
    trained = " and train alike" if any(stage.name == "gradients" for stage in stages) else ""
    nearest = f"nearest its bar: {worst.name}, {worst.worst.relative:.1e} relative"
    return f"{verdict}: Keras and PyTorch agree in every layer{trained}; {nearest}"
