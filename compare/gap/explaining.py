"""Why `fit` and `evaluate` part in an epoch of a cell: its diagnosis, and where in its network statistics are off."""

from __future__ import annotations

from typing import cast

from compare.diagnosis import judging, terms
from compare.diagnosis.case import Case
from compare.diagnosis.measured import Measured
from compare.diagnosis.measuring import as_in_fit
from compare.diagnosis.probes import Probed
from compare.diagnosis.records import STORED, Term
from compare.diagnosis.reported import Reported
from compare.diagnosis.side import Facts, Pass, Subject
from compare.gap.drift import layers, stages
from compare.gap.evaluations import Whole
from compare.gap.records import METRICS, Evaluations, Explanation, Figures
from compare.gap.trained import Epoch, Trained
from compare.spec import Behaviour


def explain(
    whole: Whole,
    fit: Figures,
    evaluate: Figures,
    behaviour: Behaviour,
    *,
    epoch: int,
    steps: int,
    name: str = "model",
) -> Explanation:
    """Diagnose a cell at the end of an epoch.

    Args:
        whole: the model at the end of the epoch, and the epoch's samples.
        fit, evaluate: what the framework reported of these samples: ``loss`` and ``accuracy``.
        behaviour: of the BN layers in that training.
        epoch: its number, from 1.
        steps: training steps up to its end.
        name: of the cell.
    """
    trained = Trained(whole, behaviour, name)
    fit, evaluate = _pair(fit), _pair(evaluate)
    case = _case(trained, fit, evaluate, steps)
    diagnosis = judging.concluded(case, judging.judge(case), restored="not asked")
    return Explanation(
        epoch,
        "asked",
        _evaluations(case.measured, fit),
        diagnosis,
        _accuracy(case),
        stages(whole) if trained.parts else {},
        tuple(layers(whole, steps if behaviour.updates else None)) if trained.parts else (),
        float(whole.side.optimizers.penalty(whole.model)),
    )


def _case(trained: Trained, fit: Figures, evaluate: Figures, steps: int) -> Case:
    """Measure what a diagnosis is made from. The evaluation is the framework's own, at the epoch's end."""
    data, subject = Epoch(trained.whole.sizes), cast(Subject, trained)
    size = max(data.look.batches)
    measured = Measured(
        trained.layers(steps), Facts(batch_size=size), Probed(), trained.switches, Pass([], dict(evaluate))
    )
    as_in_fit(subject, data, [], measured, said=False, seed=0)
    given = {**fit, **{f"evaluate_{metric}": value for metric, value in evaluate.items()}}
    reported = Reported(dict(fit), dict(evaluate), given, batch_size=size, plain=True)
    limit = trained.whole.bounds.explanation
    return Case(trained.whole.side.side, subject, measured, reported, data, None, limit, size)


def _accuracy(case: Case) -> tuple[Term, ...]:
    """The terms of the accuracy; the last step of normalisation has the cause that most of it has in the loss."""
    measured = case.measured
    assert measured.fit is not None
    moved = measured.fit.figures["accuracy"] - case.reported.fit["accuracy"]
    of_loss = [term for term in case.terms if term.term in STORED]
    cause = max(of_loss, key=lambda term: abs(term.value)).term if of_loss else STORED[0]
    found = [Term("weights-moved", moved)]
    for term in terms.of_switches(measured, "accuracy"):
        name = cause if term.term == terms.LAST_STEP else term.term
        found.append(Term(name, term.value, term.uncertainty))
    return tuple(term for term in found if term.value)


def _evaluations(measured: Measured, fit: Figures) -> Evaluations:
    """The passes by name; where nothing but dropout lies between fit and evaluate, BN's are those without it."""
    standing = {on: _pair(one.figures) for on, one in measured.standing.items()}
    every, last, averages = measured.switches, _pair(measured.evaluate.figures), measured.under_averages
    parts = "normalisation" in every
    return Evaluations(
        fit=fit,
        end_of_epoch=standing[every],
        without_dropout=standing[every - {"dropout"}] if parts else last,
        population_with_dropout=standing[every - {"normalisation"}],
        population=standing[frozenset()] if parts else last,
        evaluate=last,
        averages=None if averages is None else _pair(averages.figures),
    )


def _pair(figures: Figures) -> Figures:
    return {metric: float(figures[metric]) for metric in METRICS}
