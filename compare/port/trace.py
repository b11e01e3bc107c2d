"""What each framework does for a port, in a process of its own: write, and compute with what it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from compare.frameworks import FRAMEWORKS, Framework
from compare.processes.worker import Worker, WorkerDiedError
from compare.spec import InputError
from compare.weights.network import Arrays, Network
from compare.weights.original import Original

# stage -> whether layers behave as in training
MODES = {"forward": False, "forward-batch": True}


class Process:
    """A process of one framework; a context manager, which ends it.

    Args:
        name: ``keras`` or ``torch``.
    """

    def __init__(self, name: str) -> None:
        self.worker = Worker(FRAMEWORKS[name])

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop()

    def call(self, function: Callable, *arguments: object) -> Any:
        """Call one of this module's functions there, with the framework in front of the arguments.

        Raises:
            InputError: the process was killed.
        """
        try:
            return self.worker.call(function, self.worker.framework, *arguments)
        except WorkerDiedError as died:
            raise InputError(str(died)) from None


def write(
    framework: Framework, path: Path, arrays: Arrays, network: Network, layout: str, names: dict[str, str]
) -> None:
    """Write a file by a framework's own writer; arguments as of ``saving.write``.

    Raises:
        InputError: it can't be written.
    """
    try:
        framework.module("saving").write(path, arrays, network, layout, names)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise InputError(f"can't write it: {reason}") from error


def compare_original(
    framework: Framework, own: Original, arrays: Arrays, network: Network, images: np.ndarray
) -> Any:
    """Load a file by its framework alone, run it, and compare with what its arrays compute as this network.

    Returns:
        A `compare.parity.figures.Stage`.

    Raises:
        ValueError: the framework can't load it.
    """
    from compare.parity.figures import Stage, judge
    from compare.parity.tolerances import of_layer

    function = framework.module("files").original(
        own.paths, own.form, network, own.layout, own.keys, own.where
    )
    forward = _forward(framework, arrays, network, images, "float32")
    reference, read = function(images), list(forward(False).values())[-1]
    twin = list(forward(False, moved=_one_rounding_away(images, "float32")).values())[-1]
    row = _row("output", read, reference, twin, None, of_layer(False, True).bar("float32"))
    return judge(Stage("original", rows=[row]))


def trace(framework: Framework, arrays: Arrays, network: Network, images: np.ndarray, dtype: str) -> Arrays:
    """Run a network in both modes and return every layer's output, as ``stage/layer``."""
    forward = _forward(framework, arrays, network, images, dtype)
    return {f"{stage}/{name}": a for stage, mode in MODES.items() for name, a in forward(mode).items()}


def compare_trace(
    framework: Framework,
    arrays: Arrays,
    network: Network,
    images: np.ndarray,
    dtype: str,
    traced: Arrays,
    folded: bool,
) -> list:
    """Run a network in both modes and compare every layer with what `trace` returned.

    Args:
        folded: the other network has biases that this one's moving means have taken in: convolutions differ
            by them, and a layer can't be fed the other's input.

    Returns:
        A `compare.parity.figures.Stage` for each mode.
    """
    from compare.parity.figures import Stage, judge
    from compare.parity.tolerances import of_layer

    forward = _forward(framework, arrays, network, images, dtype)
    # a folded mean is rounded to the file's dtype, so that float32's rounding is in every result
    rounded = "float32" if folded else dtype
    stages = []
    for stage, mode in MODES.items():
        reference = {n.partition("/")[2]: a for n, a in traced.items() if n.startswith(f"{stage}/")}
        own, twin = forward(mode), forward(mode, moved=_one_rounding_away(images, rounded))
        single = {} if folded else forward(mode, reference)
        names = [name for name in own if not (folded and name.endswith("_conv"))]
        bars = [of_layer(mode, name == names[-1]).bar(rounded) for name in names]
        rows = [
            _row(name, own[name], reference[name], twin[name], single.get(name), bar)
            for name, bar in zip(names, bars, strict=True)
        ]
        stages.append(judge(Stage(f"{stage} {dtype}", rows=rows)))
    return stages


def _row(
    name: str, own: np.ndarray, reference: np.ndarray, twin: np.ndarray, single: np.ndarray | None, bar: float
) -> Any:
    """Compare a layer's outputs; the bar rises where the network itself magnifies one rounding that far."""
    from compare.parity.figures import compare
    from compare.parity.tolerances import TWIN_FACTOR

    apart = compare(name, twin, own, bar).relative
    row = compare(name, own, reference, max(bar, TWIN_FACTOR * apart))
    row.note = f"a twin with images one rounding away: {apart:.1e}"
    if single is not None:
        alone = compare(name, single, reference, bar)
        row.introduced = not alone.same
        row.note += f"; on the reference's input: {alone.relative:.1e}"
    return row


def _one_rounding_away(images: np.ndarray, dtype: str) -> np.ndarray:
    up = np.random.default_rng(0).random(images.shape) < 0.5
    images = images.astype(dtype)
    return np.nextafter(images, np.where(up, np.inf, -np.inf).astype(dtype))


def versions(framework: Framework) -> dict[str, str]:
    """Versions of what computes."""
    return framework.versions()


def _forward(
    framework: Framework, arrays: Arrays, network: Network, images: np.ndarray, dtype: str
) -> Callable:
    """Build a network with its weights and return a function of the mode that gives every layer's output."""
    framework.set_dtype(dtype)
    model = framework.module("networks").build(network, dropout=False)
    framework.module("weights").from_arrays(model, arrays)

    def forward(training: bool, reference: Arrays | None = None, moved: np.ndarray = images) -> Arrays:
        return framework.module("tracing").forward(model, moved, training, reference)

    return forward
