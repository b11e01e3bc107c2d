"""Modules as people write them: with a memory, further outputs, tables, copies that follow them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import compare
from compare.spec import InputError
from tests.torch.diagnosis.toys import loader, mlp, toy

CE = F.cross_entropy


class Recurrent(nn.Module):
    """A recurrent network that goes on from the state in which it was left, or only shows it."""

    def __init__(self, reset):
        super().__init__()
        self.cell, self.head = nn.GRU(8, 8, batch_first=True), nn.Linear(8, 3)
        self.reset, self.state = reset, None

    def forward(self, x):
        before = None if self.reset else self.state
        made, state = self.cell(x[:, None], before)
        self.state = state.detach()
        return self.head(made[:, -1])


@pytest.mark.parametrize("reset", [True, False])
def test_a_state_that_goes_on_from_evaluation_to_evaluation_changes_the_model(reset):
    torch.manual_seed(0)
    net = Recurrent(reset)
    data = loader(toy(64))
    for _ in range(2):
        for x, y in data:
            CE(net(x), y).backward()
    found = compare.diagnose(net, data, loss=CE)
    assert found.harmful == (not reset)
    assert found.probes.restored == "same"
    if found.harmful:
        assert found.findings[0].cause == "evaluation-changes-state"
        assert "state" in found.findings[0].evidence
        assert "deepcopy(model)" in found.findings[0].cure.code


def test_what_a_step_draws_is_not_blamed_on_the_model():
    torch.manual_seed(0)

    def step(model, batch):
        x, y = batch
        return {"loss": CE(model(x + 0.3 * torch.randn_like(x)), y), "n": len(y)}

    first = compare.diagnose(nn.Sequential(nn.Linear(8, 3)), loader(toy(64)), step=step).findings[0]
    assert (first.cause, first.layers) == ("random-evaluation", ("step",))
    assert "manual_seed" in first.cure.code


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeds = nn.ModuleList([nn.Embedding(4, 3), nn.Embedding(3, 2)])
        self.layers = nn.Sequential(
            nn.BatchNorm1d(7), nn.Linear(7, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1)
        )

    def forward(self, kinds, values):
        embedded = [embed(kinds[:, i]) for i, embed in enumerate(self.embeds)]
        return self.layers(torch.cat([*embedded, values], 1))


def tables(start, stop, scale=1.0):
    g = torch.Generator().manual_seed(3)
    kinds = torch.stack([torch.randint(4, (256,), generator=g), torch.randint(3, (256,), generator=g)], 1)
    values = torch.randn(256, 2, generator=g)
    targets = values[:, :1] + kinds[:, :1].float()
    values = scale * (50.0 * values + 300.0)
    return loader((kinds[start:stop], values[start:stop], targets[start:stop]), 32, shuffle=start == 0)


@pytest.mark.parametrize(("scale", "cause"), [(1.0, None), (1 / 255, "data-differ")])
def test_several_inputs_before_the_targets_are_inputs_to_a_step(scale, cause):
    torch.manual_seed(0)
    net, data = Table(), tables(0, 192)

    def step(model, batch):
        kinds, values, targets = batch
        return {"loss": F.mse_loss(model(kinds, values), targets), "n": len(targets)}

    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(25):
        for batch in data:
            optimizer.zero_grad()
            step(net, batch)["loss"].backward()
            optimizer.step()
    found = compare.diagnose(net, data, step=step, evaluate_data=tables(192, 256, scale))
    assert [one.cause for one in found.findings if one.harmful] == ([cause] if cause else [])
    assert not [term for term in found.terms if term.term == "other-layers"]  # a list of layers does nothing


def test_a_model_that_changes_its_weights_when_it_is_called_is_measured_from_the_same_state():
    torch.manual_seed(0)

    class Momentum(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key = mlp(), mlp(seed=1)

        def forward(self, x):
            with torch.no_grad():
                for q, k in zip(self.query.parameters(), self.key.parameters(), strict=True):
                    k.data = 0.9 * k.data + 0.1 * q.data
            return self.query(x) + self.key(x)

    found = compare.diagnose(Momentum(), loader(toy(128)), loss=CE)
    assert found.findings[0].cause == "evaluation-changes-state"
    assert not {"objective", "other-layers"} & {term.term for term in found.terms}
    assert found.probes.restored == "same"


class Helped(nn.Module):
    """Further outputs in training alone, as those of Inception and of segmentation networks."""

    def __init__(self):
        super().__init__()
        self.body, self.head, self.further = nn.Linear(8, 16), nn.Linear(16, 3), nn.Linear(16, 3)

    def forward(self, x):
        x = F.relu(self.body(x))
        return (self.head(x), self.further(x)) if self.training else self.head(x)


def test_a_loss_of_further_outputs_in_training_is_another_objective():
    torch.manual_seed(0)

    def step(model, batch):
        made = model(batch[0])
        parts = made if isinstance(made, tuple) else (made,)
        return {"loss": sum(CE(part, batch[1]) for part in parts), "n": len(batch[1])}

    found = compare.diagnose(Helped(), loader(toy(64)), step=step)
    assert (found.findings[0].cause, found.harmful) == ("objective", False)
    assert found.findings[0].value == pytest.approx(found.gap)


def test_a_dropout_left_in_training_mode_is_cured_by_evaluation_mode():
    net = mlp(drop=0.5).eval()
    net[3].train()
    first = compare.diagnose(net, loader(toy(64)), loss=CE).findings[0]
    assert first.cause == "random-evaluation"
    assert first.cure.code.startswith("model.eval()")


class Grown(nn.Module):
    """Probabilities of which some are 0, or a layer whose weights have grown out of their range."""

    def __init__(self, factor):
        super().__init__()
        self.first, self.second, self.drop = nn.Linear(8, 8), nn.Linear(8, 3), nn.Dropout(0.1)
        with torch.no_grad():
            self.second.weight.mul_(factor)

    def forward(self, x):
        return torch.softmax(self.second(self.drop(self.first(x))), 1)


@pytest.mark.parametrize(("factor", "line"), [(1e4, "float()"), (float("inf"), "named_modules")])
def test_a_loss_without_a_number_is_not_cured_by_statistics_that_nobody_has(factor, line):
    torch.manual_seed(0)
    net, data = Grown(factor), loader(toy(64))

    def loss(outputs, targets):
        return -outputs.gather(1, targets[:, None]).log().mean()

    found = compare.diagnose(net, data, loss=loss)
    assert [one.cause for one in found.findings] == ["numerics"]
    code = found.findings[0].cure.code
    assert line in code
    x, targets = toy(8)
    exec(code, {"torch": torch, "F": F, "model": net, "x": x, "targets": targets})


def test_a_loss_that_is_given_several_outputs_is_told_what_takes_them():
    with pytest.raises(InputError, match=r"returns a tuple of 2: give step\(model, batch\)") as caught:
        compare.diagnose(Helped(), loader(toy(64)), loss=CE)
    assert "\n" not in str(caught.value)
