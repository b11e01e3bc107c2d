"""PyTorch does what the table says of it, cell by cell, and a changed layer is caught."""

import pytest
import torch
from torch import nn

from compare.semantics import torch_spellings, torch_subject
from compare.semantics.bench import Bench
from compare.semantics.page import TESTED
from compare.semantics.record import Record, differences
from compare.semantics.torch_spellings import SPELLINGS
from tests.support.recorded import of_framework

RECORDED = of_framework("torch")
BENCH = Bench("torch", torch_spellings, torch_subject)


def departures(spelling):
    """Where a fresh measurement and the record, and so the page, disagree."""
    fresh = BENCH.row(spelling)
    assert fresh.code == RECORDED.row(spelling.title).code
    recorded = Record("recorded", {}, "", [RECORDED.row(spelling.title)])
    return differences(recorded, Record("fresh", {}, "", [fresh]))


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.title)
def test_the_table_is_what_is_measured(spelling):
    assert departures(spelling) == []


def test_the_table_has_these_rows_in_this_order():
    assert "torch" in TESTED
    assert [row.spelling for row in RECORDED.rows] == [spelling.title for spelling in SPELLINGS]
    assert RECORDED.packages["torch"] == torch.__version__.partition("+")[0]


def biased(module, x):
    """Keras's rule for the moving variance."""
    arrays = module.running_mean, module.running_var, module.weight, module.bias
    outputs = nn.functional.batch_norm(x, *arrays, training=module.training, eps=module.eps)
    n = x.numel() / x.shape[1]
    if module.training:  # a tenth of the unbiased variance came in
        module.running_var.data -= 0.1 * x.var((0, 2, 3)) / n
    return outputs


def frozen_with_gamma(module, x):
    """Keras's rule for a frozen layer: moving statistics."""
    training = module.training and module.weight.requires_grad
    arrays = module.running_mean, module.running_var, module.weight, module.bias
    return nn.functional.batch_norm(x, *arrays, training=training, eps=module.eps, momentum=0.1)


def deaf(module, x):
    """A layer that doesn't hear of evaluation."""
    arrays = module.running_mean, module.running_var, module.weight, module.bias
    return nn.functional.batch_norm(x, *arrays, training=True, eps=module.eps, momentum=0.1)


@pytest.mark.parametrize(
    ("forward", "title", "found"),
    [
        (biased, "BatchNorm2d()", ["variance"]),
        (
            frozen_with_gamma,
            "requires_grad_(False)",
            ["fit", "updates", "decay", "variance", "zero_debiased"],
        ),
        (deaf, "bn.eval(), then model.train()", ["evaluate", "evaluate_updates"]),
    ],
)
def test_a_layer_that_does_otherwise_is_caught(monkeypatch, forward, title, found):
    monkeypatch.setattr(nn.BatchNorm2d, "forward", forward)
    spelling = next(spelling for spelling in SPELLINGS if spelling.title == title)
    assert sorted(line.split(": ")[-2] for line in departures(spelling)) == sorted(found)


@pytest.mark.slow
@pytest.mark.parametrize("title", ["torch.compile(model)", "torch.compile(model), then bn.eval()"])
def test_the_default_compiler_does_the_same(monkeypatch, title):
    compiler = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model, backend: compiler(model))
    spelling = next(spelling for spelling in SPELLINGS if spelling.title == title)
    assert departures(spelling) == []
