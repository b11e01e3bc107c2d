"""Weight files from one framework to the other, proven to compute the same.

from compare.port.move import port
port("model.keras", "model.pth")                                # Keras -> PyTorch
port("resnet50-0676ba61.pth", "resnet50.keras")                 # PyTorch -> Keras
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from compare.files import sha256
from compare.port import certificate
from compare.port.destination import Destination, destination, fitted
from compare.port.trace import Process
from compare.spec import EPSILONS, InputError, choose, some
from compare.weights import guard, spellings
from compare.weights.network import ACTIVATIONS, Arrays, Network, unify
from compare.weights.reading import read as read_file
from compare.weights.settle import settle
from compare.weights.source import Source


def port(
    source: str | Path,
    dest: str | Path,
    *,
    layout: str | None = None,
    fold_bias: bool = False,
    variant: str | None = None,
    epsilon: float | None = None,
    output: str | None = None,
    force: bool = False,
    say: Callable[[str], None] = print,
) -> dict:
    """Move the weights of a ResNet50 or VGG16 into another file, and prove that the network stayed the same.

    The source is run by its framework's own loading and must give what its arrays, as they were read, compute. The
    new file is read back, every array is compared bit for bit, and both frameworks compute with what each file holds,
    layer by layer, in inference mode and, where there is BN, in training mode, in float64 and float32. Only then does
    it get its name, with ``DEST.certificate.json`` beside it; after any error there is neither. That both train alike
    is `compare parity`'s to prove.

    Args:
        source: a file of weights; its content tells the format. Nothing in it is executed.
        dest: the file to write: ``.keras``, ``.weights.h5``, ``.h5``, ``.pth``, ``.pt`` or ``.safetensors``.
        layout: whose model the weights are to fit: ``project``, ``torchvision``, ``applications``,
            ``applications-old`` (layer names of Keras 1 and 2) or ``neutral``; None takes the original's class
            where it can hold them.
        fold_bias: put the convolutions' biases into the moving means, for torchvision's class.
        variant: one of `EPSILONS`, where the source can't say.
        epsilon: of batch normalisation, where the source can't say.
        output: activation of the last dense layer, one of `ACTIVATIONS`; None takes what the source gives: logits
            of a PyTorch class, what the configuration says of a Keras model.
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
    if output is not None:
        choose("--output", output, ACTIVATIONS)
    _vacant(source, dest, beside, force)
    read = _read(source)
    network, assumed = settle(read, variant, epsilon, output)
    arrays, widened = unify(read.arrays)
    _finite(source, arrays)
    say(f"read {source}: {read.describe()}; {network.describe()}; {len(arrays)} arrays")
    target = destination(dest, layout, network, fold_bias)
    goal, written, done = fitted(target, arrays, network, fold_bias)
    notes = {
        "assumed": assumed,
        "left": [f"{name}: {kind.value}" for name, kind in read.beside],
        "done": [*filter(None, [widened]), *done, *_afterwards(target, written)],
    }
    for word, lines in (("assumed", assumed), ("left behind", notes["left"]), ("", notes["done"])):
        for line in lines:
            say(f"{word}: {line}" if word else line)
    # Keras computes with the one file and PyTorch with the other; one after the other, since each takes much memory
    swapped = (read.framework, target.framework) == ("torch", "keras")
    versions: dict[str, str] = {}
    stages: list = []
    again: Arrays = {}
    with _folder(dest) as place, _temporary() as outputs:
        for name in ("keras", "torch"):
            with Process(name) as process:
                if read.framework == name:
                    stages += _as_it_is(process, read, network, arrays, notes["done"], say)
                if target.framework == name:
                    again = _write(process, target, place, goal, written)
                    say(
                        f"wrote {dest}: {target.suffix}, layout {target.layout};"
                        " read back, every array the same bit for bit"
                    )
                held = (again, written) if (name == "keras") == swapped else (arrays, network)
                if name == "keras":
                    certificate.traced(process, held, outputs, say)
                else:
                    folded = network.bias and not written.bias
                    stages += certificate.compared(process, held, outputs, folded, say)
                versions |= process.versions()
        files = {"source": _file(source, read.describe()), "dest": _file(place / dest.name, target.layout)}
        proof = certificate.certify(stages, written, {**files, **notes}, versions)
        _finish(place, dest, beside, proof)
    say(f"whether both train alike, too: compare parity --backbone {network.backbone} --weights {dest}")
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


def _read(path: Path) -> Source:
    try:
        return read_file(path)
    except InputError as error:
        raise InputError(f"SOURCE {error}") from error


def _finite(path: Path, arrays: Arrays) -> None:
    """Refuse weights that are no numbers, of which nothing could be proven."""
    for name, array in arrays.items():
        count = array.size - int(np.isfinite(array).sum())
        if count:
            raise InputError(
                f"SOURCE {path}: {name} has {count} values that aren't finite; it may be damaged"
            )


def _write(process: Process, target: Destination, folder: Path, arrays: Arrays, network: Network) -> Arrays:
    """Write the file and return the arrays that are in it.

    Raises:
        InputError: it can't be written, or holds other arrays or facts than it was given.
    """
    path = folder / target.path.name
    top = [layer.name for layer in network.top]
    layers = list(dict.fromkeys(name.rpartition("/")[0] for name in arrays))
    layout = "neutral" if (target.framework, target.layout) == ("keras", "project") else target.layout
    names = spellings.written(layout, network.backbone, layers, top)
    needed = sum(array.nbytes for array in arrays.values())
    _room(target.path, folder, needed)
    try:
        process.hold(arrays)
        process.call("write", path, network, target.layout, names)
        again = read_file(path)
        # it has the arrays' memory still
        guard.end()
    except ValueError as error:
        _room(target.path, folder, needed)
        reason = str(error).replace(str(path), str(target.path))
        raise InputError(f"DEST {target.path}: {reason.removeprefix(str(target.path)).strip()}") from error
    different = sorted(arrays.keys() ^ again.arrays.keys())
    different += [
        n for n in sorted(arrays.keys() & again.arrays.keys()) if not _equal(arrays[n], again.arrays[n])
    ]
    different += [
        fact
        for fact in ("epsilon", "decay", "variant", "pooling", "top")
        if getattr(again.told, fact) not in (None, getattr(network, fact))
    ]
    if different:
        raise InputError(f"DEST {target.path} holds something else than it was given: {some(different)}")
    return again.arrays


def _room(dest: Path, folder: Path, needed: int) -> None:
    """Refuse to write where there is no room.

    Raises:
        InputError: the disk is full.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"DEST {dest}: no space left on its disk, which is full: {needed / 1e6:.1f} MB are needed,"
            f" {free / 1e6:.1f} MB are free"
        )


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are the same bit for bit."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _as_it_is(
    process: Process, read: Source, network: Network, arrays: Arrays, done: list[str], say: Callable
) -> list:
    """Run SOURCE by its framework's own loading; what couldn't be run is said and noted in ``done``."""
    stages, unrun = certificate.prove_original(process, read, network, arrays)
    if unrun:
        done.append(unrun)
        say(unrun)
    return stages


@contextmanager
def _folder(dest: Path) -> Iterator[Path]:
    """A folder beside DEST, where it is complete before it gets its name."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=".compare-port-", dir=dest.parent)
    except OSError as error:
        raise InputError(f"DEST {dest}: can't write there: {error.strerror}") from error
    with folder as name:
        yield Path(name)


@contextmanager
def _temporary() -> Iterator[Path]:
    """A folder for what the layers give."""
    try:
        folder = tempfile.TemporaryDirectory()
    except OSError as error:
        raise certificate.no_room(Path(tempfile.gettempdir()) / "outputs", error) from error
    with folder as name:
        yield Path(name)


def _finish(folder: Path, dest: Path, beside: Path, proof: dict) -> None:
    """Write the certificate, and give it and the file their names."""
    try:
        certificate.write(folder / beside.name, proof)
        (folder / beside.name).replace(beside)
        (folder / dest.name).replace(dest)
    except OSError as error:
        raise InputError(f"DEST {dest}: can't write it: {error.strerror or error}") from error


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


def _verdict(stages: list, verdict: str) -> str:
    departed = [stage for stage in stages if stage.verdict != "same"]
    if departed:
        figure = f", {departed[0].worst.relative:.1e} relative" if departed[0].worst else ""
        return f"{verdict} at {departed[0].place} ({departed[0].name}{figure})"
    worst = max((stage for stage in stages if stage.worst), key=lambda stage: stage.worst.excess)
    nearest = f"nearest its bar: {worst.name}, {worst.worst.relative:.1e} relative"
    return f"{verdict}: Keras and PyTorch agree in every layer; {nearest}"
