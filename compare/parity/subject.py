"""One framework's model under check, in its own process: it computes, and compares itself with the other's files."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from compare.cells.cell import head_arrays
from compare.frameworks import Framework
from compare.parity import native
from compare.parity.check import EVALUATED, Check
from compare.parity.figures import Row, compare
from compare.parity.tolerances import TOLERANCES, of_layer, rounding
from compare.processes.environment import peak_memory
from compare.spec import POLICIES

Arrays = dict[str, np.ndarray]


def ask(subject: Subject, request: str, *arguments: Any) -> Any:
    """Have a subject do something."""
    return getattr(subject, request)(*arguments)


class Subject:
    """A transfer model of one framework with its policy, optimizer and training."""

    def __init__(self, framework: Framework) -> None:
        self.framework = framework
        modules = framework.implementation
        self.transfer, self.bn_policy, self.optimizers = (
            modules.transfer,
            modules.bn_policy,
            modules.optimizers,
        )
        self.tracing, self.weights = modules.tracing, modules.weights
        self.built: Any = None

    def start(self, check: Check, weights: str) -> None:
        """Build the model and its training; a Keras one that is compiled already is taken again.

        Args:
            weights: file of the backbone's arrays.
        """
        self.check = check
        key = replace(check, seed=0, steps=0, weights="", image_size=0, preprocessing="")
        if self.framework.side == "torch" or self.built != key:
            self.model = self.build(check)
            policy = check.facts.facts
            self.bn_policy.apply(self.model, self.bn_policy.Policy(**policy))
            self.optimizer = self.make_optimizer(check)
            self.training = self.tracing.Training(self.model, self.optimizer)
            self.built = key
        head = self.transfer.parts(self.model)[1]
        heads = head_arrays(self.weights.to_arrays(head), check.seed)
        state = {f"weights/{name}": array for name, array in {**load_file(weights), **heads}.items()}
        self.set_state({**state, "optimizer/step": np.array(0), "counter": np.array(0)})
        if check.facts.reestimate == "before-fit":
            self.statistics().recalibrate(self.model, [(check.images(0), check.labels())])

    def build(self, check: Check) -> Any:
        """Build the model. In native numerics PyTorch's backbone is, but both draw the same dropout masks."""
        build, torch = self.transfer.build, self.framework.side == "torch"
        numerics = "matched" if self.framework.side == "keras" else check.numerics
        model = build(check.backbone, check.variant, check.width, numerics=numerics, seed=check.seed)
        if torch and numerics == "native":
            model.head = self.transfer.head(model.backbone.channels, "matched", seed=check.seed)
        if check.epsilon is not None:
            for layer in self.statistics().batch_norms(model).values():
                setattr(layer, "eps" if torch else "epsilon", check.epsilon)
        return model

    def make_optimizer(self, check: Check) -> Any:
        """Make the optimizer."""
        return self.optimizers.make(
            check.optimizer,
            self.model,
            check.learning_rate,
            check.numerics,
            momentum=check.momentum,
            weight_decay=check.weight_decay,
        )

    def statistics(self) -> Any:
        """The module that finds the BN layers and measures the population's statistics."""
        return self.framework.module("statistics")

    def set_state(self, arrays: Arrays) -> None:
        """Set weights, moving statistics, the optimizer's slots and the dropout counter."""
        self.training.from_arrays(arrays)

    def configuration(self) -> dict:
        """Facts by layer, the optimizer's among them."""
        optimizer = self.optimizers.configuration(self.model, self.optimizer)
        return {**self.tracing.configuration(self.model), "optimizer": optimizer}

    def images(self) -> np.ndarray:
        """A batch's images as the model is given them."""
        return self.check.images(0)

    def forward(self, training: bool, path: str) -> None:
        """Write what goes into the model and every layer's output."""
        save_file(self.tracing.forward(self.model, self.images(), training), path)

    def compare_forward(self, training: bool, path: str) -> tuple[list[Row], list[Row]]:
        """Compare every layer with the reference's: each model on its own, then each layer on its input."""
        reference, dtype = load_file(path), self.check.dtype
        images = self.images()
        own = self.tracing.forward(self.model, images, training)
        single = self.tracing.forward(self.model, images, training, reference)
        policy, last = POLICIES[self.check.policy], list(own)[-1]
        images_own = training or policy.evaluate_statistics == "batch" or policy.reestimate == "before-fit"
        bars = {layer: of_layer(images_own, layer == last).bar(dtype) for layer in own}
        accumulated = [compare(layer, array, reference[layer], bars[layer]) for layer, array in own.items()]
        alone = [compare(layer, array, reference[layer], bars[layer]) for layer, array in single.items()]
        self.counts = {layer: array[..., 0].size for layer, array in own.items() if layer.endswith("_bn")}
        if dtype == "float32":
            _against_truth(accumulated, self._float64(training), own, reference)
        return accumulated, alone

    def step(self, number: int, path: str) -> None:
        """Take a step on batch ``number`` and write everything it changed and gave."""
        loss, outputs = self.training.step(self.check.images(number), self.check.labels())
        save_file({**self._results(loss, outputs), **self.training.to_arrays()}, path)

    def compare_step(self, number: int, before: str, after: str) -> dict[str, list[Row]]:
        """Take the same step from the reference's state and compare everything, stage by stage."""
        return compare_results(self.check, self._same_step(number, before), _File(after), number + 1)

    def compare_native_step(
        self, number: int, before: str, after: str, keras: dict, out: str
    ) -> dict[str, list[Row]]:
        """The same with what the defaults explain taken out: the rows are of what is left.

        Args:
            keras: the reference's configuration.
            out: where the state is written that the defaults predict; its evaluation is for the reference to do.
        """
        own, reference = self._same_step(number, before), load_file(after)
        predicted = native.predict(
            self.check, load_file(before), reference, keras, self.configuration(), self.counts
        )
        expected = {**reference, **predicted}
        save_file(_state(expected), out)
        self.evaluation = own["evaluation/loss"], own["evaluation/outputs"]
        plain = compare_results(self.check, own, reference, number + 1)
        rows = compare_results(self.check, own, expected, number + 1)
        for stage in rows:
            for row, bare in zip(rows[stage], plain[stage], strict=True):
                layer = row.name.rpartition("/")[0]
                row.difference = bare.relative
                if layer in self.counts and stage == "statistics":
                    row.note = f"n = {self.counts[layer]}"
                if f"weights/{row.name}" in predicted or f"optimizer/{row.name}" in predicted:
                    row.bar = TOLERANCES["native"].bar(self.check.dtype)
        return rows

    def compare_evaluation(self, number: int, loss: float, outputs: np.ndarray, plain: str) -> list[Row]:
        """Compare the last step's evaluation with the reference's at the predicted state.

        Args:
            plain: file of the reference's own results.
        """
        bar, (own_loss, own_outputs) = TOLERANCES["native"].bar(self.check.dtype), self.evaluation
        reference, rows = load_file(plain), []
        for name, own, expected in (("loss", own_loss, np.array(loss)), ("outputs", own_outputs, outputs)):
            row = compare(name, own, expected, bar, step=number + 1)
            row.difference = compare(name, own, reference[f"evaluation/{name}"], bar).relative
            rows.append(row)
        return rows

    def evaluate_at(self, path: str, back: str) -> tuple[float, np.ndarray]:
        """Evaluate in another state, and go back to the one in the file ``back``."""
        self.set_state(_state(load_file(path)))
        try:
            return self.evaluate()
        finally:
            self.set_state(_state(load_file(back)))

    def _same_step(self, number: int, before: str) -> Arrays:
        self.set_state(_state(load_file(before)))
        loss, outputs = self.training.step(self.check.images(number), self.check.labels())
        return {**self.training.to_arrays(), **self._results(loss, outputs)}

    def save(self, path: str) -> None:
        """Write the state as it is."""
        save_file(self.training.to_arrays(), path)

    def compare_statistics(self, path: str) -> list[Row]:
        """Compare the moving statistics with the reference's, before any step."""
        bar = TOLERANCES["statistics"].bar(self.check.dtype)
        own = self.training.to_arrays()
        names = [name for name in own if "/moving_" in name]
        reference = load_file(path)
        return [compare(name.removeprefix("weights/"), own[name], reference[name], bar) for name in names]

    def run_free(self, before: str, twin: bool) -> list[tuple[float, np.ndarray]]:
        """Take all steps on its own and evaluate after each.

        Args:
            before: the state to start from.
            twin: move the first convolution's kernel by one rounding, up or down, beforehand.
        """
        state = _state(load_file(before))
        if twin:
            name = next(
                name
                for name in (f"weights/{c}/kernel" for c in ("conv1_conv", "block1_conv1"))
                if name in state
            )
            state[name] = _one_rounding_away(state[name], self.check.seed)
        self.set_state(state)
        evaluations = []
        for number in range(self.check.steps):
            self.training.step(self.check.images(number), self.check.labels())
            evaluations.append(self.evaluate())
        return evaluations

    def evaluate(self) -> tuple[float, np.ndarray]:
        """Evaluate the batch that no step trains on, as the policy has it: loss, probabilities."""
        images, labels = self.check.images(EVALUATED), self.check.labels()
        if self.check.facts.reestimate != "before-evaluate":
            return self.training.evaluate(images, labels)
        statistics = self.statistics()
        population = statistics.population(self.model, [(images, labels)])
        with statistics.substituted(self.model, population):
            return self.training.evaluate(images, labels)

    def peak_memory(self) -> int:
        """Bytes that the process has had in memory at most."""
        return peak_memory()

    def versions(self) -> dict[str, str]:
        """Versions of what computes."""
        return self.framework.versions()

    def _results(self, loss: float, outputs: np.ndarray) -> Arrays:
        """What a step gave besides the new state, the evaluation after it included."""
        evaluated, probabilities = self.evaluate()
        arrays = {f"gradients/{name}": array for name, array in self.training.gradients().items()}
        arrays |= {"loss/loss": np.array(loss, self.check.dtype), "loss/outputs": np.array(outputs)}
        return {
            **arrays,
            "evaluation/loss": np.array(evaluated, self.check.dtype),
            "evaluation/outputs": np.array(probabilities),
        }

    def _float64(self, training: bool) -> Arrays:
        """Every layer's output computed in float64 from the same weights."""
        model = copy.deepcopy(self.model).double()
        return self.tracing.forward(model, self.images(), training)


class _File(Mapping):
    """A file's arrays, each read when it is asked for: a state with Adam's slots is a gigabyte."""

    def __init__(self, path: str) -> None:
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


def compare_results(
    check: Check, own: Arrays, reference: Mapping[str, np.ndarray], step: int
) -> dict[str, list[Row]]:
    """Compare what a step gave and left behind; stage -> rows."""
    gradients = [np.abs(reference[name]).max() for name in reference if name.startswith("gradients/")]
    largest = float(max(gradients, default=0.0))
    stages: dict[str, list[Row]] = {}
    for name in sorted(reference):
        part, _, rest = name.partition("/")
        if not rest or rest == "step":
            continue
        stage, tolerance, scale = _place(check, part, rest, largest)
        bar = TOLERANCES[tolerance].bar(check.dtype)
        whole = TOLERANCES[tolerance].of_norm(check.dtype) and scale is None
        row = compare(rest, own[name], reference[name], bar, scale, step, whole)
        stages.setdefault(stage, []).append(row)
    return stages


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


def _state(arrays: Arrays) -> Arrays:
    return {n: array for n, array in arrays.items() if n.startswith(("weights/", "optimizer/", "counter"))}


def _one_rounding_away(array: np.ndarray, seed: int) -> np.ndarray:
    up = np.random.default_rng([seed, 2]).random(array.shape) < 0.5
    return np.nextafter(array, np.where(up, np.inf, -np.inf).astype(array.dtype))


def _against_truth(rows: list[Row], truth: Arrays, torch: Arrays, keras: Arrays) -> None:
    """Add both frameworks' distances from the float64 run, in units of float32's rounding."""
    for row in rows:
        exact = truth[row.name]
        unit = rounding("float32") * float(np.abs(exact).max())
        if unit:
            row.keras_ulp = float(np.abs(keras[row.name] - exact).max()) / unit
            row.torch_ulp = float(np.abs(torch[row.name] - exact).max()) / unit
