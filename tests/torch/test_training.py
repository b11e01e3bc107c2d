"""PyTorch's explicit loop does what Keras's `fit` and its callbacks do."""

import dataclasses

import numpy as np
import pytest
import torch

from compare.gap.records import Status
from tests.support.small_run import SMALL, train
from torch_impl import optimizers, training
from torch_impl.layers import CounterDropout
from torch_impl.transfer import head

FEATURES = [
    (
        np.random.default_rng(i).normal(size=(8, 12)).astype(np.float32),
        (np.arange(8) % 2)[:, None].astype(np.float32),
    )
    for i in range(3)
]


def _fit(val_losses, **settings):
    training.start(0)
    model = head(12)
    watched = iter(val_losses)
    return training.fit(
        model,
        optimizers.adam(model),
        lambda epoch: FEATURES,
        after_epoch=lambda *_: next(watched),
        **settings,
    )


def test_stops_early_after_patience_epochs_without_a_lower_val_loss():
    assert len(_fit([1.0, 0.9, 0.95, 0.9, 0.91, 0.92, 0.93, 0.94], epochs=8, patience=3)) == 5


def test_reduces_the_learning_rate_when_kerass_callback_would():
    rates = [
        row["learning_rate"] for row in _fit([1.0, *[0.99995] * 8], epochs=9, patience=99, reduce_lr=True)
    ]
    assert rates == pytest.approx([1e-3] * 6 + [1e-4] * 3)


def test_a_loss_that_is_not_finite_ends_the_training_with_its_place():
    model = head(12)
    poisoned = [FEATURES[0], (np.full((8, 12), np.nan, np.float32), FEATURES[1][1])]
    with pytest.raises(training.NonFiniteLossError, match="loss is not finite at epoch 1, step 2"):
        training.fit(model, optimizers.adam(model), lambda epoch: poisoned, epochs=2)


def test_the_epochs_loss_weighs_batches_by_size():
    training.start(0)
    model = head(12, dropout=0.0)
    uneven = [FEATURES[0], tuple(array[:2] for array in FEATURES[1])]
    together = tuple(np.concatenate(arrays) for arrays in zip(*uneven, strict=True))
    assert training.evaluate(model, uneven)["loss"] == pytest.approx(
        training.evaluate(model, [together])["loss"]
    )


def test_the_same_seed_trains_the_same():
    runs = []
    for seed in (0, 0, 1):
        training.start(seed)
        model = head(12)
        runs.append(training.fit(model, optimizers.adam(model), lambda epoch: FEATURES, epochs=2))
    assert runs[0] == runs[1] != runs[2]


def test_counter_dropout_keeps_the_right_share_and_repeats_itself():
    layer = CounterDropout(0.3, seed=4)
    x = torch.ones(400, 64)
    first, second = layer(x), layer(x)
    assert (first == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert first.max().item() == pytest.approx(1 / 0.7)
    assert not torch.equal(first, second)
    layer.step.zero_()
    assert torch.equal(layer(x), first)
    assert torch.equal(layer.eval()(x), x)


def test_a_diverging_cell_fails_with_its_place(tmp_path):
    result = train("torch", "fine-tune", tmp_path, settings=dataclasses.replace(SMALL, learning_rate=1e30))
    assert result.ending.startswith("failed: loss is not finite at epoch 1, step ")
    assert result.status is Status.NOT_FINITE
    assert result.history == ()


def test_a_cell_whose_last_step_was_one_too_far_says_so(tmp_path, monkeypatch):
    """The epoch's own losses were finite; what the last step made of the weights isn't."""
    settings = dataclasses.replace(SMALL, epochs=2, explain="best-and-last")
    make, taken = torch.optim.Adam.step, []

    def step(self, *arguments):
        taken.append(make(self, *arguments))
        if len(taken) == 12:
            for group in self.param_groups:
                group["params"][0].data.fill_(float("nan"))
        return taken[-1]

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    result = train("torch", "frozen", tmp_path, "native", settings)
    assert result.ending == "failed: loss is not finite at epoch 2, step 6"
    assert len(result.history) == 1
