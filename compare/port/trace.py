"""What each framework does for a port, in a process of its own: write, and compute with what it reads."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from compare.frameworks import Framework, own
from compare.processes.ends import End
from compare.spec import BACKBONES, InputError
from compare.weights.network import Arrays, Network
from compare.weights.original import Original


class Process(End):
    """A process of one framework, with room for one network's arrays.

    Args:
        name: ``keras`` or ``torch``.

    Raises:
        InputError: it isn't installed.
    """

    def __init__(self, name: Literal["keras", "torch"]) -> None:
        super().__init__(own(name), Held)
        self.held: Arrays | None = None

    def hold(self, arrays: Arrays) -> None:
        """Send arrays there, unless they are those that it has; the ones before them are gone.

        Raises:
            InputError: the process was killed.
        """
        if self.held is not arrays:
            self.call("hold", arrays)
            self.held = arrays


def modes(network: Network) -> dict[str, bool]:
    """Map stages to whether layers behave as in training: without BN, and dropout left out, they do the same."""
    inference = {"forward": False}
    return inference | {"forward-batch": True} if BACKBONES[network.backbone].has_bn else inference


class Held:
    """A network's arrays in their framework's process, and what is done with them there."""

    def __init__(self, framework: Framework) -> None:
        self.framework = framework
        self.arrays: Arrays = {}

    def hold(self, arrays: Arrays) -> None:
        """Have arrays take the place of those before."""
        self.arrays = arrays

    def write(self, path: Path, network: Network, layout: str, names: dict[str, str]) -> None:
        """Write a file by the framework's own writer; arguments as of ``saving.write``.

        Raises:
            InputError: it can't be written.
        """
        # JAX has no float64 until it is told so
        self.framework.set_dtype(str(next(iter(self.arrays.values())).dtype))
        try:
            self.framework.module("saving").write(path, self.arrays, network, layout, names)
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
            raise InputError(f"can't write it: {reason}") from error
        finally:
            self.framework.set_dtype("float32")

    def compare_original(self, own: Original, network: Network, images: np.ndarray) -> Any:
        """Load a file by its framework alone, run it, and compare with what its arrays compute as this network.

        Returns:
            A `compare.parity.figures.Stage`.

        Raises:
            ValueError: the framework can't load it.
        """
        from compare.parity.figures import Stage, judge
        from compare.parity.layers import compare_layers
        from compare.parity.tolerances import layer_bars

        files = self.framework.module("files")
        function = files.original(own.paths, own.form, network, own.layout, own.keys, own.where)
        reference = function(images)
        # the model that it belongs to takes as much memory as the next one
        del function
        forward = self._forward(network, images, "float32")

        def last(twin: int | None = None) -> Arrays:
            return {"output": list(forward(False, twin=twin).values())[-1]}

        bars = layer_bars(["output"], False, "float32")
        return judge(
            Stage("original", rows=compare_layers(last(), last, {"output": reference}, bars, "never"))
        )

    def trace(self, network: Network, images: np.ndarray, dtype: str, folder: Path) -> str:
        """Run a network in both modes and write every layer's output into an ``.npz`` for each.

        They go by way of files since a large network's outputs would take their memory three times over otherwise.

        Returns:
            The first layer whose output isn't finite; empty where there is none.

        Raises:
            OSError: there is no room for them.
        """
        forward = self._forward(network, images, dtype)
        odd = ""
        for stage, mode in modes(network).items():
            outputs = forward(mode)
            np.savez(folder / f"{stage}.npz", **outputs)
            odd = odd or next((name for name, array in outputs.items() if not np.isfinite(array).all()), "")
            del outputs
        return odd

    def compare_trace(
        self, network: Network, images: np.ndarray, dtype: str, folder: Path, folded: bool
    ) -> list:
        """Run a network in both modes and compare every layer with what `trace` wrote.

        Args:
            folded: the other network has biases that this one's moving means have taken in: convolutions differ
                by them, and a layer can't be fed the other's input.

        Returns:
            A `compare.parity.figures.Stage` for each mode.
        """
        from compare.parity.figures import Stage, judge

        forward = self._forward(network, images, dtype)
        # a folded mean is rounded to the file's dtype, so that float32's rounding is in every result
        rounded = "float32" if folded else dtype
        stages = []
        for stage, mode in modes(network).items():
            with np.load(folder / f"{stage}.npz") as reference:
                rows = _compared(partial(forward, mode, rounded=rounded), mode, reference, rounded, folded)
            stages.append(judge(Stage(f"{stage} {dtype}", rows=rows)))
        return stages

    def _forward(self, network: Network, images: np.ndarray, dtype: str) -> Callable:
        """Build a network with its weights and return a function of the mode that gives every layer's output."""
        from compare.parity.twin import moved, one_rounding_away

        # models refer to themselves, and the last one would take its memory for as long as nobody looks
        gc.collect()
        self.framework.set_dtype(dtype)
        tracing, weights = self.framework.module("tracing"), self.framework.module("weights")
        model = self.framework.module("networks").build(network, dropout=False, drawn=False)
        weights.from_arrays(model, self.arrays)

        def forward(
            training: bool, reference: Arrays | None = None, twin: int | None = None, rounded: str = dtype
        ) -> Arrays:
            if twin is None:
                return tracing.forward(model, images, training, reference)
            weights.from_arrays(model, moved(self.arrays, [twin], rounded))
            try:
                return tracing.forward(model, one_rounding_away(images, twin, rounded), training)
            finally:
                weights.from_arrays(model, self.arrays)

        return forward


def _compared(
    forward: Callable[..., Arrays],
    mode: bool,
    reference: Mapping[str, np.ndarray],
    rounded: str,
    folded: bool,
) -> list:
    """Compare every layer of a mode; all outputs of two runs at most are in memory at a time."""
    from compare.parity.layers import compare_layers
    from compare.parity.tolerances import layer_bars

    own = forward()
    names = [name for name in own if not (folded and name.endswith("_conv"))]
    bars = layer_bars(names, mode, rounded)
    return compare_layers(own, forward, reference, bars, "never" if folded else "departed")
