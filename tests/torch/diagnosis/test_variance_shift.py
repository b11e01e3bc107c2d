"""Dropout before a normalisation: what is stored is of inputs that evaluation never sees (Li et al. 2018)."""

import copy

import pytest
import torch
from torch import nn

import compare
from tests.torch.diagnosis.stories import CE, told
from tests.torch.diagnosis.test_cures import paste
from tests.torch.diagnosis.toys import evaluated, loader, toy


def network(before, rate=0.7, wide=32):
    torch.manual_seed(0)
    parts = []
    for width in (8, wide) if before else (8, wide, wide):
        norm = nn.BatchNorm1d(wide)
        parts += [nn.Linear(width, wide)]
        parts += [nn.ReLU(), nn.Dropout(rate), norm] if before else [norm, nn.ReLU()]
    return nn.Sequential(*parts, *([] if before else [nn.Dropout(rate)]), nn.Linear(wide, 3))


def diagnosed(before, size=32, **options):
    net, data, known = told(network(before, **options), loader(toy(256), size), epochs=40, rate=0.005)
    return net, data, compare.diagnose(net, data, **known)


def values(found):
    return {term.term: term.value for term in found.terms}


def test_what_dropout_does_to_stored_statistics_is_dropouts_and_not_the_batches():
    _, _, found = diagnosed(before=True)
    terms = values(found)
    assert terms["variance-shift"] > 0.1
    assert abs(terms["batch-noise"]) < 0.2 * terms["variance-shift"]
    assert sum(terms.values()) == pytest.approx(found.gap, rel=1e-6)
    dropout = next(finding for finding in found.findings if finding.cause == "dropout")
    assert not dropout.harmful
    assert "before 3, 7" in dropout.evidence or "before 7, 3" in dropout.evidence
    assert "worse" in dropout.evidence
    assert not any(finding.cause == "batch-noise" for finding in found.findings)


def test_behind_the_last_normalisation_it_shifts_nothing():
    _, _, found = diagnosed(before=False)
    assert "variance-shift" not in values(found)
    assert values(found)["dropout"] < 0
    assert not any("before" in finding.evidence for finding in found.findings)


def test_batches_that_are_too_small_are_to_blame_with_dropout_behind_them():
    _, _, found = diagnosed(before=False, size=8, rate=0.5)
    assert found.findings[0].cause == "batch-noise"
    assert found.harmful


def test_statistics_without_dropout_take_the_shift_away():
    net, data, found = diagnosed(before=True)
    code = next(finding.cure.code for finding in found.findings if finding.cause == "dropout")
    shift, mended = values(found)["variance-shift"], copy.deepcopy(net)
    paste(code, mended, data)
    assert evaluated(mended, data, CE) < evaluated(net, data, CE) - 0.3 * shift
