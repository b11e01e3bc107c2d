"""PyTorch's model takes the steps that Keras's took, beside twins one rounding away, and its own step as well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from compare.pair import cutting, native, training
from compare.pair.bench import Bench, arrange, rounding_away
from compare.pair.cutting import Cut
from compare.pair.matching import Values
from compare.pair.numbering import of_both, renumbered
from compare.pair.records import Arrays
from compare.pair.training import Plan
from compare.parity.figures import Distance
from compare.parity.tolerances import TWINS


class Trainer(Bench):
    """PyTorch's side in training."""

    def coupled(self, penalties: dict[str, float]) -> dict[str, float]:
        """Keras's penalties by the names that their arrays have here."""
        return {b.torch: penalties[b.keras] for b in self.map.bindings if penalties.get(b.keras)}

    def train(
        self,
        plan: Plan,
        settings: dict,
        loss: dict,
        head: list[int],
        edits: list[dict],
        axes: list,
        numerics: str,
    ) -> dict[str, Any]:
        """Take the steps that Keras took, and again from weights one rounding away.

        Args:
            head: calls of the inference pass that training leaves out.
            edits: changes of the training pass's calls.
            numerics: ``native`` takes PyTorch's own first step, too, and compares it with what its defaults predict.
        """
        held, numbers = self.keras_held, self.in_training()
        edits = [*edits, *renumbered([{"call": call, "do": "identity"} for call in head], numbers)]
        rounded, edits = (of_both(some, numbers) for some in (edits, [*edits, *self._as_keras(edits)]))
        inputs = [arrange(batch, self.arrangement) for batch in plan.inputs]
        plan = replace(plan, inputs=inputs)
        before = self.stepping.arrays(self.model)
        own = self._run(plan, settings, loss, edits, axes)
        twins: list[training.Trained] = []
        rows: dict[str, list[Distance]] = {}
        # one twin is enough where nothing is in question: another costs as much as the run itself
        for number in range(TWINS):
            away = {name: rounding_away(array, number) for name, array in before.items()}
            self.stepping.assign(self.model, away)
            twins.append(self._run(plan, settings, loss, edits, axes))
            rows = training.rows(plan, own, twins, self.map, held, self.dtype)
            if all(row.same for stage in rows.values() for row in stage):
                break
        self.stepping.assign(self.model, before)
        cut = None
        if any(not row.same for row in rows["gradients"]) and all(row.same for row in rows["loss"]):
            there = self.framework.module("cutting")
            passes = there.Gradients(self.model, settings, loss, edits=edits, axes=axes)
            cut = self._cut(plan, own, rows["gradients"], passes)
        lines: list[str] = []
        if numerics == "native":
            rows["native"], lines = self._native(plan, own, settings, loss, rounded, axes)
            self.stepping.assign(self.model, before)
        frozen = training.frozen(self.map, held, self.torch_held, plan, own)
        return {
            "rows": rows,
            "extra": training.extra(self.map, own, before),
            "frozen": frozen,
            "kept": self._kept(plan, own, rows["statistics"]),
            "cut": cut,
            "native": lines,
            "owners": self._owners(),
        }

    def _kept(
        self, plan: Plan, own: training.Trained, judged: list[Distance]
    ) -> dict[str, tuple[str, str, str]]:
        """Why moving statistics differ, where a rule explains it."""
        return (
            training.kept(self.map, self.keras_arrays, own, plan) if any(not r.same for r in judged) else {}
        )

    def _cut(self, plan: Plan, own: training.Trained, judged: list[Distance], passes: Any) -> Cut | None:
        """The place where one of them alone cuts a gradient off, if that is why gradients differ."""

        def apart(gradients: Arrays) -> set[str]:
            return training.departing(plan, gradients, judged, self.map)

        names = {b.torch for b in self.map.bindings if b.keras in apart(own.gradients)}
        seen = self.look(self.inputs, self.arrangement, True)
        readers = [call for call in seen.calls if any(slot.name in names for slot in call.slots)]
        return cutting.find(self.keras, seen, passes, (plan.inputs[0], plan.targets[0]), apart, readers)

    def _owners(self) -> dict[str, str]:
        """Keras's layer at the place of each array that has no partner: the one that computes what its reader does."""
        free = {one.name for one in self.map.left if one.side == "torch" and not one.keras_place}
        seen = self.look(self.inputs, self.arrangement)
        readers = {slot.name: call for call in seen.calls for slot in call.slots if slot.name in free}
        if not readers:
            return {}
        values = Values(seen, {}, 1e-6)
        owners: dict[str, str] = {}
        for call in self.keras.calls:
            match = next(
                (values.find(self.keras.values[n]) for n in call.outputs if n in self.keras.values), None
            )
            owners |= {match.torch: call.owner} if match is not None else {}
        return {name: owners.get(call.outputs[0], "") for name, call in readers.items()}

    def _native(
        self,
        plan: Plan,
        own: training.Trained,
        settings: dict,
        loss: dict,
        edits: list,
        axes: list,
    ) -> tuple[list[Distance], list[str]]:
        """PyTorch's own first step beside what its defaults make of Keras's, and those defaults in words."""
        before = self.stepping.arrays(self.model)
        calls = self.look(plan.inputs[0], ["last"] * len(plan.inputs[0]), True).calls
        steps = self.stepping.Steps(self.model, {**settings, "own": True}, loss, edits=edits, axes=axes)
        _, _, gradients = steps.step(plan.inputs[0], plan.targets[0])
        moved = native.statistics(calls, before, own.first)
        predicted = {**moved, **native.parameters(settings, before, gradients)}
        rows = native.rows(predicted, steps.to_arrays(), own.first, self.dtype)
        return rows, native.told(settings, moved)

    def _run(self, plan: Plan, settings: dict, loss: dict, edits: list, axes: list) -> training.Trained:
        return training.run(self.stepping.Steps(self.model, settings, loss, edits=edits, axes=axes), plan)

    def _as_keras(self, edits: list[dict]) -> list[dict]:
        """The moving variance takes in the biased one, as Keras's does: what PyTorch's can't be set to."""
        done = {edit["call"] for edit in edits}
        seen = self.look(self.inputs, self.arrangement, True)
        native = [c for c in seen.calls if c.kind == "batch_norm" and c.facts.get("variance") != "biased"]
        norms = [call.index for call in native if call.index not in done]
        made = [{"call": index, "do": "set", "arguments": {"moves": "biased"}} for index in norms]
        # PyTorch's derivatives of these two have constants of float32
        for call in seen.calls:
            if call.kind in ("hard_sigmoid", "hard_silu") and call.index not in done:
                made.append(
                    {"call": call.index, "do": "function", "name": "activate", "options": {"kind": call.kind}}
                )
        return made
