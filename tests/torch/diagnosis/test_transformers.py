"""compare.transformers.Diagnose: the diagnosis at the end of a Hugging Face Trainer's training."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import compare
from tests.torch.diagnosis.toys import mlp, toy

transformers = pytest.importorskip("transformers", reason="transformers isn't installed")
pytest.importorskip("accelerate", reason="accelerate isn't installed, which Trainer needs")


class Model(nn.Module):
    """As those of Hugging Face: it computes its loss from ``labels``."""

    def __init__(self):
        super().__init__()
        self.net = mlp(momentum=0.002)

    def forward(self, x, labels=None):
        logits = self.net(x)
        return {"logits": logits} | ({} if labels is None else {"loss": F.cross_entropy(logits, labels)})


class Scores(nn.Module):
    """Computes no loss: its trainer does."""

    def __init__(self):
        super().__init__()
        self.net = mlp(momentum=0.002)

    def forward(self, x, labels=None):
        return {"logits": self.net(x)}


class Focal(transformers.Trainer):
    """A loss of the trainer's own, as people write it to weigh classes."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        outputs = model(inputs["x"])
        rare = F.cross_entropy(outputs["logits"], inputs["labels"], reduction="none")
        loss = ((1 - torch.exp(-rare)) ** 2 * rare).mean()
        return (loss, outputs) if return_outputs else loss


def trained(tmp_path, *callbacks, model=None, kind=transformers.Trainer, several=None, **options):
    torch.manual_seed(0)
    model = model or Model()
    data = [{"x": x, "labels": y} for x, y in zip(*toy(96, shift=6.0), strict=True)]
    arguments = transformers.TrainingArguments(
        tmp_path, per_device_train_batch_size=16, num_train_epochs=3, learning_rate=0.01, logging_strategy="epoch",
        save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True, **options,
    )  # fmt: skip
    trainer = kind(
        model, arguments, train_dataset=data, eval_dataset=several or data, callbacks=list(callbacks)
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    log = trainer.state.log_history
    return model, [{name: entry[name] for name in ("loss", "eval_loss") if name in entry} for entry in log]


def test_the_trainers_figures_and_weights_are_the_same_bytes_with_it(tmp_path):
    plain, figures = trained(tmp_path, eval_strategy="epoch")
    callback = compare.transformers.Diagnose(verbose=False)
    model, same = trained(tmp_path, callback, eval_strategy="epoch")
    assert figures == same
    for a, b in zip(plain.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert not model._forward_pre_hooks
    assert callback.diagnosis.probes.restored == "same"


def test_it_finds_the_cause_with_the_figures_of_the_last_step(tmp_path):
    callback = compare.transformers.Diagnose(verbose=False)
    _, log = trained(tmp_path, callback, eval_strategy="epoch")
    found = callback.diagnosis
    assert found.findings[0].cause == "stale-statistics"
    assert found.reported["loss"] == [entry["loss"] for entry in log if "loss" in entry][-1]
    assert found.reported["eval_loss"] == [entry["eval_loss"] for entry in log if "eval_loss" in entry][-1]
    assert sum(term.value for term in found.terms) == pytest.approx(found.gap)
    # the batches were seen, so that no other order has to stand for them
    assert not any(term.term == "batch-composition" for term in found.terms)


def test_without_an_evaluation_training_data_stand_for_it(tmp_path):
    callback = compare.transformers.Diagnose(verbose=False)
    trained(tmp_path, callback)
    assert set(callback.diagnosis.reported) == {"loss"}
    assert callback.diagnosis.given["evaluate_data"].startswith("nothing")
    assert callback.diagnosis.findings[0].cause == "stale-statistics"


def test_a_loss_that_only_the_trainer_computes_is_asked_of_it(tmp_path):
    callback = compare.transformers.Diagnose(verbose=False)
    _, log = trained(tmp_path, callback, model=Scores(), kind=Focal, eval_strategy="epoch")
    found = callback.diagnosis
    evaluated = [entry["eval_loss"] for entry in log if "eval_loss" in entry][-1]
    assert found.measured["evaluate_loss"] == pytest.approx(evaluated, rel=1e-5)
    assert found.findings[0].cause == "stale-statistics"
    assert found.probes.restored == "same"


def test_a_loss_of_the_trainers_comes_before_the_models_own(tmp_path):
    """The model computes one, too, and it is another."""
    callback = compare.transformers.Diagnose(verbose=False)
    model, _ = trained(tmp_path, callback, kind=Focal)
    data = [{"x": x, "labels": y} for x, y in zip(*toy(96, shift=6.0), strict=True)]
    plain = compare.diagnose(model, torch.utils.data.DataLoader(data, 16))
    assert callback.diagnosis.measured["evaluate_loss"] != pytest.approx(
        plain.measured["evaluate_loss"], rel=0.05
    )


def test_a_figure_over_more_than_an_epoch_is_not_taken_for_the_epochs():
    from compare.transformers import figures_of

    history = [{"step": 30, "loss": 9.0}, {"step": 30, "eval_loss": 2.0, "eval_runtime": 1.0}]
    assert figures_of(history, 30, 10.0) == {"eval_loss": 2.0}
    assert figures_of([{"step": 20, "loss": 1.0}, *history], 30, 10.0) == {"loss": 9.0, "eval_loss": 2.0}
    assert figures_of([{"step": 10, "loss": 1.0, "eval_loss": 3.0}], 30, 10.0) == {"loss": 1.0}


def test_a_loss_that_is_divided_by_the_number_of_items_is_asked_as_its_trainer_asks_it(tmp_path):
    shapes = {"vocab_size": 12, "n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 2}
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**shapes, bos_token_id=0, eos_token_id=0))
    tokens = torch.randint(12, (32, 6), generator=torch.Generator().manual_seed(1))
    data = [{"input_ids": row, "labels": row} for row in tokens]
    arguments = transformers.TrainingArguments(tmp_path, report_to=[], use_cpu=True, disable_tqdm=True)
    trainer = transformers.Trainer(model, arguments, train_dataset=data, eval_dataset=data)
    evaluated = trainer.evaluate()["eval_loss"]
    reported = {"loss": evaluated, "eval_loss": evaluated}
    found = compare.diagnose(trainer, trainer.get_eval_dataloader(), reported=reported)
    assert found.measured["evaluate_loss"] == pytest.approx(evaluated, rel=1e-4)
    assert [one.cause for one in found.findings] == ["none"]


def rows(seed):
    return [{"x": x, "labels": y} for x, y in zip(*toy(48, shift=6.0, seed=seed), strict=True)]


def test_of_several_evaluation_datasets_the_first_is_diagnosed_with_its_figures_and_said_to_be(tmp_path):
    callback = compare.transformers.Diagnose(verbose=False)
    trained(tmp_path, callback, several={"near": rows(2), "far": rows(3)}, eval_strategy="epoch")
    found = callback.diagnosis
    assert found.reported["eval_loss"] == pytest.approx(found.measured["evaluate_loss"], rel=1e-5)
    assert not any("far" in name for name in found.reported)
    assert "48 samples" in found.given["evaluate_data"]
    assert any("2 evaluation datasets" in note and "near" in note for note in found.notes)


class Smoothed(nn.Module):
    """Smooths its targets in training alone."""

    def __init__(self, smoothing):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.smoothing = (
            nn.Sequential(nn.Linear(8, 32), nn.LayerNorm(32), nn.Linear(32, 3)),
            smoothing,
        )

    def forward(self, x, labels):
        logits = self.net(x)
        smoothing = self.smoothing if self.training else 0.0
        return {"loss": F.cross_entropy(logits, labels, label_smoothing=smoothing), "logits": logits}


@pytest.mark.parametrize(("smoothing", "cause"), [(0.3, "objective"), (0.0, "none")])
def test_a_loss_of_the_models_own_that_reads_its_mode_is_another_objective(smoothing, cause):
    model, data = Smoothed(smoothing), [{"x": toy()[0], "labels": toy()[1]}]
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        model(**data[0])["loss"].backward()
        optimizer.step()
    found = compare.diagnose(model, data)
    assert [(one.cause, one.harmful) for one in found.findings] == [(cause, False)]
