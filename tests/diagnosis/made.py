"""Diagnoses made up for what shows them."""

from dataclasses import replace
from math import inf, nan

from compare.diagnosis.records import Audit, AuditRow, Cure, Diagnosis, Finding, Probes, Term

LONG = "backbone.encoder.stages.3.blocks.11.attention.output.normalisation.batch_norm"
CODE = """\
for module in model.modules():
    if hasattr(module, "running_mean"):
        module.momentum = 0.1  # a comment that makes this line longer than a terminal is wide
model.eval()"""


def norm(name, **changes):
    row = AuditRow(
        layer=name,
        kind="BatchNorm2d",
        trains=True,
        fit="batch",
        evaluate="moving",
        moves=True,
        virgin=False,
        calls=1,
        decay=0.9,
        epsilon=1e-5,
        drift=2.5,
        variance_drift=0.7,
    )
    return replace(row, **changes)


def drop(name):
    return AuditRow(name, "Dropout", False, "on", "off", False, False, 1, None, None, "dropout")


STALE = Finding(
    "stale-statistics",
    True,
    1.43,
    ("layer1.bn", "layer2.bn", LONG),
    "The moving statistics of layer1.bn and 2 more haven't arrived at the data's.",
    Cure("Re-estimate the statistics on the training data.", CODE),
)
DROPOUT = Finding(
    "dropout", False, -0.08, ("head.drop",), "Without dropout it is less.", Cure("Nothing is wrong.")
)
AUDIT = Audit(
    "torch",
    "Net",
    (norm("layer1.bn", drift=0.4), norm("layer2.bn"), norm(LONG, drift=3.5), drop("head.drop")),
)


def made(**changes):
    """A diagnosis with one harmful finding and one that is none."""
    diagnosis = Diagnosis(
        framework="torch",
        model="Net",
        samples=512,
        reported={"loss": 0.2, "evaluate_loss": 1.7},
        measured={"fit_loss": 0.23, "evaluate_loss": 1.7, "evaluate_accuracy": 0.61},
        gap=1.5,
        terms=(
            Term("weights-moved", 0.05),
            Term("dropout", -0.08, 0.02),
            Term("batch-noise", 0.1, 0.01),
            Term("stale-statistics", 1.43, 0.01),
        ),
        findings=(STALE, DROPOUT),
        audit=AUDIT,
        probes=Probes("same", "same", "differs", "same", "same"),
        notes=("No batch size was given; 32 is assumed, and half of the causes depend on it.",),
        given={
            "data": "DataLoader, 512 samples in 16 batches of 32",
            "reported": "loss 0.2, evaluate_loss 1.7",
        },
    )
    return replace(diagnosis, **changes)


def healthy():
    finding = Finding(
        "none", False, 0.0, (), "Nothing in this model acts differently.", Cure("There is nothing to do.")
    )
    return made(
        reported=None, gap=0.0, terms=(), findings=(finding,), audit=Audit("torch", "Net", ()), notes=()
    )


def broken():
    """An evaluation that isn't finite."""
    finding = replace(STALE, cause="numerics", value=nan)
    return made(
        gap=inf, terms=(Term("numerics", inf), Term("dropout", 0.1)), findings=(finding,), reported=None
    )
