"""Data, steps and figures in the ways of public training programs: each was once refused, or told something wrong."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

import compare
from compare.spec import InputError
from tests.torch.diagnosis.toys import evaluated, loader, mlp, toy, trained

CE = F.cross_entropy


def percent(outputs, targets):
    return 100 * (outputs.argmax(1) == targets).float().mean()


@pytest.fixture(scope="module")
def classifier():
    return trained(mlp(), loader(toy(128)))


@pytest.mark.parametrize(
    ("name", "metrics"), [("accuracy", None), ("acc", None), ("top1", None), ("acc1", {"acc1": percent})]
)
def test_an_accuracy_in_percent_and_by_another_name_is_no_other_accuracy(classifier, name, metrics):
    net, seen = classifier
    right = 100 * sum((net.eval()(x).argmax(1) == y).sum().item() for x, y in loader(toy(128))) / 128
    for value, harmful in ((right, False), (right - 30, True)):
        reported = seen | {f"evaluate_{name}": value}
        found = compare.diagnose(net, loader(toy(128)), loss=CE, metrics=metrics, reported=reported)
        assert any(one.cause == "metric" for one in found.findings) == harmful


class Drawn(Dataset):
    """A pair of samples for each number, drawn when it is asked for."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return 64

    def __getitem__(self, number):
        i = torch.randint(len(self.data[0]), ())
        return self.data[0][i], self.data[1][i]


def test_evaluation_of_samples_drawn_anew_is_told_with_a_cure_for_data_and_a_wrong_mean_beside_it(classifier):
    net, seen = classifier
    drawn = DataLoader(Drawn(toy(128, shift=0.1)), 16)
    summed = evaluated(net, drawn) / 16
    reported = {"loss": seen["loss"], "evaluate_loss": summed}
    found = compare.diagnose(net, loader(toy(128)), loss=CE, evaluate_data=drawn, reported=reported)
    assert found.findings[0].cause == "random-evaluation"
    assert "list(loader)" in found.findings[0].cure.code
    assert "aggregation" in [one.cause for one in found.findings]


class Sampled(nn.Module):
    """A code that is drawn in evaluation, too."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(8, 4), nn.Linear(4, 3)

    def forward(self, x):
        mean = self.encode(x)
        return self.decode(mean + torch.randn_like(mean))


def test_what_forward_draws_is_not_cured_by_a_dropout():
    torch.manual_seed(0)
    first = compare.diagnose(Sampled(), loader(toy(64)), loss=CE).findings[0]
    assert first.cause == "random-evaluation"
    assert "randn" in first.cure.code
    assert "dropout" not in first.cure.code


class Graph(nn.Module):
    def __init__(self, matrix):
        super().__init__()
        self.register_buffer("known", matrix)
        self.first, self.second, self.dropout = nn.Linear(8, 16), nn.Linear(16, 3), nn.Dropout(0.5)

    def forward(self, x, matrix):
        x = torch.spmm(matrix, self.dropout(F.relu(torch.spmm(self.known, self.first(x)))))
        return self.second(x)


@pytest.mark.parametrize("written_out", [2**22, 1], ids=["small", "large"])
def test_a_graph_with_a_sparse_matrix_is_diagnosed(monkeypatch, written_out):
    monkeypatch.setattr("torch_impl.nested.WRITTEN_OUT", written_out)
    x, y = toy(40)
    matrix = (
        (torch.rand(40, 40, generator=torch.Generator().manual_seed(1)) < 0.1) | torch.eye(40).bool()
    ).float()
    matrix = (matrix / matrix.sum(1, keepdim=True)).to_sparse()
    torch.manual_seed(0)
    net = Graph(matrix)

    def step(model, batch):
        (features, edges), labels = batch
        return {"loss": CE(model(features, edges)[:30], labels[:30]), "n": 30}

    found = compare.diagnose(net, [((x, matrix), y)], step=step)
    assert [row.layer for row in found.audit.rows] == ["dropout"]
    assert found.probes.restored == "same"


def joined(samples):
    """Images in a batch, their targets of several lengths in a row."""
    images, targets, lengths = zip(*samples, strict=True)
    return torch.stack(images), torch.cat(targets), torch.tensor(lengths)


@pytest.mark.parametrize("momentum", [0.1, 0.001])
def test_targets_of_several_lengths_in_a_row_are_taken_as_they_come(momentum):
    torch.manual_seed(0)
    x, y = toy(64, shift=3.0)
    samples = [(x[i], y[i].repeat(i % 3 + 1), i % 3 + 1) for i in range(64)]
    data = DataLoader(samples, 16, shuffle=True, collate_fn=joined)
    net = mlp(momentum=momentum)

    def step(model, batch):
        images, targets, lengths = batch
        assert len(targets) == lengths.sum()  # as ctc_loss asks of its own
        rows = torch.arange(len(images)).repeat_interleave(lengths)
        return {"loss": CE(model(images)[rows], targets), "n": len(images)}

    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for epoch in range(16):
        optimizer.param_groups[0]["lr"] = 0.01 if epoch < 8 else 1e-5
        for batch in data:
            optimizer.zero_grad()
            loss = step(net, batch)["loss"]
            loss.backward()
            optimizer.step()
    found = compare.diagnose(net, data, step=step, reported={"loss": loss.item()})
    assert found.probes.data_twice == "same"
    assert any("dealt to other batches" in note for note in found.notes)
    assert found.harmful == (momentum == 0.001)
    if found.harmful:
        assert found.findings[0].cause == "stale-statistics"


class Detector(nn.Module):
    """Losses in training mode, predictions in evaluation mode, as torchvision's detectors."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 1)

    def forward(self, images, targets=None):
        made = [self.layer(image) for image in images]
        if not self.training:
            return made
        return {"loss": sum((m.mean() - t["boxes"].mean()) ** 2 for m, t in zip(made, targets, strict=True))}


def listed(count=12):
    g = torch.Generator().manual_seed(2)
    return [
        (torch.randn(3, 8, generator=g), {"boxes": torch.rand(i % 2 + 1, 4, generator=g)})
        for i in range(count)
    ]


def apart(samples):
    return tuple(zip(*samples, strict=True))


def test_samples_that_are_listed_one_by_one_are_counted_and_taken_one_by_one():
    torch.manual_seed(0)

    def step(model, batch):
        images, targets = batch
        assert len(images) == len(targets)
        model.train()
        return {"loss": sum(model(list(images), targets).values()) / len(images), "n": len(images)}

    found = compare.diagnose(Detector(), DataLoader(listed(), 4, shuffle=True, collate_fn=apart), step=step)
    assert found.samples == 12
    assert found.probes.data_twice == "same"


def test_a_step_that_fails_in_evaluation_alone_is_told_so():
    def step(model, batch):
        return sum(model(*batch).values())

    with pytest.raises(InputError, match="in evaluation mode; in training mode") as caught:
        compare.diagnose(Detector(), DataLoader(listed(), 4, collate_fn=apart), step=step)
    assert "\n" not in str(caught.value)


def test_a_step_that_reads_the_mode_of_what_it_never_calls_has_two_objectives():
    torch.manual_seed(0)
    both = nn.ModuleDict({"first": nn.Linear(8, 3), "second": nn.Linear(3, 3)})

    def step(model, batch):
        x, y = batch
        told = F.one_hot(y, 3).float() if model.training else model["first"](x)
        return {"loss": CE(model["second"](told), y), "n": len(y)}

    data = loader(toy(64))
    optimizer = torch.optim.Adam(both.parameters(), 0.05)
    for _ in range(20):
        for batch in data:
            optimizer.zero_grad()
            step(both, batch)["loss"].backward()
            optimizer.step()
    found = compare.diagnose(both, data, step=step)
    assert found.gap > 0.1
    assert (found.findings[0].cause, found.harmful) == ("objective", False)


class Graphs:
    """A batch of graphs in an object of its own class: the nodes of all of them, and a target for each."""

    def __init__(self, samples):
        nodes, self.y = [x for x, _ in samples], torch.stack([y for _, y in samples])
        self.x, self.number = (
            torch.cat(nodes),
            torch.arange(len(nodes)).repeat_interleave(torch.tensor([len(x) for x in nodes])),
        )

    def to(self, device):
        return self


@dataclass(frozen=True)
class Pair:
    x: torch.Tensor
    y: torch.Tensor


def paired(samples):
    return Pair(torch.stack([x[0] for x, _ in samples]), torch.stack([y for _, y in samples]))


@pytest.mark.parametrize("collate", [Graphs, paired])
@pytest.mark.parametrize("momentum", [0.1, 0.0005])
def test_batches_may_be_objects_of_a_class_of_ones_own(collate, momentum):
    x, y = toy(96, shift=4.0)
    samples = [(torch.stack([x[i]] * (i % 3 + 1)), y[i]) for i in range(96)]
    data = DataLoader(samples, 16, shuffle=True, collate_fn=collate)
    net = mlp(momentum=momentum)

    def step(model, batch):
        made = model(batch.x)
        if hasattr(batch, "number"):
            made = torch.zeros(len(batch.y), 3).index_add(0, batch.number, made)
        return {"loss": CE(made, batch.y), "n": len(batch.y), "outputs": made, "targets": batch.y}

    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for epoch in range(20):
        optimizer.param_groups[0]["lr"] = 0.01 if epoch < 8 else 1e-5
        for batch in data:
            optimizer.zero_grad()
            step(net, batch)["loss"].backward()
            optimizer.step()
    found = compare.diagnose(net, data, step=step)
    assert found.samples == 96
    assert found.probes.data_twice == "same"
    assert [one.cause for one in found.findings if one.harmful] == (
        ["stale-statistics"] if momentum < 0.1 else []
    )
