"""What trains is what the optimizers hold that step, where they can be seen; `requires_grad` says less."""

import warnings

import pytest
import torch
from torch import nn

import compare
import compare.torch
from tests.torch.diagnosis import stories
from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.toys import loader, norms, toy


def network():
    net = stories.pretrained()
    net[-1] = nn.Linear(24, 3)
    for norm in norms(net):
        norm.momentum = 0.02
    return net.train(), loader(toy(shift=5.0, seed=3))


def watched(net, data, *optimizers, epochs=3):
    """A loop whose optimizers take turns."""
    for _ in range(epochs):
        with compare.torch.watch(net) as seen:
            for i, (x, y) in enumerate(data):
                loss = CE(net(x), y)
                net.zero_grad()
                loss.backward()
                optimizers[i % len(optimizers)].step()
                seen(loss, len(y))
    return compare.diagnose(net, data, loss=CE, reported=seen), seen


def causes(found):
    return {finding.cause for finding in found.findings}


def trains(found):
    return {row.trains for row in found.audit.rows}


def test_an_optimizer_of_the_head_alone_leaves_a_body_that_is_frozen_but_for_its_statistics():
    net, data = network()
    found, seen = watched(net, data, torch.optim.Adam(net[-1].parameters(), 0.01))
    assert seen.trained == {"6.weight", "6.bias"}
    assert trains(found) == {False}
    assert found.findings[0].cause == "not-frozen"
    assert found.findings[0].harmful
    # nobody saw an optimizer: all that may train does
    unseen = compare.diagnose(net, data, loss=CE)
    assert trains(unseen) == {True}
    assert "not-frozen" not in causes(unseen)


def test_what_another_optimizer_steps_trains_too():
    net, data = network()
    parts = torch.optim.SGD(net[:-1].parameters(), 0.01), torch.optim.Adam(net[-1].parameters(), 0.01)
    found, seen = watched(net, data, *parts)
    assert len(seen.trained) == len(list(net.parameters()))
    assert trains(found) == {True}
    assert "not-frozen" not in causes(found)


def test_an_optimizer_of_another_model_says_nothing_of_this_one():
    net, data = network()
    other = nn.Linear(2, 2)
    found, seen = watched(net, data, torch.optim.SGD(other.parameters(), 0.01))
    assert not seen.trained
    assert trains(found) == {True}


def test_a_watch_that_is_over_hears_no_optimizer():
    net, data = network()
    with compare.torch.watch(net) as seen:
        pass
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    CE(net(next(iter(data))[0]), next(iter(data))[1]).backward()
    optimizer.step()
    assert not seen.trained


def test_lightnings_trainer_tells_its_optimizers():
    pl = pytest.importorskip("lightning.pytorch", reason="Lightning isn't installed")

    class Probe(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()[0]

        def training_step(self, batch, index):
            loss = CE(self.net(batch[0]), batch[1])
            self.log("train_loss", loss, on_epoch=True, on_step=False)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.net[-1].parameters(), 0.01)

    module, (_, data) = Probe(), network()
    callback = compare.lightning.Diagnose(verbose=False)
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[callback],
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, data)
    found = callback.diagnosis
    assert trains(found) == {False}
    assert "not-frozen" in causes(found)
    assert found.probes.restored == "same"
    assert trains(compare.diagnose(module, data)) == {False}
