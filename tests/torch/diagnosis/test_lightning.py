"""compare.lightning.Diagnose: the diagnosis at the end of a Trainer's fit, which goes on as without it."""

import logging
import warnings

import pytest
import torch
import torch.nn.functional as F

import compare
from tests.torch.diagnosis.toys import loader, mlp, toy

pl = pytest.importorskip("lightning.pytorch", reason="Lightning isn't installed")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = mlp(momentum=0.002)

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, index):
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, index):
        self.log("val/loss", F.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


class Frozen(pl.Callback):
    """Somebody else's callback, which has its say before the step."""

    def on_train_batch_start(self, trainer, module, batch, index):
        module.net[1].eval()


def trained(*callbacks, model=Model, validate=True, **options):
    torch.manual_seed(0)
    module, batches = model(), loader(toy(96, shift=6.0), 16, shuffle=True)
    if validate is True:
        validate = loader(toy(96, shift=6.0), 16)
    trainer = pl.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, callbacks=list(callbacks), **options,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, batches, validate or None)
    return module, batches, {name: value.item() for name, value in trainer.callback_metrics.items()}


def test_the_trainers_figures_and_weights_are_the_same_bytes_with_it():
    plain, _, figures = trained()
    callback = compare.lightning.Diagnose(verbose=False)
    module, _, same = trained(callback)
    assert figures == same
    for a, b in zip(plain.state_dict().values(), module.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert callback.diagnosis.probes.restored == "same"


def test_it_finds_what_compare_diagnose_finds():
    callback = compare.lightning.Diagnose(verbose=False)
    module, _, figures = trained(callback)
    found = callback.diagnosis
    assert found.findings[0].cause == "stale-statistics"
    assert found.gap == pytest.approx(figures["val/loss"] - figures["train/loss_epoch"])
    assert sum(term.value for term in found.terms) == pytest.approx(found.gap)
    validation = loader(toy(96, shift=6.0), 16)
    plain = compare.diagnose(
        module, validation, evaluate_data=validation,
        reported={"loss": figures["train/loss_epoch"], "evaluate_loss": figures["val/loss"]},
    )  # fmt: skip
    assert plain.findings[0].cause == found.findings[0].cause


def test_without_validation_training_data_stand_for_it_and_the_steps_losses_for_a_log():
    class Silent(Model):
        def training_step(self, batch, index):
            return F.cross_entropy(self(batch[0]), batch[1])

    callback = compare.lightning.Diagnose(verbose=False)
    trained(callback, model=Silent, validate=False, accumulate_grad_batches=2)
    found = callback.diagnosis
    assert set(found.reported) == {"loss"}
    assert found.findings[0].cause == "stale-statistics"
    # the micro-batches' losses aren't divided by their number
    assert found.reported["loss"] == pytest.approx(found.measured["fit_loss"], rel=0.5)


def test_modes_are_those_inside_the_step():
    callback = compare.lightning.Diagnose(verbose=False)
    trained(callback, Frozen())
    rows = [row for row in callback.diagnosis.audit.rows if row.role == "normalisation"]
    assert [row.fit for row in rows] == ["moving", "batch"]


def test_it_prints_the_answer(capsys):
    trained(compare.lightning.Diagnose())
    assert "stale statistics: harmful" in capsys.readouterr().out


class Counting(pl.LightningModule):
    """Logs a metric object that was only told, as Lightning's own introduction does."""

    def __init__(self):
        super().__init__()
        torchmetrics = pytest.importorskip("torchmetrics", reason="torchmetrics isn't installed")
        self.net = mlp()
        self.right = torchmetrics.Accuracy(task="multiclass", num_classes=3)

    def training_step(self, batch, index):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, index):
        outputs = self.net(batch[0])
        self.right.update(outputs, batch[1])
        self.log("val_loss", F.cross_entropy(outputs, batch[1]))
        self.log("val_acc", self.right)

    configure_optimizers = Model.configure_optimizers


def test_a_metric_that_is_told_and_logged_is_each_batchs_own():
    module, _, _ = trained(model=Counting)
    x, y = toy(96, shift=6.0)
    module.eval()
    right = (module.net(x).argmax(1) == y).float().mean().item()
    module.right.update(module.net(x[:20]), y[:20])
    told = module.right.compute().item()
    found = compare.diagnose(module, loader((x, y), 32))
    assert found.measured["evaluate_accuracy"] == pytest.approx(right)
    assert module.right.compute().item() == told
    assert found.probes.restored == "same"


class Drawing(pl.LightningModule):
    """Draws its inputs in the step, and has nothing that evaluates it, as generative networks do."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(4, 8)

    def training_step(self, batch, index):
        made = self.net(torch.randn(len(batch[0]), 4))
        return F.mse_loss(made, batch[0])

    configure_optimizers = Model.configure_optimizers


class Evaluated(Drawing):
    def validation_step(self, batch, index):
        return self.training_step(batch, index)


@pytest.mark.parametrize(("model", "harmful"), [(Drawing, False), (Evaluated, True)])
def test_a_random_step_does_harm_where_somebody_evaluates_with_it(model, harmful):
    torch.manual_seed(0)
    found = compare.diagnose(model(), loader(toy(96)))
    assert (found.findings[0].cause, found.harmful) == ("random-evaluation", harmful)


def test_a_validation_before_the_last_steps_says_nothing_of_these_weights():
    callback = compare.lightning.Diagnose(verbose=False)
    _, _, figures = trained(callback, max_steps=15)  # two epochs of six and three more
    assert "val/loss" in figures
    assert not any(name.startswith("val_") for name in callback.diagnosis.reported)
    callback = compare.lightning.Diagnose(verbose=False)
    trained(callback, max_steps=12)
    assert "val_loss" in callback.diagnosis.reported


class Two(Model):
    """Validated by two loaders, whose number a step then has to take."""

    def validation_step(self, batch, index, dataloader_idx):
        self.log("val_loss", F.cross_entropy(self(batch[0]), batch[1]))


@pytest.mark.parametrize("form", [list, lambda loaders: dict(zip("ab", loaders, strict=True))])
def test_of_several_validation_loaders_the_first_is_diagnosed_with_its_figures_and_said_to_be(form):
    first, second = toy(96, shift=6.0, seed=2), toy(64, shift=6.0, seed=3)
    callback = compare.lightning.Diagnose(verbose=False)
    _, _, figures = trained(callback, model=Two, validate=form([loader(first, 16), loader(second, 16)]))
    found = callback.diagnosis
    assert found.measured["evaluate_loss"] == pytest.approx(figures["val_loss/dataloader_idx_0"])
    assert found.reported["val_loss"] == pytest.approx(figures["val_loss/dataloader_idx_0"])
    assert "96 samples" in found.given["evaluate_data"]
    assert any("2 loaders" in note and "evaluate_data" in note for note in found.notes)


@pytest.mark.parametrize("one_of_them", [True, False])
def test_another_validation_loader_may_be_given_and_has_its_own_figures(one_of_them):
    loaders = [loader(toy(96, shift=6.0, seed=2), 16), loader(toy(64, shift=6.0, seed=3), 16)]
    given = loaders[1] if one_of_them else loader(toy(64, shift=6.0, seed=3), 16)
    callback = compare.lightning.Diagnose(evaluate_data=given, verbose=False)
    _, _, figures = trained(callback, model=Two, validate=loaders)
    said = {"val_loss": pytest.approx(figures["val_loss/dataloader_idx_1"])} if one_of_them else {}
    assert {name: value for name, value in callback.diagnosis.reported.items() if "val" in name} == said
    assert callback.diagnosis.measured["evaluate_loss"] == pytest.approx(figures["val_loss/dataloader_idx_1"])
    assert not any("2 loaders" in note for note in callback.diagnosis.notes)
