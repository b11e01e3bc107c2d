"""Models that belong to a trainer: Lightning's modules and trainer, Hugging Face's models and trainer."""

import logging

import pytest
import torch

import compare
from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.toys import loader, mlp, toy

pl = pytest.importorskip("lightning.pytorch", reason="Lightning isn't installed")
torchmetrics = pytest.importorskip("torchmetrics", reason="torchmetrics isn't installed")
transformers = pytest.importorskip("transformers", reason="transformers isn't installed")
pytest.importorskip("accelerate", reason="accelerate isn't installed, which Trainer needs")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")  # trainers warn of what small cases lack


class Lit(pl.LightningModule):
    def __init__(self, net, smoothing=0.0):
        super().__init__()
        self.net, self.smoothing = net, smoothing
        self.accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=3)

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, index):
        x, y = batch
        loss = CE(self(x), y, label_smoothing=self.smoothing)
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch, index):
        x, y = batch
        outputs = self(x)
        self.accuracy(outputs, y)
        self.log_dict({"val_loss": CE(outputs, y), "val_acc": self.accuracy})

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


class ByHand(Lit):
    def __init__(self, net):
        super().__init__(net)
        self.automatic_optimization = False

    def training_step(self, batch, index):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        loss = CE(self(batch[0]), batch[1])
        self.manual_backward(loss)
        optimizer.step()
        self.log("train_loss", loss, on_epoch=True, on_step=False)


def trained(module, epochs):
    data = loader(toy(192))
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(module, data, data)
    return trainer, data, {name: value.item() for name, value in trainer.callback_metrics.items()}


def test_two_objectives_of_a_lightning_module_are_a_term():
    module = Lit(mlp(), smoothing=0.2)
    _, data, seen = trained(module, 8)
    found = compare.diagnose(module, data, reported=seen)
    assert found.findings[0].cause == "objective"
    assert not found.harmful
    assert found.measured["evaluate_loss"] == pytest.approx(seen["val_loss"], rel=1e-6)
    assert found.measured["evaluate_accuracy"] == pytest.approx(seen["val_acc"], rel=1e-6)


@pytest.mark.parametrize("kind", [Lit, ByHand], ids=["optimized by Lightning", "optimized by hand"])
def test_a_lightning_trainer_is_asked_for_its_module(kind):
    trainer, data, seen = trained(kind(mlp(momentum=0.005)), 3)
    before = {name: values.clone() for name, values in trainer.lightning_module.state_dict().items()}
    found = compare.diagnose(trainer, data, reported=seen)
    assert found.findings[0].cause == "stale-statistics"
    assert found.probes.state_after_evaluation == "same"
    after = trainer.lightning_module.state_dict()
    assert all(torch.equal(values, after[name]) for name, values in before.items())


def test_a_hugging_face_trainer_computes_its_own_loss(tmp_path):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=30, num_labels=3, max_position_embeddings=8, **sizes)
    x = torch.randint(0, 30, (48, 6))
    rows = [{"input_ids": row, "labels": int(row[0]) % 3} for row in x]
    arguments = transformers.TrainingArguments(str(tmp_path), report_to=[], use_cpu=True, disable_tqdm=True)
    trainer = transformers.Trainer(
        transformers.BertForSequenceClassification(config), arguments, train_dataset=rows, eval_dataset=rows
    )
    seen = trainer.evaluate()
    found = compare.diagnose(trainer, reported={"evaluate_loss": seen["eval_loss"]}, data=None)
    assert found.measured["evaluate_loss"] == pytest.approx(seen["eval_loss"], rel=1e-6)
    assert not found.harmful
    assert found.samples == 48
    assert found.probes.alone_and_in_batch == "same"
    assert {row.role for row in found.audit.rows} == {"dropout", "normalisation"}
