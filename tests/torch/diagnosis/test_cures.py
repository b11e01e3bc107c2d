"""The code that a finding offers runs when it is pasted, and closes the gap where no training is needed."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

import compare
from compare.diagnosis.cures import CURES, cure
from compare.diagnosis.inputs import CHANGES
from compare.diagnosis.records import CAUSES
from tests.torch.diagnosis import stories
from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.toys import loader, mlp, toy


def paste(code, model, data):
    x, y = next(iter(data))
    names = {
        "torch": torch,
        "nn": nn,
        "F": F,
        "copy": copy,
        "DataLoader": DataLoader,
        "model": model,
        "loader": data,
    }
    with torch.no_grad():
        names |= {"x": x, "targets": y, "outputs": model(x), "loss": CE, "state": model.state_dict()}
    names["step"] = lambda model, batch: {"loss": CE(model(batch[0]), batch[1])}
    exec(code, names)
    torch.autograd.set_detect_anomaly(False)
    return names


CLOSED = (
    stories.average_that_has_not_arrived,
    stories.statistics_of_another_data_set,
    stories.momentum_of_the_other_framework,
    stories.infinite_variances,
)


@pytest.mark.parametrize("story", CLOSED, ids=lambda story: story.__name__)
def test_re_estimated_statistics_close_the_gap(story):
    model, data, _ = story()
    before = compare.diagnose(model, data, loss=CE)
    assert before.harmful
    for _ in range(2):
        paste(before.findings[0].cure.code, model, data)
    after = compare.diagnose(model, data, loss=CE)
    assert not after.harmful
    assert after.gap < max(0.3 * before.gap, 0.1)


def test_a_frozen_backbone_stays_frozen():
    model, data, _ = stories.frozen_backbone_drifts()
    found = compare.diagnose(model, data, loss=CE)
    paste(found.findings[0].cure.code, model, data)
    after = compare.diagnose(model, data, loss=CE)
    assert not after.harmful
    assert all(not row.moves for row in after.audit.rows if row.role == "normalisation")


@pytest.mark.parametrize(("cause", "detail"), [key[1:] for key in CURES if key[0] == "torch"])
def test_every_cure_has_a_sentence_and_code_that_runs(cause, detail):
    said = cure("torch", cause, ("1", "4"), detail, change="x / 255")
    assert said.text.endswith(".")
    assert "{" not in said.code
    paste(said.code, mlp(), loader(toy(64)))


def test_every_cause_has_a_cure():
    assert {cause for framework, cause, detail in CURES if framework == "torch"} == set(CAUSES)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_of_inputs_is_in_pytorch_what_it_is_on_arrays(change):
    x = torch.rand(4, 3, 5, 6) * 255
    wanted = change.apply(x.numpy().transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    names = {"x": x, "torch": torch}
    exec(cure("torch", "input-scale", (), "changed", change.written("torch")).code, names)
    changed = names["x"]
    assert changed.shape == x.shape
    assert torch.allclose(changed, torch.from_numpy(wanted.copy()).float(), rtol=1e-4, atol=1e-3)
    assert not torch.allclose(changed, x, rtol=1e-2, atol=1e-2)
