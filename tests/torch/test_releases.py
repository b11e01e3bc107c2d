"""The emulated releases of Keras train as the real ones did: loss, moving statistics and evaluation of every step."""

from dataclasses import replace
from functools import lru_cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from compare.cells.releases import names
from compare.cells.settings import Settings
from compare.spec import POLICIES
from tests.support import legacy
from tests.support.small_run import train
from tools.legacy_keras import given
from torch_impl import bn_policy, optimizers, releases, resnet50, tracing, transfer, weights


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads on tensors of a few numbers wait for each other more than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def network(release):
    model = nn.Sequential()
    for n in (1, 2):
        before, after = given.CHANNELS[n - 1 : n + 1]
        model.add_module(f"conv{n}", nn.Conv2d(before, after, 3, padding=1))
        model.add_module(f"bn{n}", releases.BatchNorm(after, release=release))
        model.add_module(f"relu{n}", nn.ReLU())
    model.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    model.head_dense = nn.Linear(given.CHANNELS[-1], 1)
    start = {name.replace("dense", "head_dense"): array for name, array in given.network().items()}
    weights.from_arrays(model, start)
    return model


def train_as(release, policy, name, record=None):
    """Train with ``release``'s arithmetic; return the departures from what ``record`` did."""
    model = network(release)
    bn_policy.apply(model, bn_policy.Policy(**POLICIES[policy].facts))
    optimizer = optimizers.make(name, model, given.OPTIMIZERS[name], release=release)

    def loss(images, masks, labels):
        x = torch.from_numpy(images).permute(0, 3, 1, 2)
        features = model[:-1](x) * torch.from_numpy(masks)
        return F.binary_cross_entropy_with_logits(model.head_dense(features), torch.from_numpy(labels))

    def train(images, masks, labels):
        model.train()
        bn_policy.hold(model)
        optimizer.zero_grad()
        value = loss(images, masks, labels)
        value.backward()
        optimizer.step()
        return value.item()

    @torch.no_grad()
    def evaluate(images, labels):
        model.eval()
        bn_policy.hold(model)
        return loss(images, given.np.ones((given.BATCH, given.CHANNELS[-1]), "float32"), labels).item()

    return legacy.departures(
        record or release, policy, name, lambda: weights.to_arrays(model), train, evaluate
    )


@pytest.mark.parametrize(("release", "policy", "optimizer"), legacy.trainings())
def test_trains_as_the_release_did(release, policy, optimizer):
    departures = train_as(release, policy, optimizer)
    assert max(departures.values()) < legacy.TOLERANCE, departures


@pytest.mark.parametrize(
    ("release", "other"),
    [
        ("keras-2.1.2", "tf.keras-1.15"),  # biased, unbiased
        ("keras-2.1.3", "keras-2.2.4"),  # unbiased, doubly corrected
        ("keras-2.2.4", "keras-2.3.1"),  # zero-debiased, not
    ],
)
def test_another_releases_rule_is_told_apart(release, other):
    departures = train_as(other, "bn-trainable", "sgd", record=release)
    assert departures["bn1/moving_variance"] > 10 * legacy.TOLERANCE


def test_adams_epsilon_is_the_releases():
    """At gradients of its size: a parameter whose gradient is 1e-8 moves by half a step, not by nearly none."""
    steps = {}
    for release in ("keras-2.1.2", "keras-2.1.3"):
        model = nn.Linear(1, 1, bias=False)
        start = model.weight.item()
        optimizer = optimizers.make("adam", model, 0.1, release=release)
        model.weight.grad = torch.full((1, 1), 1e-6)
        optimizer.step()
        steps[release] = start - model.weight.item()
    # sqrt(v) is sqrt(0.001) of the gradient, 3.16e-8, after the first step
    assert steps["keras-2.1.2"] == pytest.approx(0.1 * 3.162 / (3.162 + 1), rel=1e-3)
    assert steps["keras-2.1.3"] == pytest.approx(0.1 * 3.162 / (3.162 + 10), rel=1e-3)


@pytest.mark.parametrize("name", releases.RELEASES)
def test_the_table_says_what_was_recorded(name):
    rows, record = legacy.semantics(name)
    rule = rows["BatchNormalization()"]["facts"]["rule"]
    release = releases.RELEASES[name]
    assert (release.variance, release.zero_debiased) == (rule["variance"], rule["zero_debiased"])
    assert release.adam_epsilon == record["adam_epsilon"]


def test_a_release_that_is_none():
    with pytest.raises(ValueError, match=r"release is 'keras-9'; it can be keras-1.2.2, .*, tf-keras-2.21"):
        releases.BatchNorm(3, release="keras-9")
    with pytest.raises(ValueError, match=r"release is 'keras-2.2.4'; only adam and sgd"):
        optimizers.make("rmsprop", nn.Linear(1, 1), release="keras-2.2.4")


def test_the_table_has_the_releases_that_a_run_can_be_as():
    assert set(releases.RELEASES) == set(names())


def test_a_cell_trains_as_its_settings_release(tmp_path, monkeypatch):
    """Model and optimizer are the release's; what those do is tested above."""
    asked = {}
    for module, name in ((transfer, "build"), (optimizers, "adam")):
        make = getattr(module, name)

        def made(*arguments, _make=make, _name=name, **options):
            asked[_name] = options.get("release", arguments[-1])
            return _make(*arguments, **options)

        monkeypatch.setattr(module, name, made)
    settings = Settings(images=16, image_size=32, batch_size=8, epochs=1, explain="nothing")
    train("torch", "frozen", tmp_path, settings=replace(settings, release="keras-2.2.4"), weights="random")
    assert asked == {"build": "keras-2.2.4", "adam": "keras-2.2.4"}


@lru_cache
def model_of(variant):
    return resnet50.resnet50(variant, legacy.WIDTH)


def features(variant, arrays, images):
    model = model_of(variant)
    weights.from_arrays(model, arrays)
    model.eval()
    with torch.no_grad():
        return model(torch.from_numpy(images).permute(0, 3, 1, 2)).mean((2, 3)).numpy()


@pytest.mark.parametrize("release", releases.RELEASES)
def test_weights_of_a_release_make_its_features(release):
    found = features(legacy.STRUCTURES[release], legacy.resnet50_arrays(release), given.image())
    assert legacy.departure(found, legacy.resnet50(release)[0]) < legacy.TOLERANCE


@pytest.mark.parametrize("release", ["keras-2.0.0", "keras-2.1.2", "keras-2.2.4", "tf.keras-2.0"])
def test_another_structure_is_told_apart(release):
    """One release of each structure: any other variant is off by a hundred times the tolerance."""
    recorded, _ = legacy.resnet50(release)
    for variant in set(resnet50.EPSILON) - {"v1.5", legacy.STRUCTURES[release]}:
        found = features(variant, legacy.resnet50_arrays(release), given.image())
        assert legacy.departure(found, recorded) > 100 * legacy.TOLERANCE, variant


def test_an_old_structures_configuration_is_the_same_on_both_sides():
    """What parity compares: tests/torch and tests/keras expect the same facts."""
    facts = tracing.configuration(transfer.build("resnet50", "v1-old-same", legacy.WIDTH))
    assert (facts["conv1_conv"]["padding"], facts["conv1_conv"]["stride"]) == ("same", [2, 2])
    assert facts["pool1_pool"]["padding"] == [0, 0, 0, 0]
    assert facts["conv1_bn"]["epsilon"] == 1e-3
