"""Each cure that the model must be trained with, or that changes how it is called: with it the finding is gone."""

import copy
import math
from types import MethodType

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import compare
from compare.diagnosis.cures import cure
from tests.torch.diagnosis import figures, reports, stories
from tests.torch.diagnosis.stories import CE, told
from tests.torch.diagnosis.test_cures import paste
from tests.torch.diagnosis.toys import evaluated, fit, loader, mlp, norms, toy


def harm(found):
    return {finding.cause for finding in found.findings if finding.harmful}


def offered(found, cause):
    return next(finding.cure.code for finding in found.findings if finding.cause == cause)


def one_source_each():
    model, data, options = stories.batches_of_one_source_each()
    return (
        model,
        data,
        options,
        lambda: nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 3)),
    )


def one_image_each():
    model, data, options = figures.batches_of_one_image()
    return model, data, options, figures.network


@pytest.mark.parametrize(
    ("made", "cause"), [(one_source_each, "unmixed-batches"), (one_image_each, "batch-noise")]
)
def test_other_batches_close_the_gap(made, cause):
    model, data, options, again = made()
    before = compare.diagnose(model, data, **options)
    mixed = paste(offered(before, cause), model, data)["loader"]
    torch.manual_seed(0)
    net, data, options = told(again(), mixed, epochs=40)
    after = compare.diagnose(net, data, **options)
    assert cause not in harm(after)
    assert abs(after.gap) < before.gap / 3


class Apart(stories.Siamese):
    """The Siamese network with the two layers that its cure makes."""

    def forward(self, a, b):
        a, b = (torch.tanh(self.hidden(own(x))) for own, x in zip(self.bn, (a, b), strict=True))
        return self.out((a - b) ** 2)


def test_a_layer_for_each_input_closes_the_gap():
    model, data, options = stories.one_layer_for_two_inputs()
    before = compare.diagnose(model, data, **options)
    names = {"nn": nn, "copy": copy, "model": model}
    exec(offered(before, "shared-layer"), names)
    net = Apart()
    net.bn = names["own"]
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(60):
        for inputs, targets in data:
            optimizer.zero_grad()
            CE(net(*inputs), targets).backward()
            optimizer.step()
    after = compare.diagnose(net, data, **options)
    assert not harm(after)
    assert after.gap < before.gap / 10


def test_a_train_that_takes_its_argument_lets_the_mode_decide():
    model, data, options = stories.train_forgets_its_argument()
    before = compare.diagnose(model, data, **options)
    names = {"nn": nn}
    exec(offered(before, "mode-override"), names)
    model.train = MethodType(names["train"], model)
    after = compare.diagnose(model, data, **options)
    assert "mode-override" in harm(before)
    assert not harm(after) & {"mode-override", "random-evaluation", "evaluation-changes-state"}


def test_a_model_in_evaluation_mode_gives_the_figure_that_was_measured():
    model, data, options = stories.evaluated_in_training_mode()
    found = compare.diagnose(model, data, **options)
    exec(offered(found, "mode-in-evaluation"), {"model": model})
    with torch.no_grad():
        loss = sum(CE(model(x), y).item() * len(y) for x, y in data) / 128
    assert loss == pytest.approx(found.measured["evaluate_loss"], rel=1e-6)
    assert loss != pytest.approx(options["reported"]["evaluate_loss"], rel=1e-2)


def test_dropout_by_the_mode_is_no_longer_random_in_evaluation():
    class Hidden(nn.Module):
        def __init__(self, code):
            super().__init__()
            self.net, self.code = mlp(), code

        def forward(self, x):
            names = {"F": F, "x": x, "model": self}
            exec(self.code, names)
            return self.net(names["x"])

    code = cure("torch", "random-evaluation").code
    for text, random in ((code, False), (code.replace("model.training", "True"), True)):
        found = compare.diagnose(*told(Hidden(text), loader(toy()))[:2], loss=CE)
        assert ("random-evaluation" in harm(found)) == random


def test_state_that_is_put_back_makes_evaluations_agree():
    code = cure("torch", "evaluation-changes-state").code
    model, data, _ = told(stories.AlwaysBatch(), loader(toy()))
    one, other = (torch.cat(paste(code, model, data)["outputs"]) for _ in range(2))
    assert torch.equal(one, other)


def test_the_mean_over_samples_is_the_figure_that_was_measured():
    model, data, options = figures.last_batch_counts_as_a_whole_one()
    found = compare.diagnose(model, data, **options)
    mean = paste(offered(found, "aggregation"), model, data)["mean"]
    assert mean == pytest.approx(found.measured["evaluate_loss"], rel=1e-6)
    assert mean != pytest.approx(options["reported"]["evaluate_loss"], rel=1e-2)


def test_a_metric_that_says_what_it_means_is_the_share_of_right_classes():
    model, _, _ = figures.accuracy_of_the_wrong_kind()
    x, y = toy()
    code = cure("torch", "metric").code
    accuracy = paste(code, model, [(x, y)])["accuracy"].item()
    assert accuracy == (model(x).argmax(1) == y).float().mean().item() > 0.6


def test_weights_that_are_loaded_whole_close_the_gap():
    model, data, options = figures.nothing_of_the_file_fits()
    before = compare.diagnose(model, data, **options)
    trained = mlp()
    fit(trained.train(), data, 12)
    exec(offered(before, "other-weights"), {"model": model, "state": trained.state_dict()})
    seen = {"loss": options["reported"]["loss"], "evaluate_loss": evaluated(model, data)}
    after = compare.diagnose(model, data, loss=CE, reported=seen)
    assert not harm(after)
    assert abs(after.gap) < before.gap / 5


def test_inputs_as_the_network_was_trained_on_close_the_gap():
    model, data, options = figures.scaled_twice()
    before = compare.diagnose(model, data, **options)
    x, y = figures.images(seed=5)
    names = {"x": x}
    exec(offered(before, "input-scale"), names)
    after = compare.diagnose(model, loader((names["x"], y)), loss=CE)
    assert "input-scale" not in harm(after)
    assert after.gap < before.gap / 5


def test_an_objective_without_its_weights_is_the_same_in_both():
    model, data, options = reports.smoothed_targets()
    found = compare.diagnose(model, data, **options)
    value = paste(offered(found, "objective"), model, data)["value"]
    x, y = next(iter(data))
    assert math.isclose(value.item(), CE(model(x), y).item(), rel_tol=1e-6)


def test_pairs_that_are_kept_together_evaluate_as_they_are():
    model, data, options = figures.labels_taken_in_another_pass()
    found = compare.diagnose(model, data, **options)
    pairs = paste(offered(found, "samples"), model, data)["loader"]
    after = compare.diagnose(model, pairs, loss=CE, reported={"evaluate_loss": evaluated(model, pairs)})
    assert not harm(after)
    assert norms(model)


class Sum(nn.Module):
    """Takes one input or two, whose average hasn't arrived."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.out = nn.BatchNorm1d(8, momentum=0.002), nn.Linear(8, 3)

    def forward(self, one, other=0.0):
        return self.out(self.norm(one + other))


def step_of_names(model, batch):
    return CE(model(batch["one"], batch["other"]), batch["label"])


FORMS = {
    "several inputs": (lambda x, y: ((x, 0.5 * x), y), None, "model(*x)"),
    "named inputs": (lambda x, y: {"one": x, "other": 0.5 * x, "labels": y}, None, "['one', 'other']"),
    "one of a name": (lambda x, y: {"image": x, "label": y}, None, "model(batch['image'])"),
    "a step": (lambda x, y: {"one": x, "other": 0.5 * x, "label": y}, step_of_names, "step(model, batch)"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_cure_calls_the_model_as_the_data_want_it(form):
    make, step, call = FORMS[form]
    net, data = Sum(), [make(x, y) for x, y in loader(toy(shift=3.0))]
    given = {"step": step} if step else {"loss": CE}
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(4):
        for x, y in loader(toy(shift=3.0)):
            optimizer.zero_grad()
            CE(net(1.5 * x if "image" not in data[0] else x), y).backward()
            optimizer.step()
    found = compare.diagnose(net, data, **given)
    assert found.findings[0].cause == "stale-statistics"
    assert call in found.findings[0].cure.code
    exec(found.findings[0].cure.code, {"model": net, "loader": data, "torch": torch, "nn": nn, **given})
    assert not compare.diagnose(net, data, **given).harmful
