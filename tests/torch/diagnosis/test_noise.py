"""Noise in fit's data alone is an augmentation, however strong; another scale is another preprocessing."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

import compare
from tests.torch.diagnosis.stories import CE
from tests.torch.diagnosis.toys import evaluated, fit, loader, toy


class Changed(Dataset):
    """Samples that are changed anew whenever they are asked for."""

    def __init__(self, x, y, change):
        self.x, self.y, self.change = x, y, change

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.change(self.x[i]), self.y[i]


def diagnosed(change, other=False, shuffle=False, fixed=False, clean=lambda x: x):
    torch.manual_seed(0)
    x, y = toy()
    ours = (
        loader((torch.stack([change(row) for row in x]), y))
        if fixed
        else DataLoader(Changed(x, y, change), 32, shuffle=shuffle)
    )
    x, y = toy(192, seed=7) if other else (x, y)
    theirs = loader((clean(x), y))
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    seen = {"loss": fit(net, ours, 15), "evaluate_loss": evaluated(net, theirs)}
    return compare.diagnose(net, ours, evaluate_data=theirs, loss=CE, reported=seen)


def noise(share):
    return lambda x: x + share * torch.randn_like(x)


def brighter(x):
    return x * (0.5 + 0.5 * torch.rand(())) + 4


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("other", [False, True])
def test_strong_noise_is_an_augmentation(other, shuffle):
    found = diagnosed(noise(3.0), other, shuffle)
    assert not found.harmful
    assert "augmentation" in {term.term for term in found.terms}


def test_noise_that_is_the_same_in_each_pass_is_an_augmentation_of_the_same_samples():
    found = diagnosed(noise(3.0), fixed=True)
    assert [f.cause for f in found.findings] == ["augmentation"]


def test_a_brightness_that_moves_the_mean_is_an_augmentation():
    found = diagnosed(brighter, clean=lambda x: x + 4)
    assert not found.harmful
    assert "data-differ" not in {term.term for term in found.terms}


SCALED = {
    "ten times as large": lambda x: 10 * noise(0.3)(x),
    "a hundredth": lambda x: 0.01 * noise(0.3)(x),
    "moved by three": lambda x: 3 + noise(0.3)(x),
}


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("change", SCALED.values(), ids=SCALED)
def test_another_scale_is_another_preprocessing_though_there_is_noise(change, shuffle):
    assert [f.cause for f in diagnosed(change, shuffle=shuffle).findings if f.harmful] == ["data-differ"]


def test_noise_that_comes_with_another_scale_in_each_pass_alike_is_another_preprocessing():
    found = diagnosed(lambda x: 9 * x + 3 * torch.randn_like(x), fixed=True)
    assert [f.cause for f in found.findings if f.harmful] == ["data-differ"]


def test_a_preprocessing_that_evaluation_lacks_is_told_with_its_cure():
    found = diagnosed(noise(0.1), shuffle=True, clean=lambda x: x * 255)
    assert found.findings[0].cause == "data-differ"
    assert found.findings[0].cure.code == "x = x / 255  # in evaluation"


def cropped(image):
    """An image moved by a place each way, with nothing around it."""
    top, left = torch.randint(3, (2,)).tolist()
    return F.pad(image, (1, 1, 1, 1))[:, top : top + 8, left : left + 8]


def normalised(image):
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (image - mean[:, None, None]) / deviation[:, None, None]


@pytest.mark.parametrize("lacking", [False, True])
@pytest.mark.parametrize("other", [False, True])
def test_a_normalisation_that_evaluation_lacks_is_no_augmentation_though_images_are_cropped(other, lacking):
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(1)
    y = torch.randint(3, (192,), generator=g)
    kinds = torch.randn(3, 3, 8, 8, generator=g)
    x = torch.sigmoid(kinds[y] + 0.5 * torch.randn(192, 3, 8, 8, generator=g))
    ours = DataLoader(Changed(x[:128], y[:128], lambda image: normalised(cropped(image))), 32)
    part = slice(128, 192) if other else slice(0, 128)
    clean = x[part] if lacking else torch.stack([normalised(image) for image in x[part]])
    theirs = loader((clean, y[part]))
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 3))
    seen = {"loss": fit(net, ours, 15), "evaluate_loss": evaluated(net, theirs)}
    found = compare.diagnose(net, ours, evaluate_data=theirs, loss=CE, reported=seen)
    assert [f.cause for f in found.findings if f.harmful] == (["data-differ"] if lacking else [])
    if lacking and not other:
        assert "0.485" in found.findings[0].cure.code
