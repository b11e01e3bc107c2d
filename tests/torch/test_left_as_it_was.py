"""Whatever acts on being called is as it was after every function that promises so; what can't be done is said."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.torch_models import randomise
from torch_impl import keeping, metrics, replay, statistics


class Counting(nn.Module):
    """A person's own layer: it counts its calls, and draws from every generator in training."""

    def __init__(self):
        super().__init__()
        self.calls, self.last = 0, torch.zeros(())

    def forward(self, x):
        self.calls += 1
        self.last = x.detach().mean()
        noise = random.random() + np.random.rand() + torch.rand(()) if self.training else 0.0  # noqa: NPY002
        return x * (1 + 0.1 * noise)


def normalised(weight_norm):
    return nn.Sequential(
        weight_norm(nn.Conv2d(3, 4, 3)),
        nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
        nn.BatchNorm2d(4),
        Counting(),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 1),
    )


def batches(sizes=(4, 4)):
    rng = np.random.default_rng(1)
    return [
        (
            rng.normal(i, 1 + i, (n, 8, 8, 3)).astype(np.float32),
            (np.arange(n) % 2)[:, None].astype(np.float32),
        )
        for i, n in enumerate(sizes)
    ]


USES = {
    "measure": lambda model: replay.measure(model, batches()),
    "measure with everything on": lambda model: replay.measure(
        model, batches(), dropout=True, normalise="fit"
    ),
    "features": lambda model: replay.features(model, batches(), "fit"),
    "population": lambda model: statistics.population(model, batches()),
}


@pytest.mark.parametrize(
    "weight_norm",
    [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm, nn.utils.parametrizations.weight_norm],
)
@pytest.mark.parametrize("use", USES)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_model_and_all_generators_are_left_as_they_were(use, weight_norm):
    model = randomise(normalised(weight_norm)).train()
    model(torch.ones(2, 3, 8, 8))
    model[2].eval()
    before = keeping.state(model)
    USES[use](model)
    assert keeping.state(model) == before
    model(torch.ones(2, 3, 8, 8))
    assert keeping.state(model) != before


def test_an_instance_norms_switch_belongs_to_normalisation_and_not_to_dropout():
    model = randomise(
        nn.Sequential(nn.InstanceNorm2d(3, track_running_stats=True), nn.Flatten(), nn.Linear(192, 1))
    )
    losses = {
        (dropout, normalise): replay.measure(model, batches(), dropout=dropout, normalise=normalise)["loss"]
        for dropout in (False, True)
        for normalise in ("fit", "evaluate")
    }
    assert (
        losses[False, "fit"] == losses[True, "fit"] != losses[False, "evaluate"] == losses[True, "evaluate"]
    )


def test_a_layer_without_decay_has_none():
    model = nn.Sequential(nn.BatchNorm2d(3, momentum=None), nn.BatchNorm2d(3, momentum=0.25))
    assert statistics.constants(model) == {"0": (None, 1e-5), "1": (0.75, 1e-5)}


def test_samples_that_count_nothing_are_as_if_they_were_not_there():
    model, (x, _), counts = (
        randomise(nn.Sequential(nn.BatchNorm2d(3))),
        batches((6,))[0],
        np.array([0, 2, 0, 0, 1, 0]),
    )
    left = statistics.population(model, [x[counts > 0]], [counts[counts > 0]])["0"]
    np.testing.assert_allclose(
        statistics.population(model, [x[:3], x[3:]], [counts[:3], counts[3:]])["0"], left
    )
    np.testing.assert_allclose(
        statistics.population(model, [x[:1], x[1:]], [counts[:1], counts[1:]])["0"], left
    )
    with pytest.raises(ValueError, match="weights of all samples are 0"):
        statistics.population(model, [x], [np.zeros(6)])


class TimeMajor(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.way, self.bn = way, nn.BatchNorm1d(3)

    def forward(self, x):  # (N, T, C)
        if self.way == "sample-major":
            return self.bn(x.movedim(1, 2))
        if self.way == "time-major":
            return self.bn(x.movedim(0, 2).movedim(1, 2).movedim(0, 2).permute(2, 1, 0))
        return self.bn(x.flatten(0, 1)[::2])


@pytest.mark.parametrize("way", ["time-major", "masked"])
def test_weights_of_samples_that_a_layer_has_elsewhere_are_refused(way):
    x = np.random.default_rng(2).normal(size=(4, 8, 3)).astype(np.float32)
    with pytest.raises(ValueError, match="weights are of 4 samples; a layer's input has"):
        statistics.population(TimeMajor(way), [x], [np.arange(4) + 1])
    assert len(statistics.population(TimeMajor(way), [x])["bn"]) == 2
    assert len(statistics.population(TimeMajor("sample-major"), [x], [np.arange(4) + 1])["bn"]) == 2


@pytest.mark.parametrize("compiled", ["traced", "scripted", "frozen"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchscript_is_refused_by_its_name(compiled):
    backbone = randomise(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)))
    script = (
        torch.jit.trace(backbone.eval(), torch.ones(2, 3, 8, 8))
        if compiled == "traced"
        else torch.jit.script(backbone)
    )
    if compiled == "frozen":
        script = torch.jit.freeze(script.eval())
    with pytest.raises(ValueError, match="0 is TorchScript"):
        statistics.population(nn.Sequential(script, nn.Flatten()), batches())


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchscript_without_batch_norm_may_be_part_of_a_model():
    model = nn.Sequential(torch.jit.script(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4)).train()
    model[0].eval()
    assert list(statistics.population(model, batches())) == ["1"]
    assert (model[0].training, model[1].training) == (False, True)


def test_the_autocast_around_it_holds_for_the_population():
    model = randomise(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)))
    x = np.random.default_rng(2).normal(size=(64, 3)).astype(np.float32)
    plain = statistics.population(model, [x[:40], x[40:]])["1"]
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model[0](torch.from_numpy(x)).detach().double().numpy()
        found = statistics.population(model, [x[:40], x[40:]])["1"]
    np.testing.assert_allclose(found, [rounded.mean(0), rounded.var(0)], rtol=1e-6)
    assert np.abs(np.array(found) - plain).max() > 1e-5


def test_metrics_of_predictions_that_are_no_numbers():
    found = metrics.measure(torch.tensor([0.2, float("nan"), 0.9]), torch.tensor([0.0, 1.0, 1.0]))
    assert np.isnan(found["cross_entropy"])
    assert (found["tp"], found["fn"], found["tn"], found["fp"]) == (1.0, 1.0, 1.0, 0.0)
    assert found["auc"] == pytest.approx(0.5, abs=0.01)
