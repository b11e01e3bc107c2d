"""Any loss: what is measured is what a loop of one's own gives, in training and in evaluation, and the terms add up."""

import copy
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import compare
from tests.torch.diagnosis.reports import jaccard
from tests.torch.diagnosis.toys import loader, mlp, toy
from tests.torch.diagnosis.variants import Segmenter, labels, volumes
from torch_impl.probing import Subject

X, Y = toy(70, classes=3)
WEIGHTS = torch.tensor([1.0, 4.0, 0.5])


def outputs_of(*last):
    """A normed network with outputs of another kind."""
    return nn.Sequential(*mlp(), *last)


def smoothed(outputs, targets):
    return F.cross_entropy(outputs, targets, label_smoothing=0.1)


def weighted(outputs, targets):
    """Weights of classes: its mean is over the weights, so that it is no mean over samples."""
    return F.cross_entropy(outputs, targets, weight=WEIGHTS)


def dice(outputs, targets):
    return jaccard(outputs[:, 1], targets.float())


LOSSES = {
    "classes, logits": (mlp(), (X, Y), F.cross_entropy),
    "classes, log probabilities": (outputs_of(nn.LogSoftmax(1)), (X, Y), F.nll_loss),
    "one-hot rows": (mlp(), (X, F.one_hot(Y, 3).float()), F.cross_entropy),
    "smoothed": (mlp(), (X, Y), smoothed),
    "weighted classes": (mlp(), (X, Y), weighted),
    "binary, logits": (mlp(classes=1), (X, (Y[:, None] == 1).float()), F.binary_cross_entropy_with_logits),
    "binary, probabilities": (
        nn.Sequential(*mlp(classes=1), nn.Sigmoid()),
        (X, (Y[:, None] == 1).float()),
        F.binary_cross_entropy,
    ),
    "several labels": (mlp(classes=5), labels(70), F.binary_cross_entropy_with_logits),
    "regression": (mlp(classes=2), (X, X[:, :2] ** 2), F.huber_loss),
    "masks": (Segmenter(), volumes(20), F.cross_entropy),
    "masks, no mean over samples": (Segmenter(), volumes(20), dice),
}


def by_hand(net, data, loss, training):
    """What a loop of one's own says: a mean over samples of each batch's loss; nothing trains."""
    net, total, count = copy.deepcopy(net).train(training), 0.0, 0
    for x, y in data:
        with torch.no_grad():
            total += loss(net(x), y).item() * len(y)
        count += len(y)
    return total / count


def assert_adds_up(found):
    assert sum(term.value for term in found.terms) == pytest.approx(found.gap, rel=1e-6, abs=1e-12)
    assert found.probes.restored == "same"


@pytest.mark.parametrize("kind", LOSSES)
def test_what_is_measured_is_what_a_loop_gives(kind):
    net, arrays, loss = LOSSES[kind]
    data = loader(arrays, 16)
    found = compare.diagnose(net, data, loss=loss)
    fit, evaluate = by_hand(net, data, loss, True), by_hand(net, data, loss, False)
    assert found.measured["fit_loss"] == pytest.approx(fit, rel=1e-6)
    assert found.measured["evaluate_loss"] == pytest.approx(evaluate, rel=1e-6)
    assert fit != pytest.approx(evaluate, rel=1e-4)
    assert found.gap == pytest.approx(evaluate - fit, rel=1e-5, abs=1e-7)
    assert_adds_up(found)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.a, self.b = mlp()[:-1], nn.Linear(24, 3), nn.Linear(24, 1)

    def forward(self, x):
        h = self.body(x)
        return {"a": self.a(h), "b": self.b(h)}


def test_several_outputs_with_weights_and_a_penalty_go_through_a_step():
    torch.manual_seed(0)
    net, data = TwoHeads(), loader((X, Y), 16)

    def step(model, batch):
        x, y = batch
        outputs = model(x)
        penalty = 0.01 * sum(values.square().sum() for values in model.parameters())
        loss = F.cross_entropy(outputs["a"], y) + 0.3 * F.mse_loss(outputs["b"], x[:, :1]) + penalty
        return {"loss": loss, "n": len(y), "outputs": outputs, "targets": y}

    found = compare.diagnose(net, data, step=step)
    for training, measured in ((True, "fit_loss"), (False, "evaluate_loss")):
        other = copy.deepcopy(net).train(training)
        with torch.no_grad():
            values = [(step(other, batch)["loss"].item(), len(batch[1])) for batch in data]
        mean = sum(value * n for value, n in values) / sum(n for _, n in values)
        assert found.measured[measured] == pytest.approx(mean, rel=1e-6)
    assert_adds_up(found)


def test_weights_of_samples_are_in_the_loss():
    net, weights = mlp(), torch.rand(70, generator=torch.Generator().manual_seed(0))
    data = loader((X, Y, weights), 16)
    found = compare.diagnose(net, data, loss=F.cross_entropy)
    net.eval()
    with torch.no_grad():
        each = F.cross_entropy(net(X), Y, reduction="none")
    plain = compare.diagnose(net, loader((X, Y), 16), loss=F.cross_entropy)
    assert plain.measured["evaluate_loss"] == pytest.approx(each.mean().item(), rel=1e-6)
    assert found.measured["evaluate_loss"] != pytest.approx(plain.measured["evaluate_loss"], rel=1e-3)
    assert_adds_up(found)


def test_another_objective_is_looked_for_in_the_outputs_that_were_measured(monkeypatch):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.02), nn.Linear(16, 3))
    run, kept = Subject.run, []

    def watched(self, batches, *args, keep=False, **options):
        kept.append(keep)
        return run(self, batches, *args, keep=keep, **options)

    monkeypatch.setattr(Subject, "run", watched)
    data = loader((X, Y), 16)
    measured = compare.diagnose(net, data, loss=F.cross_entropy).measured
    assert sum(kept) == 0
    reported = {"loss": 1.2 * measured["fit_loss"], "evaluate_loss": measured["evaluate_loss"]}
    compare.diagnose(net, data, loss=F.cross_entropy, reported=reported)
    assert sum(kept) == 1


@dataclass
class Made:
    """What a model returns, with its scores among other things, as Hugging Face's do."""

    logits: torch.Tensor
    hidden: torch.Tensor


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp()

    def forward(self, x):
        return Made(self.net(x), x)


@pytest.mark.parametrize("loss", [F.cross_entropy, lambda made, y: F.cross_entropy(made.logits, y)])
def test_a_loss_may_take_all_that_a_model_makes_or_its_scores(loss):
    found = compare.diagnose(Wrapped(), loader((X, Y), 16), loss=loss)
    plain = compare.diagnose(mlp(), loader((X, Y), 16), loss=F.cross_entropy)
    for name in ("fit_loss", "evaluate_loss", "evaluate_accuracy"):
        assert found.measured[name] == pytest.approx(plain.measured[name], rel=1e-6)
    assert_adds_up(found)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_of_any_precision_is_measured_as_a_loop_measures_it(precision):
    net, data = mlp().to(precision), loader((X.to(precision), Y), 16)
    found = compare.diagnose(net, data, loss=F.cross_entropy)
    for training, measured in ((True, "fit_loss"), (False, "evaluate_loss")):
        assert found.measured[measured] == pytest.approx(
            by_hand(net, data, F.cross_entropy, training), rel=1e-6
        )
    assert_adds_up(found)
