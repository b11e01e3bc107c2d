"""PyTorch's model beside what was seen of Keras's: the map, and where the two part, on a copy that may be changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from compare.pair import arrays as moving
from compare.pair import choosing, configuration, dropping, flattened, graph, mapping, optimizing, records
from compare.pair.arrays import Map
from compare.pair.configuration import Fact
from compare.pair.locate import Found, locate
from compare.pair.matching import Values, front
from compare.pair.numbering import renumbered, same_calls
from compare.pair.optimizing import Told
from compare.pair.overruling import overrule
from compare.pair.records import Call, Seen
from compare.pair.side import Side
from compare.parity.figures import Distance
from compare.parity.tolerances import TOLERANCES
from compare.parity.twin import one_rounding_away
from compare.spec import InputError

ROUNDED = 1e-12  # above rounding's own, below what a constant in float32 does
ROUGH = 1e-6  # what constants kept in float32 may amount to, when values decide between arrays


class Bench(Side):
    """PyTorch's side, which knows Keras's."""

    def meet(
        self, record: dict, values: str, arrays: str, held: dict, inputs: list[np.ndarray], given: dict
    ) -> dict[str, Any]:
        """Find the map between Keras's model and this one.

        Args:
            record, values: what was seen of Keras's in inference mode, and the file of its values.
            arrays, held: the file of its arrays, and what is known of them.
            given: what a person says of the map.
            inputs: as Keras takes them.

        Raises:
            InputError: this model can't be run on them.
        """
        self.keras = records.seen({**record, "values": load_file(values)})
        self.keras_arrays, self.keras_held = load_file(arrays), records.held(held)
        self.torch_held = records.held(self.held())
        self.own, self.inputs = self.stepping.arrays(self.model), inputs
        self.edits: list[dict] = []
        runs, failed = [], ""
        for arrangement in arrangements(inputs):
            seen = self.look(inputs, arrangement)
            if seen.error is None:
                runs.append((self._mapped(seen, inputs, arrangement), arrangement))
            failed = failed or seen.error or ""
        if not runs:
            raise InputError(f"the PyTorch model can't be run on {_told(inputs)}: {failed}")
        if len(runs) > 1:
            runs.sort(key=lambda run: -self._fit(run[0], inputs, run[1]))
        self.map, self.arrangement = runs[0]
        self.map = overrule(self.map, given, self.keras_held, self.torch_held)
        self.put(self.map)
        self.notes = self._constants_rounded()
        return {"map": self.map, "arrangement": self.arrangement}

    def for_keras(self, path: str) -> None:
        """Write this model's own arrays as Keras's."""
        arrays = moving.to_keras(self.map, self.own, self.keras_arrays)
        save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, path)

    def adopt(self, record: dict, values: str, arrays: str) -> None:
        """Take what was seen of Keras's model with this one's arrays."""
        self.keras = records.seen({**record, "values": load_file(values)})
        self.keras_arrays = load_file(arrays)
        self.put(self.map)

    def look(
        self,
        inputs: list[np.ndarray],
        arrangement: Sequence[str],
        training: bool = False,
        edits: Sequence[dict] = (),
        until: int | None = None,
    ) -> Seen:
        """One pass of this model with some of its calls changed."""
        arranged = arrange(inputs, arrangement)
        return records.seen(self.observing.observe(self.model, arranged, training, edits, until=until))

    def put(self, found: Map) -> None:
        """Overwrite this model's arrays with Keras's, where the map has them."""
        arrays = moving.to_torch(found, self.keras_arrays, self.own)
        bound = {binding.torch for binding in found.bindings}
        # an array under its second name would put back what the first one's binding set
        again = [n for n in arrays if n not in bound and self.torch_held[n].alias is not None]
        self.stepping.assign(self.model, {n: array for n, array in arrays.items() if n not in again})

    def _constants_rounded(self) -> list[str]:
        """Round constants that this model holds as arrays to float32, where that is what Keras's model has.

        Keras makes float32 of a mean that a layer is given as numbers, whatever the model computes in.
        """
        bound = {binding.torch for binding in self.map.bindings}
        free = [name for name, one in self.torch_held.items() if name not in bound and not one.trains]
        single = {name: self.own[name].astype(np.float32).astype(self.own[name].dtype) for name in free}
        single = {name: array for name, array in single.items() if not np.array_equal(array, self.own[name])}
        if not single:
            return []

        def equal() -> int:
            values = Values(self.look(self.inputs, self.arrangement), {}, ROUNDED)
            return sum(values.find(array) is not None for array in self.keras.values.values())

        plain, kept = equal(), self.own
        self.own = {**self.own, **single}
        self.put(self.map)
        if equal() > plain:
            return [f"rounded to float32 on both sides: {', '.join(single)}"]
        self.own = kept
        self.put(self.map)
        return []

    def _mapped(self, seen: Seen, inputs: list[np.ndarray], arrangement: Sequence[str]) -> Map:
        """The map from structure, and then from values where that leaves a choice."""
        keras_ops = graph.ops(self.keras, self.keras_held, True)
        torch_ops = graph.ops(seen, self.torch_held, False)
        pairs = mapping.pair_up(keras_ops, torch_ops)
        rows: flattened.Rows = flattened.flattened(pairs, self.keras, seen)
        held = (self.keras_held, self.torch_held)

        def find(rows: flattened.Rows) -> Map:
            return mapping.find(keras_ops, torch_ops, held, pairs, rows)

        def reached() -> int:
            """How far the passes go together with the pairs as they are."""
            self.put(find(rows))
            now = front(self.keras, Values(self.look(inputs, arrangement), {}, ROUGH), self.keras.outputs)
            return min((call.index for call in now.open), default=len(self.keras.calls))

        choosing.settle(pairs, reached, len(self.keras.calls))
        found = find(rows)
        for _ in range(1 + len(rows)):
            found = find(rows)
            if not flattened.may_flatten(found.pairs, self.keras):
                break
            self.put(found)
            values = Values(self.look(inputs, arrangement), {}, ROUGH)
            again = flattened.flattened(found.pairs, self.keras, seen, values)
            if again == rows:
                break
            rows = again
        return found

    def _fit(self, found: Map, inputs: list[np.ndarray], arrangement: Sequence[str]) -> float:
        """How many of Keras's values this model has."""
        self.put(found)
        values = Values(self.look(inputs, arrangement), {}, 1e-5)
        return sum(values.find(array) is not None for array in self.keras.values.values())

    def forward(
        self, inputs: list[np.ndarray], targets: list[str], record: dict | None = None, values: str = ""
    ) -> Found:
        """Find where a pass departs from Keras's.

        Args:
            targets: Keras's values that the outputs are.
            record, values: of Keras's pass in training mode; inference mode without.
        """
        training = record is not None
        edits = renumbered(self.edits, self.in_training()) if training else self.edits
        keras = records.seen({**record, "values": load_file(values)}) if record is not None else self.keras
        keras = flattened.as_there(keras, self.map.pairs, self.map.rows)

        def run(edits: list[dict], until: int | None = None, moved: int | None = None) -> Seen:
            given = inputs if moved is None else [rounding_away(x, moved) for x in inputs]
            return self.look(given, self.arrangement, training, edits, until)

        def twin(edits: list[dict], number: int) -> Seen:
            if any(x.dtype.kind == "f" for x in inputs):
                return run(edits, moved=number)
            state = self.stepping.arrays(self.model)
            self.stepping.assign(
                self.model, {name: rounding_away(array, number) for name, array in state.items()}
            )
            try:
                return run(edits)
            finally:
                self.stepping.assign(self.model, state)

        kind = "forward-batch" if training else "forward"
        floor = TOLERANCES[kind].bar(self.dtype)
        found = locate(keras, run, targets, self.map.pairs, twin, floor, self.keras_arrays, edits)
        self.edits = list(found.edits)
        return _light(found, keras, targets)

    def in_training(self) -> dict[int, int]:
        """Number of a call in inference -> its number in training, where a module may call other functions."""
        return same_calls(*(self.look(self.inputs, self.arrangement, mode).calls for mode in (False, True)))

    def ends(self) -> dict[str, Any]:
        """What the outputs are compared as: probabilities at the end of one of them are left out.

        Returns:
            ``targets``: Keras's values; ``keras``, ``torch``: what training leaves out, layers and calls; ``notes``.
        """
        seen = self.look(self.inputs, self.arrangement)
        found: dict[str, Any] = {
            "targets": [], "keras": [], "torch": [], "notes": list(self.notes), "kinds": [],
        }  # fmt: skip
        for ours, theirs in zip(self.keras.outputs, seen.outputs, strict=False):
            last, other = self.keras.maker.get(ours), _probabilities(seen, theirs)
            found["targets"].append(ours)
            found["kinds"].append(last.kind if last is not None else "")
            if last is None or last.kind not in ("softmax", "sigmoid"):
                continue
            found["keras"].append(last.place)
            if other is not None:
                found["torch"].append(other.index)
            if other is None or other.kind == "log_softmax":
                found["targets"][-1] = last.inputs[0]
                found["notes"].append(f"Keras ends in {last.kind}, PyTorch doesn't: compared as logits")
                if other is not None:
                    self.edits.append({"call": other.index, "do": "identity"})
        return found

    def configuration(self, told: Told, optimizers: tuple[dict | None, dict | None]) -> list[Fact]:
        """Settings in which the two differ.

        Args:
            told: what Keras's side says of its training.
            optimizers: settings of both, None where a model has none.
        """
        seen = self.look(self.inputs, self.arrangement, True)
        facts = configuration.sharing(self.map, self.torch_held)
        facts += configuration.norms(self.map.pairs) + configuration.tables(self.map.pairs)
        evaluated = self.look(self.inputs, self.arrangement)
        facts += dropping.rates(self.keras, seen, evaluated, self.map.pairs)
        facts += dropping.always(evaluated)
        ours, theirs = optimizers
        own = self.decayed() if self.optimizer is not None else None
        if own is not None or any(any(pair) for pair in told.decayed.values()):
            plain = all(one is None or _plain(one) for one in optimizers)
            facts += optimizing.decays(self.map, told.decayed, own, plain)
        facts += optimizing.penalties(told.added, self.map) + optimizing.limits(told.constrained, self.map)
        if own is not None and ours:
            facts += optimizing.given(self.map, self.torch_held, own)
        if ours and theirs:
            facts += optimizing.optimizers(ours, theirs)
        return facts


def _plain(settings: dict) -> bool:
    """Whether a step is the gradient alone: then a decay is the same in it and apart from it."""
    return settings["kind"] == "sgd" and not settings.get("momentum")


def _light(found: Found, keras: Seen, targets: list[str]) -> Found:
    """What the other process asks for, without the values."""
    found.outputs = {name: tuple(keras.values[name].shape) for name in targets}
    for call in keras.calls:
        for name in call.outputs:
            match = found.front.matched.get(name)
            if match is not None:
                found.rows.append(matched_row(call, match, found.values.bar(match.torch)))
    for name in targets:
        match = found.front.matched.get(name)
        plain = match is not None and len(match.axes) == keras.values[name].ndim
        found.axes.append(list(match.axes) if plain and match is not None else None)
    if found.departure is not None:
        trial = found.departure.trial
        if trial is not None:
            trial.everywhere, trial.edits = None, []
    found.torch = found.values = found.front = None  # type: ignore[assignment]
    return found


def matched_row(call: Call, match: Any, bar: float) -> Distance:
    """A layer's result as a row of the report."""
    return Distance(
        call.place,
        match.apart,
        match.apart,
        match.apart,
        1.0,
        1.0,
        bar,
        match.apart / 2.2e-16,
        note=call.kind,
    )


def _probabilities(run: Seen, value: str) -> Call | None:
    """The softmax or sigmoid at the end, with what only moves its result about behind it."""
    call = run.maker.get(value)
    while call is not None and call.kind in (
        "reshape",
        "permute",
        "transpose",
        "flatten",
        "squeeze",
        "getitem",
    ):
        call = run.maker.get(call.inputs[0])
    return call if call is not None and call.kind in ("softmax", "sigmoid", "log_softmax") else None


def rounding_away(array: np.ndarray, number: int) -> np.ndarray:
    """Every number moved by one rounding, up or down, another way each number; what isn't a real one stays."""
    return one_rounding_away(array, number) if array.dtype.kind == "f" else array


def arrangements(inputs: list[np.ndarray]) -> list[tuple[str, ...]]:
    """How inputs may lie in PyTorch: channels first for images, either for sequences."""
    fixed = tuple("first" if x.ndim >= 4 else "last" for x in inputs)
    if any(x.ndim == 3 for x in inputs):
        turned = tuple("first" if x.ndim >= 3 else "last" for x in inputs)
        return [fixed, turned]
    return [fixed]


def arrange(inputs: list[np.ndarray], arrangement: Sequence[str]) -> list[np.ndarray]:
    """Inputs as PyTorch takes them."""
    pairs = zip(inputs, arrangement, strict=True)
    return [np.ascontiguousarray(np.moveaxis(x, -1, 1)) if how == "first" else x for x, how in pairs]


def _told(inputs: list[np.ndarray]) -> str:
    return " and ".join(f"{'x'.join(map(str, x.shape[1:]))}" for x in inputs)
