"""What a person got wrong is one line that names it, and nothing is changed; lazy layers get their shapes on a copy."""

import itertools
import warnings

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import compare
from compare.diagnosis import looking
from compare.spec import InputError
from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.toys import loader, mlp, toy


def forgets():
    raise ZeroDivisionError("mine")


def compiled(net):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and still met
        return torch.jit.script(net)


class Parted(nn.Module):
    def __init__(self, device):
        super().__init__()
        self.near, self.far = nn.Linear(8, 8), nn.Linear(8, 3, device=device)


WRONG = {
    "a class": (nn.Linear, {}, "model is the class Linear; give an object of it"),
    "a scripted model": (
        compiled(mlp()),
        {},
        "model is compiled by torch.jit, which hides what it does: give the module it is made of",
    ),
    "a scripted part of a model": (
        nn.Sequential(compiled(nn.Linear(8, 8)), nn.Linear(8, 3)),
        {},
        "model.0 is compiled by torch.jit",
    ),
    "no model": (3, {}, "model is int; it must be a keras.Model, a torch.nn.Module"),
    "a limit of 0": (None, {"limit": 0}, "limit is 0; it must be a whole number, 1 or more"),
    "steps below 0": (None, {"steps": -1}, "steps is -1; it must be"),
    "a word for a batch": (None, {"batch_size": "all"}, "batch_size is 'all'; it must be"),
    "a word for a seed": (None, {"seed": "x"}, "seed is 'x'; it must be"),
    "a number for a loss": (None, {"loss": 3}, "loss is int; it must be a function"),
    "a dataset": (
        None,
        {"data": TensorDataset(*toy())},
        "data gives single samples and not batches: give a DataLoader",
    ),
    "samples with a number each": (None, {"data": [(torch.zeros(8), 1)] * 3}, "data gives single samples"),
    "the class of a loss": (
        None,
        {"loss": nn.CrossEntropyLoss},
        "loss is the class CrossEntropyLoss; give an object of it: CrossEntropyLoss()",
    ),
    "a list of metrics": (None, {"metrics": [len]}, "metrics must be a dictionary of functions"),
    "a function that raises": (
        None,
        {"data": forgets},
        "mine",
    ),
    "rows of another width": (
        None,
        {"data": loader(toy(width=5))},
        "its loss refuses the data: mat1 and mat2",
    ),
    "a loss that returns nothing": (
        None,
        {"loss": lambda o, t: None},
        "loss returned NoneType for a loss; it must",
    ),
    "a step that returns a pair": (
        None,
        {"loss": None, "step": lambda net, batch: (CE(net(batch[0]), batch[1]), 1)},
        "step returned tuple for a loss; it must be a number",
    ),
    "a step that trains": (
        None,
        {"loss": None, "step": lambda net, batch: CE(net(batch[0]), batch[1]).backward()},
        "step computes gradients; it must return the loss alone",
    ),
    "two devices": (Parted("meta"), {}, r"model is on several devices \(cpu, meta\)"),
    "no values": (nn.Linear(8, 3, device="meta"), {}, "device meta, which holds no values"),
}


@pytest.mark.parametrize("what", WRONG)
def test_it_is_one_line(what):
    model, options, message = WRONG[what]
    net = mlp() if model is None else model
    given = {"data": loader(toy(32)), "loss": CE, **options}
    with pytest.raises(InputError, match=message) as caught:
        compare.diagnose(net, given.pop("data"), **given)
    assert "\n" not in str(caught.value)


X, Y = toy(64)


def shuffled():
    while True:
        for part in torch.randperm(64).split(16):
            yield X[part], Y[part]


def drawn():
    while True:
        part = torch.randint(0, 64, (16,))
        yield X[part], Y[part]


class Augmented(IterableDataset):
    """Never the same sample twice, and no end; each iteration is a new one."""

    def __iter__(self):
        while True:
            yield X[0] + torch.randn(8), Y[0]


class Batches:
    """No generator, but its iteration is one."""

    def __iter__(self):
        return ((x[None].repeat(4, 1), y[None].repeat(4)) for x, y in Augmented())


ENDLESS = {
    "shuffled": (shuffled, "gives the same 64 samples again and again"),
    "drawn": (drawn, "gives the same 64 samples again and again"),
    "augmented": (Batches(), "gives more than 4,096 batches"),
    "a loader": (DataLoader(Augmented(), 4), "gives more than 4,096 batches"),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_data_without_an_end_are_refused_unless_their_steps_are_said(what):
    data, words = ENDLESS[what]
    with pytest.raises(InputError, match=f"^data {words}.*: say how many batches a pass has with steps=$"):
        compare.diagnose(mlp(), data, loss=CE)
    assert compare.diagnose(mlp(), data, loss=CE, steps=4).samples in (16, 64)


def test_evaluations_data_without_an_end_must_be_cut_since_steps_are_fits():
    with pytest.raises(InputError, match=r"^evaluate_data gives the same .*: give one pass over it alone"):
        compare.diagnose(mlp(), loader(toy(64)), loss=CE, evaluate_data=shuffled, steps=4)
    cut = compare.diagnose(
        mlp(), loader(toy(64)), loss=CE, evaluate_data=lambda: itertools.islice(shuffled(), 4)
    )
    assert cut.probes.restored == "same"


def test_who_waits_for_data_that_may_never_end_is_told_so_once(monkeypatch, capsys):
    monkeypatch.setattr(looking, "PATIENCE", 0)
    with pytest.raises(InputError, match="data gives the same"):
        compare.diagnose(mlp(), shuffled, loss=CE)
    said = "data: 1 batches so far; if it never ends, say how many batches a pass has with steps=\n"
    assert capsys.readouterr().err == said


def lazy():
    return nn.Sequential(
        nn.LazyLinear(8), nn.LazyBatchNorm1d(momentum=0.001), nn.ReLU(), nn.LazyLinear(3)
    ).train()


def test_lazy_layers_are_seen_as_they_act_and_go_on_waiting():
    net, drawn = lazy(), torch.get_rng_state()
    found = compare.diagnose(net, loader(toy(96, shift=4.0), 32), loss=CE)
    rows = {row.layer: (row.fit, row.evaluate) for row in found.audit.rows}
    assert rows == {"1": ("batch", "moving")}
    assert found.probes.restored == "same"
    assert all(torch.nn.parameter.is_lazy(p) for p in net[0].parameters())
    assert type(net[1]) is nn.LazyBatchNorm1d
    assert torch.equal(drawn, torch.get_rng_state())


def test_lazy_layers_that_have_their_shapes_are_like_any_others():
    net = lazy()
    data = loader(toy(96, shift=4.0), 32)
    net(next(iter(data))[0])
    assert compare.diagnose(net, data, loss=CE).findings[0].cause == "stale-statistics"
    assert [row.fit for row in compare.audit(net).rows] == ["batch"]


def test_an_audit_of_lazy_layers_asks_for_a_batch():
    with pytest.raises(InputError, match="call it once on a batch"):
        compare.audit(lazy())
