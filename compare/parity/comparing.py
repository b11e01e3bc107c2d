"""What the compared model's process does: the same as the reference, and then it compares itself with its files.

Each function is called there with the `Model` that the process keeps.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from compare.frameworks import FRAMEWORKS
from compare.parity import native
from compare.parity.check import Check
from compare.parity.figures import Distance, compare
from compare.parity.layers import compare_layers
from compare.parity.model import Model, state
from compare.parity.tolerances import TOLERANCES, layer_bars, rounding, twin_factor
from compare.parity.twin import moved, one_rounding_away, raise_bars, until_same
from compare.wings import Arrays

Rows = dict[str, list[Distance]]  # by stage


def forward(model: Model, training: bool, path: str) -> list[Distance]:
    """Compare every layer with the reference's: each model on its own, then each layer on its input."""
    reference, check, images = load_file(path), model.check, model.images()
    own = model.forward(training, images)
    images_own = (
        training or check.facts.evaluate_statistics == "batch" or check.facts.reestimate == "before-fit"
    )
    bars = layer_bars(list(own), images_own, check.dtype, check.kind)
    of = partial(_forward, model, training, images)
    rows = compare_layers(own, of, reference, {**bars, "images": 0.0}, "always")
    if (
        check.dtype == "float32" and model.framework.side == "torch" and check.kind != "mps"
    ):  # it has no float64
        _against_truth(rows, _float64(model, training), own, reference)
    return rows


def step(model: Model, number: int, before: str, after: str) -> Rows:
    """Take the same step from the reference's state and compare everything, stage by stage."""
    own = _same_step(model, number, before)
    rows = compare_results(model.check, own, _File(after), number + 1)
    return _beside_twin(model, rows, own, number, before)


def native_step(model: Model, number: int, before: str, after: str, keras: dict, out: str) -> Rows:
    """The same with what the defaults explain taken out: the rows are of what is left.

    Args:
        keras: the reference's configuration.
        out: where the state is written that the defaults predict; its evaluation is for the reference to do.
    """
    check, own, reference = model.check, _same_step(model, number, before), load_file(after)
    configuration = model.configuration()
    predicted = native.predict(check, load_file(before), reference, keras, configuration, model.counts)
    expected = {**reference, **predicted}
    save_file(state(expected), out)
    plain = compare_results(check, own, reference, number + 1)
    rows = compare_results(check, own, expected, number + 1)
    for stage in rows:
        for row, bare in zip(rows[stage], plain[stage], strict=True):
            layer = row.name.rpartition("/")[0]
            row.difference = bare.relative
            if layer in model.counts and stage == "statistics":
                row.note = f"n = {model.counts[layer]}"
            if f"weights/{row.name}" in predicted or f"optimizer/{row.name}" in predicted:
                row.bar = TOLERANCES["native"].bar(check.dtype, check.kind)
    del rows["evaluation"]  # follows, at the predicted state
    return _beside_twin(model, rows, own, number, before)


def evaluation(model: Model, number: int, loss: float, outputs: np.ndarray, plain: str) -> list[Distance]:
    """Compare the evaluation after a step with the reference's at the predicted state.

    Args:
        plain: file of the reference's own results.
    """
    bar, (own_loss, own_outputs) = (
        TOLERANCES["native"].bar(model.check.dtype, model.check.kind),
        model.evaluated,
    )
    reference, rows = load_file(plain), []
    for name, own, expected in (("loss", own_loss, np.array(loss)), ("outputs", own_outputs, outputs)):
        row = compare(name, own, expected, bar, step=number + 1)
        row.difference = compare(name, own, reference[f"evaluation/{name}"], bar).relative
        rows.append(row)
    return rows


def statistics(model: Model, path: str) -> list[Distance]:
    """Compare the moving statistics with the reference's, before any step."""
    bar = TOLERANCES["statistics"].bar(model.check.dtype, model.check.kind)
    own = model.training.to_arrays()
    names = [name for name in own if "/moving_" in name]
    reference = load_file(path)
    rows = [compare(name.removeprefix("weights/"), own[name], reference[name], bar) for name in names]

    def beside(number: int) -> None:
        model.begin(_moved(model, model.initial, number))
        raise_bars(rows, own, model.training.to_arrays(), "weights/")

    until_same(rows, beside)
    return rows


def run_free(model: Model, before: str, twin: int | None = None) -> list[tuple[float, np.ndarray]]:
    """Take all steps on its own and evaluate after each.

    Args:
        before: the state to start from.
        twin: which one's weights to take, one rounding away; None takes its own.
    """
    _go_to(model, before, twin)
    evaluations = []
    for number in range(model.check.steps):
        model.training.step(model.check.images(number), model.check.labels())
        evaluations.append(model.evaluate())
    return evaluations


def compare_results(check: Check, own: Arrays, reference: Mapping[str, np.ndarray], step: int) -> Rows:
    """Compare what a step gave and left behind."""
    gradients = [np.abs(reference[name]).max() for name in reference if name.startswith("gradients/")]
    largest = float(max(gradients, default=0.0))
    stages: Rows = {}
    for name in sorted(reference):
        part, _, rest = name.partition("/")
        if not rest or rest == "step":
            continue
        stage, tolerance, scale = _place(check, part, rest, largest)
        bar = TOLERANCES[tolerance].bar(check.dtype, check.kind)
        whole = TOLERANCES[tolerance].of_norm(check.dtype) and scale is None
        row = compare(rest, own[name], reference[name], bar, scale, step, whole)
        if rest == "loss" and not row.same and _cut_off(check, own[f"{part}/outputs"]):
            row.note = "a probability is within 1e-7 of 0 or 1, where Keras on JAX and on PyTorch cuts it off"
        stages.setdefault(stage, []).append(row)
    return stages


def _cut_off(check: Check, probabilities: np.ndarray) -> bool:
    """Whether one of the two computes the cross-entropy of other probabilities than these (`keras_impl.metrics`)."""
    edge = 1e-7  # keras.config.epsilon()
    both = [FRAMEWORKS[name] for name in check.frameworks]
    cuts = any(one.side == "keras" and one.backend != "tensorflow" for one in both)
    return cuts and bool(((probabilities < edge) | (probabilities > 1 - edge)).any())


def _place(check: Check, part: str, name: str, largest: float) -> tuple[str, str, float | None]:
    """The stage that an array belongs to, its tolerance, and the scale if it isn't the array's own."""
    zero = check.no_gradient(name)
    if part == "weights":
        if "/moving_" in name:
            return "statistics", "statistics", None
        if zero and check.dtype == "float32":
            return "parameters", "zero-parameters", check.learning_rate
        return "parameters", "parameters", None
    if part == "gradients":
        return "gradients", "zero-gradients" if zero else "gradients", largest if zero else None
    if part == "optimizer":
        squared = name.startswith("velocity/")
        return "optimizer", "optimizer", (largest**2 if squared else largest) if zero else None
    return part, part, None


def _same_step(model: Model, number: int, before: str, twin: int | None = None) -> Arrays:
    """Take a step from the state in a file; a twin's is one rounding away."""
    _go_to(model, before, twin)
    return model.step(number)


def _go_to(model: Model, path: str, twin: int | None) -> None:
    arrays = state(load_file(path))
    model.set_state(arrays if twin is None else _moved(model, arrays, twin))


def _beside_twin(model: Model, rows: Rows, own: Arrays, number: int, before: str) -> Rows:
    """Have twins take the step too where a bar is exceeded."""

    def beside(one: int) -> None:
        twin = _same_step(model, number, before, one)
        for stage, found in rows.items():
            prefix = "weights/" if stage in ("statistics", "parameters") else f"{stage}/"
            raise_bars(found, own, twin, prefix, twin_factor(stage))

    until_same([row for stage in rows.values() for row in stage], beside)
    return rows


def _moved(model: Model, arrays: Arrays, number: int) -> Arrays:
    """A state whose weights are one rounding away; slots and counters stay."""
    return moved(arrays, [model.check.seed, number], model.check.dtype, "weights/")


def _forward(
    model: Model,
    training: bool,
    images: np.ndarray,
    reference: Arrays | None = None,
    twin: int | None = None,
) -> Arrays:
    """Every layer's output; a twin's weights and images are one rounding away, and the model afterwards as it was."""
    if twin is None:
        return model.forward(training, images, reference)
    model.begin(_moved(model, model.initial, twin))
    try:
        return model.forward(training, one_rounding_away(images, twin, model.check.dtype))
    finally:
        model.begin(model.initial)


class _File(Mapping):
    """A file's arrays, each read when it is asked for: a state with Adam's slots is a gigabyte."""

    def __init__(self, path: str | Path) -> None:
        with safe_open(path, "numpy") as file:
            self.names = sorted(file.keys())
        self.path = path

    def __getitem__(self, name: str) -> np.ndarray:
        with safe_open(self.path, "numpy") as file:
            return file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _float64(model: Model, training: bool) -> Arrays:
    """Every layer's output computed in float64 from the same weights."""
    wide = copy.deepcopy(model.model).double()
    return model.parts.tracing.forward(wide, model.images(), training)


def _against_truth(rows: list[Distance], truth: Arrays, torch: Arrays, keras: Arrays) -> None:
    """Add both frameworks' distances from the float64 run, in units of float32's rounding."""
    for row in rows:
        exact = truth[row.name]
        unit = rounding("float32") * float(np.abs(exact).max())
        if unit:
            row.keras_ulp = float(np.abs(keras[row.name] - exact).max()) / unit
            row.torch_ulp = float(np.abs(torch[row.name] - exact).max()) / unit
