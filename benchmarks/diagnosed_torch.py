"""PyTorch's side of `benchmarks.cost_of_diagnosis`: models, one evaluation, trainings with and without watching."""

from __future__ import annotations

import logging
import warnings
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import compare
import compare.torch
from benchmarks.watched import Trained

name, ways = "torch", ("a loop", "Lightning", "Hugging Face")


def resnet50(size: int) -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet50(num_classes=2)


def small(size: int) -> nn.Module:
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    for before, channels in ((3, 16), (16, 32), (32, 64)):
        parts += [
            nn.Conv2d(before, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(64, 2))


def data(arrays: Any) -> Any:
    return DataLoader(TensorDataset(*_tensors(arrays)), 32)


def batch(arrays: Any) -> Any:
    return _tensors(arrays)


def evaluate(model: nn.Module, given: Any) -> float:
    model.eval()
    with torch.no_grad():
        return float(torch.stack([F.cross_entropy(model(x), y) for x, y in given]).mean())


def diagnose(model: nn.Module, given: Any, **options: Any) -> Any:
    return compare.diagnose(model.train(), given, loss=F.cross_entropy, **options)


def train(kind: str, arrays: Any, way: str, watched: bool) -> Trained:
    size = arrays[0].shape[1]
    model = resnet50(size) if kind == "ResNet50" else small(size)
    torch.manual_seed(1)
    warnings.simplefilter("ignore")
    ways = {"a loop": _loop, "Lightning": _lightning, "Hugging Face": _hugging_face}
    found, watching = Trained(), compare.torch.Watching
    # what is noted inside the step is the callback's doing, too
    with patch.object(watching, "called", found.own(watching.called)):
        ways[way](model, arrays, watched, found)
    return found


def _loop(model: nn.Module, arrays: Any, watched: bool, found: Trained) -> None:
    loader = DataLoader(TensorDataset(*_tensors(arrays)), 32, shuffle=True)
    optimizer, found.figures = torch.optim.Adam(model.parameters()), []
    found.begin()
    for epoch in range(10):
        if watched and epoch == 9:
            with compare.torch.watch(model) as seen:
                found.figures.append(_epoch(model, loader, optimizer, seen))
            found.own(compare.diagnose)(model, loader, loss=F.cross_entropy, reported=seen)
        else:
            found.figures.append(_epoch(model, loader, optimizer, lambda loss, n: None))
        found.epoch()


def _epoch(model: nn.Module, loader: Any, optimizer: Any, seen: Any) -> list[float]:
    model.train()
    losses = []
    for x, y in loader:
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seen(loss, len(y))
        losses.append(loss.item())
    return losses


def _lightning(model: nn.Module, arrays: Any, watched: bool, found: Trained) -> None:
    import lightning.pytorch as pl

    import compare.lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    found.figures = []

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = model

        def training_step(self, batch: Any, index: int) -> Any:
            loss = F.cross_entropy(self.net(batch[0]), batch[1])
            self.log("train_loss", loss, on_epoch=True, on_step=False)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    class Clock(pl.Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            found.epoch()
            found.figures.append(float(trainer.callback_metrics["train_loss"]))

    callbacks = [Clock(), *([found.watching(compare.lightning.Diagnose(verbose=False))] if watched else [])]
    trainer = pl.Trainer(
        max_epochs=10, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, callbacks=callbacks,
    )  # fmt: skip
    found.begin()
    trainer.fit(Module(), DataLoader(TensorDataset(*_tensors(arrays)), 32, shuffle=True))
    found.epoch()


def _hugging_face(model: nn.Module, arrays: Any, watched: bool, found: Trained) -> None:
    import transformers

    import compare.transformers

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = model

        def forward(self, x: Any, labels: Any = None) -> Any:
            logits = self.net(x)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    class Clock(transformers.TrainerCallback):
        def on_epoch_end(self, *args: Any, **options: Any) -> None:
            found.epoch()

    rows = [{"x": x, "labels": y} for x, y in zip(*_tensors(arrays), strict=True)]
    callbacks = [
        Clock(),
        *([found.watching(compare.transformers.Diagnose(verbose=False))] if watched else []),
    ]
    with TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder, per_device_train_batch_size=32, num_train_epochs=10, logging_strategy="epoch", save_strategy="no",
            report_to=[], use_cpu=True, disable_tqdm=True,
        )  # fmt: skip
        trainer = transformers.Trainer(Model(), arguments, train_dataset=rows, callbacks=callbacks)
        trainer.remove_callback(transformers.PrinterCallback)
        found.begin()
        trainer.train()
    found.epoch()
    found.figures = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def _tensors(arrays: Any) -> tuple[Any, Any]:
    return torch.from_numpy(arrays[0].transpose(0, 3, 1, 2).copy()), torch.from_numpy(arrays[1])
