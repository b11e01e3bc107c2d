"""What a person got wrong is one line that names it, and nothing is changed; lazy layers get their shapes on a copy."""

import pytest
import torch
from torch import nn

import compare
from compare.spec import InputError
from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.toys import loader, mlp, toy


def forgets():
    raise ZeroDivisionError("mine")


class Parted(nn.Module):
    def __init__(self, device):
        super().__init__()
        self.near, self.far = nn.Linear(8, 8), nn.Linear(8, 3, device=device)


WRONG = {
    "a class": (nn.Linear, {}, "model is the class Linear; give an object of it"),
    "no model": (3, {}, "model is int; it must be a keras.Model, a torch.nn.Module"),
    "a limit of 0": (None, {"limit": 0}, "limit is 0; it must be a whole number, 1 or more"),
    "steps below 0": (None, {"steps": -1}, "steps is -1; it must be"),
    "a word for a batch": (None, {"batch_size": "all"}, "batch_size is 'all'; it must be"),
    "a word for a seed": (None, {"seed": "x"}, "seed is 'x'; it must be"),
    "a number for a loss": (None, {"loss": 3}, "loss is int; it must be a function"),
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
