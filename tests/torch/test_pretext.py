"""The shipped `pretext` weights: what they are, what they can tell, and that their card says so."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from compare.data import preprocess
from tools import photographs, pretext_card, pretrain
from torch_impl import statistics, weights

BACKBONES = ["resnet50", "vgg16"]
CROPS = 408


def metadata(backbone):
    with safe_open(pretrain.weights_file(backbone), "numpy") as file:
        return file.metadata()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_file_is_a_small_half_precision_backbone_and_nothing_else(backbone):
    arrays = load_file(pretrain.weights_file(backbone))
    weights.from_arrays(pretrain.Pretext(backbone).backbone, arrays)
    assert pretrain.weights_file(backbone).stat().st_size < 4e6
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    assert all(np.isfinite(array).all() for array in arrays.values())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_file_says_what_it_is(backbone):
    facts = {
        "backbone": backbone,
        "variant": "v1",
        "width": "0.25",
        "source": "pretext",
        "preprocessing": "caffe",
    }
    assert facts.items() <= metadata(backbone).items()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_it_tells_photographs_and_turns_apart_as_well_as_it_says(backbone):
    stated = [float(metadata(backbone)[key]) for key in ("photo_accuracy", "photo_and_turn_accuracy")]
    assert stated[0] >= 0.95
    assert stated[1] >= 0.70
    measured = pretrain.accuracy(pretrain.restore(backbone), CROPS)
    for found, said in zip(measured, stated, strict=True):
        assert abs(found - said) < 3.5 * np.sqrt(said * (1 - said) / CROPS)  # sampling error, and no more


def test_the_moving_statistics_are_those_of_the_photographs():
    drawn = photographs.crops(photographs.photographs(), 256, pretrain.SIZE, np.random.default_rng(9), False)
    model = pretrain.restore("resnet50").backbone
    moving = statistics.moving(model)
    population = statistics.population(model, [preprocess(drawn.images, "caffe")])
    for name, (mean, variance) in population.items():
        assert np.median(np.abs(moving[name][0] - mean) / np.sqrt(variance)) < 0.05, name
        assert abs(np.median(moving[name][1] / variance) - 1) < 0.1, name


def test_training_crops_keep_away_from_the_centres_that_are_held_out():
    photo = np.stack([*np.mgrid[:256, :256], np.zeros((256, 256))], -1).astype(
        np.uint8
    )  # a pixel tells its place

    def share_held_out(held_out):
        drawn = photographs.crops([photo], 400, 64, np.random.default_rng(1), held_out)
        row, column = drawn.images.mean((1, 2)).T[:2] // photographs.SQUARE
        return np.mean((row + 2 * column) % 4 == 0)

    # the mean place is the centre to within a pixel, which counts at the border of a square
    assert share_held_out(True) > 0.9
    assert share_held_out(False) < 0.1


def test_a_turn_is_a_quarter_turn_anticlockwise():
    photo = np.zeros((300, 300, 3), np.uint8)
    photo[:150] = 255  # bright at the top, wherever the crop is
    drawn = photographs.crops([photo], 40, 32, np.random.default_rng(2), True)
    upright = [np.rot90(image, -turn) for image, turn in zip(drawn.images, drawn.turns, strict=True)]
    assert set(drawn.turns) == {0, 1, 2, 3}
    assert all((np.diff(image[..., 0].astype(int), axis=0) <= 0).all() for image in upright)
    assert any(image.min() < image.max() for image in upright)


@pytest.mark.parametrize("value", [7e4, float("nan")])
def test_values_that_float16_cannot_hold_are_refused(value):
    model = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(model.weight, value)
    with pytest.raises(ValueError, match="kernel reaches"):
        pretrain.half(model)


def test_the_card_is_made_of_the_files_own_figures():
    folder = pretrain.weights_file("resnet50").parent
    assert (folder / "README.md").read_text() == pretext_card.text(folder, BACKBONES)
